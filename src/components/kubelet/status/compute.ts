/** The status of a pod, from its spec, what the runtime has of it, and what the probes say. */
import { isSidecar, qosClassOf } from '../../../machinery/api/pod-resources.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { ContainerStatus, Pod, PodCondition, PodStatus } from '../../../machinery/api/types.ts';
import { containerNamed, isHostNetwork } from '../pods/containers.ts';
import { type ObservedPod, sandboxIps } from '../pods/observed.ts';
import type { ProbeKind } from '../types.ts';
import { disruptionReasons, disruptionTarget, kubeletConditions, podConditions } from './conditions.ts';
import { containerStatuses, type WaitingReason } from './containers.ts';
import { type Phase, phaseOf } from './phase.ts';

export interface StatusInput {
  pod: Pod;
  observed: ObservedPod;
  /** The last status that was computed, or the API server's. */
  previous: PodStatus | undefined;
  waiting: ReadonlyMap<string, WaitingReason>;
  /** Undefined where the container has no such probe. */
  probeResult(containerId: string, kind: ProbeKind): 'success' | 'failure' | 'unknown' | undefined;
  hostIps: string[];
  /** The pod will not run anything again. */
  terminal: boolean;
  /** Set when the kubelet itself ended the pod: phase Failed with this reason (Evicted, OutOfcpu, …). */
  ended?: { reason: string; message: string };
  runtimeName: string;
  now?: Date;
}

export function podStatus(input: StatusInput): PodStatus {
  const { pod, observed, previous, waiting, hostIps, runtimeName } = input;
  const now = formatTime(input.now);
  const common = { pod, observed, waiting, runtimeName };
  const initStatuses = containerStatuses({
    ...common,
    previous: previous?.initContainerStatuses ?? [],
    containers: pod.spec?.initContainers ?? [],
    isInit: true,
  });
  const appStatuses = containerStatuses({
    ...common,
    previous: previous?.containerStatuses ?? [],
    containers: pod.spec?.containers ?? [],
    isInit: false,
  });
  for (const status of [...initStatuses, ...appStatuses]) addReadiness(status, input);
  const all = [...initStatuses, ...appStatuses];
  const ephemeral = containerStatuses({
    ...common,
    previous: previous?.ephemeralContainerStatuses ?? [],
    containers: pod.spec?.ephemeralContainers ?? [],
    isInit: false,
  });
  const sandbox = observed.sandboxes.find(({ state }) => state === 'SANDBOX_READY');
  const initialized = isInitialized(pod, all);
  const phase: Phase = input.ended
    ? 'Failed'
    : keepTerminal(previous?.phase, phaseOf(pod, all, input.terminal, initialized));
  const podIps = isHostNetwork(pod) ? hostIps : sandboxIps(observed);
  const ips = podIps.length ? podIps : (previous?.podIPs ?? []).map(({ ip }) => ip);
  const sandboxReady = sandbox !== undefined && (isHostNetwork(pod) || sandboxIps(observed).length > 0);
  const disrupted = disruptionReasons.includes(input.ended?.reason ?? '');
  // Conditions of others (readiness gates) are newer in the API's object than in what was computed last.
  const others = (pod.status?.conditions ?? previous?.conditions ?? []).filter(
    ({ type }) => !(kubeletConditions as readonly string[]).includes(type) && !(disrupted && type === disruptionTarget),
  );
  const own = (previous?.conditions ?? []).filter(({ type }) => !others.some((other) => other.type === type));
  const conditions = podConditions(pod, phase, all, sandboxReady, [...own, ...others], now);
  const known = previous?.conditions?.find(({ type }) => type === disruptionTarget);
  const disruption: PodCondition[] = disrupted
    ? [
        {
          type: disruptionTarget,
          status: 'True',
          reason: 'TerminationByKubelet',
          message: input.ended?.message ?? '',
          lastTransitionTime: known?.lastTransitionTime ?? now,
          ...(pod.metadata?.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
        },
      ]
    : [];
  return {
    phase,
    conditions: [...conditions, ...disruption, ...others],
    ...(input.ended ?? reasonOf(phase, previous)),
    ...(hostIps[0] ? { hostIP: hostIps[0], hostIPs: hostIps.map((ip) => ({ ip })) } : {}),
    ...(ips[0] ? { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) } : {}),
    startTime: previous?.startTime ?? now,
    ...(initStatuses.length ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: appStatuses,
    ...(ephemeral.length ? { ephemeralContainerStatuses: ephemeral } : {}),
    qosClass: previous?.qosClass ?? qosClassOf(pod),
    ...(pod.metadata?.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
  };
}

/** Why a pod has ended stays true as long as it has, also for a kubelet that did not see it. */
function reasonOf(phase: Phase, previous: PodStatus | undefined): Pick<PodStatus, 'reason' | 'message'> {
  if (phase !== previous?.phase || (phase !== 'Failed' && phase !== 'Succeeded')) return {};
  const { reason, message } = previous;
  return { ...(reason ? { reason } : {}), ...(message ? { message } : {}) };
}

/** A pod that has ended stays so. */
function keepTerminal(before: string | undefined, now: Phase): Phase {
  return before === 'Succeeded' || before === 'Failed' ? before : now;
}

function addReadiness(status: ContainerStatus, { pod, probeResult }: StatusInput): void {
  const container = containerNamed(pod, status.name);
  const init = pod.spec?.initContainers?.some(({ name }) => name === status.name);
  if (!container || (init && !isSidecar(container))) {
    status.started = status.state?.running !== undefined;
    return;
  }
  status.started = false;
  status.ready = false;
  if (!status.state?.running) return;
  const id = (status.containerID ?? '').replace(/^[^:]+:\/\//, '');
  status.started = !container.startupProbe || probeResult(id, 'startup') === 'success';
  status.ready = status.started && (!container.readinessProbe || probeResult(id, 'readiness') === 'success');
}

/** Every init container has ended well (sidecars: has started), or a container of the pod has run already. */
export function isInitialized(pod: Pod, statuses: ContainerStatus[]): boolean {
  const statusOf = (name: string) => statuses.find((status) => status.name === name);
  const ran = (pod.spec?.containers ?? []).some(({ name }) => {
    const status = statusOf(name);
    return Boolean(status?.state?.running || status?.state?.terminated || status?.lastState?.terminated);
  });
  if (ran) return true;
  return (pod.spec?.initContainers ?? []).every((container) => {
    const status = statusOf(container.name);
    return isSidecar(container) ? status?.started === true : status?.state?.terminated?.exitCode === 0;
  });
}
