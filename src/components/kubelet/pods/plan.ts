/** What has to be done so that the runtime has of a pod what its spec says: observe → diff. Nothing is done here. */
import { isSidecar } from '../../../machinery/api/pod-resources.ts';
import type { Container, Pod } from '../../../machinery/api/types.ts';
import type { PodSandboxStatus } from '../cri/types.ts';
import type { ProbeKind } from '../types.ts';
import { containerHash, isHostNetwork, isRestarted } from './containers.ts';
import { isRunning, type ObservedContainer, type ObservedPod } from './observed.ts';

export interface ContainerKill {
  instance: ObservedContainer;
  container: Container;
  /** For the Killing event. */
  message: string;
  /** Instead of the pod's, when a probe says so. */
  graceSeconds?: number;
}

export interface PodPlan {
  /** Undefined: the newest sandbox stays. */
  newSandbox?: { attempt: number };
  /** The sandbox that stays. */
  sandbox?: PodSandboxStatus;
  /** Sandboxes of which nothing may stay, with their containers. */
  discard: PodSandboxStatus[];
  kill: ContainerKill[];
  start: Container[];
  /** The pod's own containers have ended for good; sidecars that still run have nobody to serve. */
  complete?: boolean;
}

export interface PlanInput {
  pod: Pod;
  observed: ObservedPod;
  probeResult(containerId: string, kind: ProbeKind): 'success' | 'failure' | 'unknown' | undefined;
}

const nothing: Pick<PodPlan, 'discard' | 'kill' | 'start'> = { discard: [], kill: [], start: [] };

export function planPod(input: PlanInput): PodPlan {
  const { pod, observed } = input;
  const ready = observed.sandboxes.filter(({ state }) => state === 'SANDBOX_READY');
  const newest = observed.sandboxes[0];
  const usable =
    newest !== undefined &&
    ready.length === 1 &&
    newest.state === 'SANDBOX_READY' &&
    (newest.linux?.namespaces?.options?.network ?? 'POD') === (isHostNetwork(pod) ? 'NODE' : 'POD') &&
    (isHostNetwork(pod) || Boolean(newest.network?.ip));
  if (!usable) return planWithNewSandbox(pod, observed, newest, ready);
  const initActions = planInit(input, newest.id);
  if (!initActions.initialized)
    return { ...nothing, sandbox: newest, kill: initActions.kill, start: initActions.start };
  const plan: PodPlan = { discard: [], sandbox: newest, kill: [...initActions.kill], start: [...initActions.start] };
  for (const container of pod.spec?.containers ?? []) planContainer(input, newest.id, container, plan);
  const here = observed.containers.filter(({ podSandboxId }) => podSandboxId === newest.id);
  if (plan.start.length === 0 && podIsEnding(pod, here)) return { ...plan, complete: true };
  for (const container of pod.spec?.ephemeralContainers ?? [])
    if (!here.some(({ name }) => name === container.name)) plan.start.push(container);
  return plan;
}

function planWithNewSandbox(
  pod: Pod,
  observed: ObservedPod,
  newest: PodSandboxStatus | undefined,
  ready: PodSandboxStatus[],
): PodPlan {
  const containers = pod.spec?.containers ?? [];
  const restarting = containers.filter((container) => {
    const instance = observed.containers.find(({ name }) => name === container.name);
    return isRestarted(pod, container, instance?.state === 'CONTAINER_EXITED' ? instance.exitCode : undefined);
  });
  // Everything has ended, and nothing is started again: the sandbox went with it.
  if (restarting.length === 0) return { ...nothing, discard: ready };
  const first = pod.spec?.initContainers?.[0];
  return {
    newSandbox: { attempt: newest ? newest.metadata.attempt + 1 : 0 },
    discard: observed.sandboxes.filter(
      ({ id, state }) =>
        state === 'SANDBOX_READY' ||
        observed.containers.some((instance) => instance.podSandboxId === id && isRunning(instance)),
    ),
    kill: [],
    start: first ? [first] : restarting,
  };
}

