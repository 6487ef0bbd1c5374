/** What the runtime has of each pod (upstream's PLEG): relisted every second and at container events, and told when it changed. */

import { isRuntimeNotFound } from '../../../machinery/cri/wire.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { annotations, labels } from '../cri/labels.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { PodSandbox, PodSandboxStatus, RuntimeContainer, RuntimeContainerStatus } from '../cri/types.ts';
import { terminationMessage } from '../status/termination-message.ts';

export interface ObservedContainer extends RuntimeContainerStatus {
  podSandboxId: string;
  name: string;
  restartCount: number;
  /** undefined: made by something that is no kubelet. */
  hash: string | undefined;
}

export interface ObservedPod {
  uid: string;
  name: string;
  namespace: string;
  /** Newest first, like the containers. */
  sandboxes: PodSandboxStatus[];
  containers: ObservedContainer[];
}

export const emptyPod = (uid: string, namespace: string, name: string): ObservedPod => ({
  uid,
  name,
  namespace,
  sandboxes: [],
  containers: [],
});

/** Addresses of the newest sandbox that is ready, the primary one first. */
export function sandboxIps(observed: ObservedPod): string[] {
  const sandbox = observed.sandboxes.find(({ state }) => state === 'SANDBOX_READY');
  if (!sandbox?.network?.ip) return [];
  return [sandbox.network.ip, ...sandbox.network.additionalIps.map(({ ip }) => ip)];
}

export const isRunning = ({ state }: { state: string }): boolean => state === 'CONTAINER_RUNNING';

/** The newest container of that name. */
export const newestOf = (observed: ObservedPod, name: string): ObservedContainer | undefined =>
  observed.containers.find((container) => container.name === name);

export interface PodObserver {
  /** Undefined before the first list, or when the runtime has nothing of the pod. */
  get(uid: string): ObservedPod | undefined;
  all(): ObservedPod[];
  /** Asks the runtime about one pod now. */
  refresh(uid: string, namespace: string, name: string): Promise<ObservedPod>;
  /** A complete list soon. */
  poke(): void;
  /** When the last complete list succeeded, milliseconds since 1970; 0 before. */
  readonly lastList: number;
}

export interface ObserverOptions {
  runtime: Runtime;
  onChange(uid: string): void;
  log: Logger;
  signal: AbortSignal;
}

const relistMs = 1000;
/** While the runtime tells about its containers, lists only catch what was missed. */
const relistWithEventsMs = 5000;

