/** The conditions that a kubelet owns on its pods. */
import { isSidecar } from '../../../machinery/api/pod-resources.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { ContainerStatus, Pod, PodCondition } from '../../../machinery/api/types.ts';
import type { Phase } from './phase.ts';

export const kubeletConditions = [
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
] as const;

/** Tells that a pod is ended for the node's sake; the kubelet sets it when it evicts, and when the node shuts down. */
export const disruptionTarget = 'DisruptionTarget';

/** Reasons of pods that the kubelet ended for the node's sake. */
export const disruptionReasons: readonly string[] = ['Evicted', 'Terminated'];

type Verdict = Pick<PodCondition, 'status' | 'reason' | 'message'>;
const isTrue: Verdict = { status: 'True' };

/** @param sandboxReady there is a sandbox with its network, in which containers may be started */
export function podConditions(
  pod: Pod,
  phase: Phase,
  statuses: ContainerStatus[],
  sandboxReady: boolean,
  previous: PodCondition[],
  now: string = formatTime(),
): PodCondition[] {
  const initialized = initializedCondition(pod, phase, statuses);
  const containersReady = containersReadyCondition(pod, phase, statuses);
  const verdicts: Record<(typeof kubeletConditions)[number], Verdict> = {
    PodReadyToStartContainers: { status: sandboxReady ? 'True' : 'False' },
    Initialized: initialized,
    Ready: readyCondition(pod, containersReady, previous),
    ContainersReady: containersReady,
    PodScheduled: isTrue,
  };
  const generation = pod.metadata?.generation;
  return kubeletConditions.map((type) => {
    const old = previous.find((condition) => condition.type === type);
    const verdict = verdicts[type];
    return {
      type,
      ...verdict,
      lastTransitionTime: old && old.status === verdict.status ? (old.lastTransitionTime ?? now) : now,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  });
}

function initializedCondition(pod: Pod, phase: Phase, statuses: ContainerStatus[]): Verdict {
  const unknown: string[] = [];
  const incomplete: string[] = [];
  for (const container of pod.spec?.initContainers ?? []) {
    const status = statuses.find(({ name }) => name === container.name);
    if (!status) unknown.push(container.name);
    else if (isSidecar(container) ? status.started !== true : status.ready !== true) incomplete.push(container.name);
  }
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'True', reason: 'PodCompleted' };
  // Sidecars end last: a pod whose containers have run has been initialized.
  const ran = (pod.spec?.containers ?? []).some(({ name }) => {
    const status = statuses.find((candidate) => candidate.name === name);
    return Boolean(status?.state?.running || status?.state?.terminated || status?.lastState?.terminated);
  });
  if (ran && unknown.length === 0 && incomplete.every((name) => isSidecarNamed(pod, name))) return isTrue;
  const parts = [
    ...(unknown.length ? [`containers with unknown status: [${unknown.join(' ')}]`] : []),
    ...(incomplete.length ? [`containers with incomplete status: [${incomplete.join(' ')}]`] : []),
  ];
  return parts.length ? { status: 'False', reason: 'ContainersNotInitialized', message: parts.join(', ') } : isTrue;
}

const isSidecarNamed = (pod: Pod, name: string): boolean =>
  (pod.spec?.initContainers ?? []).some((container) => container.name === name && isSidecar(container));

function containersReadyCondition(pod: Pod, phase: Phase, statuses: ContainerStatus[]): Verdict {
  const unknown: string[] = [];
  const unready: string[] = [];
  const counted = [...(pod.spec?.initContainers ?? []).filter(isSidecar), ...(pod.spec?.containers ?? [])];
  for (const { name } of counted) {
    const status = statuses.find((candidate) => candidate.name === name);
    if (!status) unknown.push(name);
    else if (!status.ready) unready.push(name);
  }
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const parts = [
    ...(unknown.length ? [`containers with unknown status: [${unknown.join(' ')}]`] : []),
    ...(unready.length ? [`containers with unready status: [${unready.join(' ')}]`] : []),
  ];
  return parts.length ? { status: 'False', reason: 'ContainersNotReady', message: parts.join(', ') } : isTrue;
}

function readyCondition(pod: Pod, containersReady: Verdict, conditions: PodCondition[]): Verdict {
  if (containersReady.status !== 'True') return containersReady;
  const problems: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = conditions.find(({ type }) => type === conditionType);
    if (!gate) problems.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (gate.status !== 'True')
      problems.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`);
  }
  return problems.length ? { status: 'False', reason: 'ReadinessGatesNotReady', message: problems.join(', ') } : isTrue;
}