/** Init containers one after the other; sidecars go on running. */
function planInit(
  input: PlanInput,
  sandboxId: string,
): { initialized: boolean; kill: ContainerKill[]; start: Container[] } {
  const { pod, observed } = input;
  const kill: ContainerKill[] = [];
  const start: Container[] = [];
  const initContainers = pod.spec?.initContainers ?? [];
  const here = observed.containers.filter(({ podSandboxId }) => podSandboxId === sandboxId);
  const instanceOf = ({ name }: Container) => here.find((instance) => instance.name === name);
  // Once a container of the pod has been made, the init containers are history; only sidecars are still looked after.
  const past = (pod.spec?.containers ?? []).some((container) => instanceOf(container));
  for (const [index, container] of initContainers.entries()) {
    const instance = instanceOf(container);
    const laterBegan = past || initContainers.slice(index + 1).some((later) => instanceOf(later));
    if (isSidecar(container)) {
      const before = kill.length + start.length;
      if (instance && isRunning(instance)) keepOrReplace(input, container, instance, { kill, start });
      else if (!past || !podIsEnding(pod, here)) start.push(container);
      const settled = kill.length + start.length === before;
      const started =
        settled && (!container.startupProbe || input.probeResult(instance?.id ?? '', 'startup') === 'success');
      if (!started && !laterBegan) return { initialized: false, kill, start };
      continue;
    }
    if (past) continue;
    if (!instance) {
      if (laterBegan) continue;
      return { initialized: false, kill, start: [...start, container] };
    }
    if (isRunning(instance)) return { initialized: false, kill, start };
    if (instance.state === 'CONTAINER_EXITED' && instance.exitCode === 0) continue;
    const exitCode = instance.state === 'CONTAINER_EXITED' ? instance.exitCode : undefined;
    // Init containers of pods that are always restarted are tried until they succeed.
    if (exitCode === undefined || isRestarted(pod, container, exitCode)) start.push(container);
    return { initialized: false, kill, start };
  }
  return { initialized: true, kill, start };
}

/** All containers have ended for good: sidecars are not started again. */
const podIsEnding = (pod: Pod, here: ObservedContainer[]): boolean =>
  (pod.spec?.containers ?? []).every((container) => {
    const instance = here.find(({ name }) => name === container.name);
    return instance?.state === 'CONTAINER_EXITED' && !isRestarted(pod, container, instance.exitCode);
  });

function planContainer(input: PlanInput, sandboxId: string, container: Container, plan: PodPlan): void {
  const { pod, observed } = input;
  const instance = observed.containers.find(({ name }) => name === container.name);
  if (instance && isRunning(instance) && instance.podSandboxId === sandboxId) {
    keepOrReplace(input, container, instance, plan);
    return;
  }
  const exitCode = instance?.state === 'CONTAINER_EXITED' ? instance.exitCode : undefined;
  if (isRestarted(pod, container, exitCode)) {
    // What the runtime lost track of may still run.
    if (instance?.state === 'CONTAINER_UNKNOWN')
      plan.kill.push({
        instance,
        container,
        message: `Container is in "unknown" state, try killing it before restart`,
      });
    plan.start.push(container);
  }
}

function keepOrReplace(
  { pod, probeResult }: PlanInput,
  container: Container,
  instance: ObservedContainer,
  plan: { kill: ContainerKill[]; start: Container[] },
): void {
  let message: string | undefined;
  let restart = isRestarted(pod, container, 137);
  let graceSeconds: number | undefined;
  if (instance.hash !== undefined && instance.hash !== containerHash(container)) {
    message = `Container ${container.name} definition changed`;
    restart = true;
  } else if (probeResult(instance.id, 'liveness') === 'failure')
    [message, graceSeconds] = [
      `Container ${container.name} failed liveness probe`,
      container.livenessProbe?.terminationGracePeriodSeconds,
    ];
  else if (probeResult(instance.id, 'startup') === 'failure')
    [message, graceSeconds] = [
      `Container ${container.name} failed startup probe`,
      container.startupProbe?.terminationGracePeriodSeconds,
    ];
  if (message === undefined) return;
  plan.kill.push({
    instance,
    container,
    message: restart ? `${message}, will be restarted` : message,
    ...(graceSeconds === undefined ? {} : { graceSeconds }),
  });
  if (restart) plan.start.push(container);
}