export function observePods({ runtime, onChange, log, signal }: ObserverOptions): PodObserver {
  const pods = new Map<string, ObservedPod>();
  const signatures = new Map<string, string>();
  const ended = new Map<string, ObservedContainer>();
  let lastList = 0;
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let again = false;
  let eventsFlow = false;
  let failing = false;

  const describeContainer = async (container: RuntimeContainer): Promise<ObservedContainer | undefined> => {
    const known = ended.get(container.id);
    if (known) return known;
    try {
      const status = await runtime.containerStatus(container.id);
      const over = status.state === 'CONTAINER_EXITED';
      const observed: ObservedContainer = {
        ...status,
        ...(over ? { message: await terminationMessage(status) } : {}),
        podSandboxId: container.podSandboxId,
        name: container.labels[labels.containerName] ?? container.metadata.name,
        restartCount: Number(status.annotations[annotations.restartCount] ?? container.metadata.attempt),
        hash: status.annotations[annotations.containerHash],
      };
      if (over) ended.set(container.id, observed);
      return observed;
    } catch (error) {
      if (isRuntimeNotFound(error)) return undefined;
      throw error;
    }
  };
  const describeSandbox = async (sandbox: PodSandbox): Promise<PodSandboxStatus | undefined> => {
    try {
      const status = await runtime.podSandboxStatus(sandbox.id);
      return { ...status, createdAt: sandbox.createdAt };
    } catch (error) {
      if (isRuntimeNotFound(error)) return undefined;
      throw error;
    }
  };
  const present = <T>(value: T | undefined): value is T => value !== undefined;
  const newestFirst = (a: { createdAt: number }, b: { createdAt: number }) => b.createdAt - a.createdAt;

  const describe = async (
    uid: string,
    sandboxes: PodSandbox[],
    containers: RuntimeContainer[],
  ): Promise<ObservedPod> => {
    const [sandboxStatuses, containerStatuses] = await Promise.all([
      Promise.all(sandboxes.map(describeSandbox)),
      Promise.all(containers.map(describeContainer)),
    ]);
    const first = sandboxes[0]?.labels ?? containers[0]?.labels ?? {};
    return {
      uid,
      name: first[labels.podName] ?? '',
      namespace: first[labels.podNamespace] ?? '',
      sandboxes: sandboxStatuses.filter(present).sort(newestFirst),
      containers: containerStatuses.filter(present).sort(newestFirst),
    };
  };
  const signatureOf = (sandboxes: PodSandbox[], containers: RuntimeContainer[]) =>
    [...sandboxes, ...containers]
      .map(({ id, state }) => `${id}=${state}`)
      .sort()
      .join();

  const relist = async () => {
    const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
    const groups = new Map<string, { sandboxes: PodSandbox[]; containers: RuntimeContainer[] }>();
    const groupOf = (uid: string) => {
      const known = groups.get(uid);
      if (known) return known;
      const group = { sandboxes: [], containers: [] };
      groups.set(uid, group);
      return group;
    };
    for (const sandbox of sandboxes) {
      const uid = sandbox.labels[labels.podUid];
      if (uid) groupOf(uid).sandboxes.push(sandbox);
    }
    for (const container of containers) {
      const uid = container.labels[labels.podUid];
      if (uid) groupOf(uid).containers.push(container);
    }
    const changed: string[] = [];
    for (const [uid, group] of groups) {
      const signature = signatureOf(group.sandboxes, group.containers);
      if (signatures.get(uid) === signature) continue;
      pods.set(uid, await describe(uid, group.sandboxes, group.containers));
      signatures.set(uid, signature);
      changed.push(uid);
    }
    for (const uid of pods.keys()) {
      if (groups.has(uid)) continue;
      pods.delete(uid);
      signatures.delete(uid);
      changed.push(uid);
    }
    const alive = new Set(containers.map(({ id }) => id));
    for (const id of ended.keys()) if (!alive.has(id)) ended.delete(id);
    lastList = Date.now();
    for (const uid of changed) onChange(uid);
  };

  const run = async () => {
    running = true;
    again = false;
    try {
      await relist();
      failing = false;
    } catch (error) {
      if (!failing) log.error(`cannot list pods of the container runtime: ${(error as Error).message}`);
      failing = true;
    }
    running = false;
    schedule(again ? 20 : eventsFlow ? relistWithEventsMs : relistMs);
  };
  const schedule = (delayMs: number) => {
    if (signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(run, delayMs);
  };
  const poke = () => {
    if (running) again = true;
    else schedule(20);
  };

  const followEvents = async () => {
    while (!signal.aborted) {
      try {
        for await (const _event of runtime.containerEvents(signal)) {
          eventsFlow = true;
          poke();
        }
      } catch (error) {
        log.debug(`no container events: ${(error as Error).message}`);
      }
      eventsFlow = false;
      await new Promise<void>((resolve) => {
        const wait = setTimeout(resolve, 30_000);
        wait.unref();
      });
    }
  };
  signal.addEventListener('abort', () => clearTimeout(timer));
  schedule(0);
  void followEvents();

  return {
    get: (uid) => pods.get(uid),
    all: () => [...pods.values()],
    poke,
    get lastList() {
      return lastList;
    },
    async refresh(uid, namespace, name) {
      const filter = { labelSelector: { [labels.podUid]: uid } };
      const [sandboxes, containers] = await Promise.all([
        runtime.listPodSandboxes(filter),
        runtime.listContainers(filter),
      ]);
      const observed =
        sandboxes.length || containers.length
          ? await describe(uid, sandboxes, containers)
          : emptyPod(uid, namespace, name);
      if (sandboxes.length || containers.length) {
        pods.set(uid, observed);
        signatures.set(uid, signatureOf(sandboxes, containers));
      } else {
        pods.delete(uid);
        signatures.delete(uid);
      }
      return observed;
    },
  };
}
