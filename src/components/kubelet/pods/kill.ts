/** Ends containers: preStop hook, stop signal, grace period, kill; the pod's own containers before the sidecars that serve them. */
import { isSidecar } from '../../../machinery/api/pod-resources.ts';
import type { Container, LifecycleHandler, Pod } from '../../../machinery/api/types.ts';
import { annotations } from '../cri/labels.ts';
import { runLifecycleHook } from '../probes/lifecycle.ts';
import { allContainers, containerNamed, fieldPathOf } from './containers.ts';
import type { PodContext } from './context.ts';
import { isRunning, type ObservedContainer, type ObservedPod, sandboxIps } from './observed.ts';

/** Even after a long preStop hook a process gets this much to end by itself. */
const minimumGraceSeconds = 2;
const defaultGraceSeconds = 30;

type KillContext = Pick<PodContext, 'runtime' | 'events' | 'log' | 'prober' | 'hostIps'>;

/** Seconds; `pod` undefined for pods of which only the runtime knows. */
export function gracePeriod(pod: Pod | undefined, instance?: ObservedContainer): number {
  const fromAnnotation = (name: string) => {
    const value = instance?.annotations[name];
    return value === undefined ? undefined : Number(value);
  };
  return (
    pod?.metadata?.deletionGracePeriodSeconds ??
    fromAnnotation(annotations.podDeletionGracePeriod) ??
    pod?.spec?.terminationGracePeriodSeconds ??
    fromAnnotation(annotations.podTerminationGracePeriod) ??
    defaultGraceSeconds
  );
}

/** @param signal fires when the container must go faster: the hook is cut short */
export async function killContainer(
  context: KillContext,
  pod: Pod | undefined,
  instance: ObservedContainer,
  ips: string[],
  graceSeconds: number,
  message: string,
  signal?: AbortSignal,
): Promise<void> {
  const { runtime, events, log } = context;
  const path = pod ? fieldPathOf(pod, instance.name) : undefined;
  if (pod) events.pod(pod, 'Normal', 'Killing', message, path);
  const container = pod ? containerNamed(pod, instance.name) : undefined;
  const hook = preStopOf(container, instance);
  const started = Date.now();
  if (pod && hook && graceSeconds > 0) {
    const limit = AbortSignal.timeout(graceSeconds * 1000);
    try {
      await runLifecycleHook({
        runtime,
        pod,
        container: container ?? { name: instance.name },
        containerId: instance.id,
        podIp: ips[0] ?? '',
        hook,
        signal: signal ? AbortSignal.any([limit, signal]) : limit,
      });
    } catch (error) {
      log.warn({ pod: pod.metadata?.name, container: instance.name }, `preStop: ${(error as Error).message}`);
      if (!limit.aborted) events.pod(pod, 'Warning', 'FailedPreStopHook', 'PreStopHook failed', path);
    }
  }
  const left = Math.max(graceSeconds - Math.floor((Date.now() - started) / 1000), 0);
  await runtime.stopContainer(instance.id, graceSeconds === 0 ? 0 : Math.max(left, minimumGraceSeconds));
  context.prober.untrack(instance.id);
}

function preStopOf(container: Container | undefined, instance: ObservedContainer): LifecycleHandler | undefined {
  if (container) return container.lifecycle?.preStop;
  const text = instance.annotations[annotations.preStopHandler];
  return text ? (JSON.parse(text) as LifecycleHandler) : undefined;
}

/** Ends all containers of a pod and stops its sandboxes. Throws when something could not be ended. */
export async function killPod(
  context: KillContext,
  pod: Pod | undefined,
  observed: ObservedPod,
  graceSeconds: number | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const started = Date.now();
  const ips = pod?.spec?.hostNetwork ? context.hostIps() : sandboxIps(observed);
  const alive = observed.containers.filter(
    ({ state }) => state === 'CONTAINER_RUNNING' || state === 'CONTAINER_UNKNOWN',
  );
  const order = pod ? allContainers(pod) : [];
  const sidecarIndex = (instance: ObservedContainer) =>
    order.findIndex((container) => container.name === instance.name && isSidecar(container));
  const stop = (instance: ObservedContainer) => {
    const whole = graceSeconds ?? gracePeriod(pod, instance);
    const left = Math.max(whole - Math.floor((Date.now() - started) / 1000), 0);
    return killContainer(context, pod, instance, ips, left, `Stopping container ${instance.name}`, signal);
  };
  const plain = alive.filter((instance) => sidecarIndex(instance) < 0);
  const last = alive
    .filter((instance) => sidecarIndex(instance) >= 0)
    .sort((a, b) => sidecarIndex(b) - sidecarIndex(a));
  const problems: string[] = [];
  for (const result of await Promise.allSettled(plain.map(stop)))
    if (result.status === 'rejected') problems.push((result.reason as Error).message);
  for (const instance of last) {
    try {
      await stop(instance);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  if (problems.length === 0)
    for (const sandbox of observed.sandboxes)
      if (sandbox.state === 'SANDBOX_READY') await context.runtime.stopPodSandbox(sandbox.id);
  if (problems.length) throw new Error(`error killing pod: ${problems.join('; ')}`);
}

export const hasRunning = (observed: ObservedPod): boolean =>
  observed.containers.some((instance) => isRunning(instance) || instance.state === 'CONTAINER_UNKNOWN') ||
  observed.sandboxes.some(({ state }) => state === 'SANDBOX_READY');
