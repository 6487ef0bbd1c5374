/** Starts one container of a pod: image, configuration, create, start, postStart hook; each failure with upstream's reason and event. */
import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod, PodStatus } from '../../../machinery/api/types.ts';
import { RuntimeError } from '../../../machinery/cri/wire.ts';
import type { PodSandboxConfig } from '../cri/types.ts';
import { containerEnvironment } from '../environment/environment.ts';
import { ImageError } from '../images/pull.ts';
import { runLifecycleHook } from '../probes/lifecycle.ts';
import { containerConfig, makeLogFolder } from './container-config.ts';
import { fieldPathOf, isHostNetwork } from './containers.ts';
import type { PodContext } from './context.ts';
import { killContainer } from './kill.ts';
import { isRunning, newestOf, type ObservedPod } from './observed.ts';
import { containerLogLinks, podLogFolder } from './sandbox-config.ts';
import { nonRootProblem } from './security.ts';

/** Why a container waits: `reason` and message stand in its status. */
export class StartError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.name = 'StartError';
    this.reason = reason;
  }
}

export interface StartInput {
  pod: Pod;
  container: Container;
  observed: ObservedPod;
  previous: PodStatus | undefined;
  sandboxId: string;
  sandboxConfig: PodSandboxConfig;
  podIps: string[];
  signal: AbortSignal;
}

/** Without the prefix that names the RPC. */
const plainMessage = (error: unknown): string =>
  error instanceof RuntimeError ? error.details : (error as Error).message;

export async function startContainer(context: PodContext, input: StartInput): Promise<void> {
  const { pod, container, observed, sandboxId, sandboxConfig, podIps, signal } = input;
  const { runtime, events } = context;
  const path = fieldPathOf(pod, container.name);
  const fail = (reason: string, message: string): never => {
    events.pod(pod, 'Warning', 'Failed', `Error: ${message}`, path);
    throw new StartError(reason, message);
  };
  const image = await context.images.ensure(pod, container, sandboxConfig, signal).catch((error: unknown) => {
    if (error instanceof ImageError) {
      events.pod(pod, 'Warning', 'Failed', `Error: ${error.reason}`, path);
      throw new StartError(error.reason, error.message);
    }
    throw error;
  });
  const imageUser = {
    username: image.image?.username ?? '',
    ...(image.image?.uid ? { uid: image.image.uid.value } : {}),
  };
  const restartCount = await nextRestartCount(context, input);
  const config = await (async () => {
    const problem = nonRootProblem(pod, container, imageUser);
    if (problem) throw new Error(problem);
    await makeLogFolder(context.sandbox.podLogsDir, pod, container);
    const environment = await containerEnvironment({
      pod,
      container,
      podIps,
      hostIps: context.hostIps(),
      nodeName: context.nodeName,
      nodeAllocatable: context.nodeAllocatable(),
      services: context.services(pod),
      objects: context.objects,
    });
    const mounts = await context.volumes.mounts(pod, container, podIps);
    return containerConfig({
      pod,
      container,
      restartCount,
      image: { image: container.image ?? '', id: image.id },
      imageUser,
      environment,
      mounts,
      podLogsDir: context.sandbox.podLogsDir,
      resources: context.resources,
      security: context.sandbox,
      ...targetOf(pod, container, observed),
    });
  })().catch((error: Error) => fail('CreateContainerConfigError', error.message));
  signal.throwIfAborted();
  const containerId = await runtime
    .createContainer(sandboxId, config, sandboxConfig)
    .catch((error: unknown) => fail('CreateContainerError', plainMessage(error)));
  events.pod(pod, 'Normal', 'Created', 'Container created', path);
  await runtime.startContainer(containerId).catch((error: unknown) => fail('RunContainerError', plainMessage(error)));
  events.pod(pod, 'Normal', 'Started', 'Container started', path);
  const { podLogsDir } = context.sandbox;
  await linkLog(podLogsDir, pod, container, containerId, config.logPath).catch((error: Error) =>
    context.log.warn(`cannot link the log of ${pod.metadata?.name}/${container.name}: ${error.message}`),
  );
  const hook = container.lifecycle?.postStart;
  if (!hook) return;
  try {
    await runLifecycleHook({ runtime, pod, container, containerId, podIp: podIps[0] ?? '', hook, signal });
  } catch (error) {
    events.pod(pod, 'Warning', 'FailedPostStartHook', 'PostStartHook failed', path);
    const now = await context.observer.refresh(
      pod.metadata?.uid ?? '',
      pod.metadata?.namespace ?? '',
      pod.metadata?.name ?? '',
    );
    const instance = now.containers.find(({ id }) => id === containerId);
    const ips = isHostNetwork(pod) ? context.hostIps() : podIps;
    if (instance)
      await killContainer(
        context,
        pod,
        instance,
        ips,
        pod.spec?.terminationGracePeriodSeconds ?? 30,
        `FailedPostStartHook`,
        signal,
      );
    throw new StartError('PostStartHookError', (error as Error).message);
  }
}

function targetOf(pod: Pod, { name }: Container, observed: ObservedPod): { targetId: string } | undefined {
  const target = pod.spec?.ephemeralContainers?.find((candidate) => candidate.name === name)?.targetContainerName;
  if (!target) return undefined;
  const instance = observed.containers.find((candidate) => candidate.name === target && isRunning(candidate));
  if (!instance) throw new Error(`unable to find target container ${target}`);
  return { targetId: instance.id };
}

/** One more than the last; after a reboot, when the runtime has forgotten everything, the logs still tell. */
async function nextRestartCount(
  context: PodContext,
  { pod, container, observed, previous }: StartInput,
): Promise<number> {
  const instance = newestOf(observed, container.name);
  if (instance) return instance.restartCount + 1;
  const known = [...(previous?.containerStatuses ?? []), ...(previous?.initContainerStatuses ?? [])].find(
    ({ name }) => name === container.name,
  );
  const folder = join(podLogFolder(context.sandbox.podLogsDir, pod), container.name);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const counts = names.map((name) => Number(/^(\d+)\.log/.exec(name)?.[1] ?? -1));
  return Math.max(known?.restartCount ?? 0, ...counts.map((count) => count + 1), 0);
}

/** Log shippers look for `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`. */
async function linkLog(
  podLogsDir: string,
  pod: Pod,
  container: Container,
  containerId: string,
  logPath: string,
): Promise<void> {
  const folder = containerLogLinks(podLogsDir);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const name = `${pod.metadata?.name}_${pod.metadata?.namespace}_${container.name}`;
  const link = join(folder, `${name.slice(0, 255 - containerId.length - 5)}-${containerId}.log`);
  await rm(link, { force: true });
  await symlink(join(podLogFolder(podLogsDir, pod), logPath), link);
}
