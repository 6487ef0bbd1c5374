/** Pods: ready containers, the status in one word, restarts. */
import { findCondition, isConditionTrue } from '../../../../machinery/api/conditions.ts';
import type { ContainerStatus, Pod } from '../../../../machinery/api/types.ts';
import { since } from '../format.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer, type TableRowCondition, wide } from '../printer.ts';

interface Summary {
  ready: number;
  restarts: number;
  /** When a container last ended before a restart. */
  lastRestart: string | undefined;
  reason: string;
}

const later = (a: string | undefined, b: string | undefined): string | undefined =>
  !a || (b && Date.parse(a) < Date.parse(b)) ? b : a;

const lastEnd = (status: ContainerStatus): string | undefined => status.lastState?.terminated?.finishedAt;

/** `Error`, or what the exit code or the signal was when the runtime gave no reason. */
function endReason(terminated: { reason?: string; signal?: number; exitCode?: number }): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode ?? 0}`;
}

function initialReason({ status }: Pod): string {
  const gated = status?.conditions?.some(({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated');
  return gated ? 'SchedulingGated' : status?.reason || status?.phase || '';
}

/** Walks the init containers up to the one that is still to finish. */
function initSummary(
  pod: Pod,
): Summary & { initializing: boolean; sidecars: Pick<Summary, 'restarts' | 'lastRestart'> } {
  const specs = pod.spec?.initContainers ?? [];
  const sidecarNames = new Set(specs.filter(({ restartPolicy }) => restartPolicy === 'Always').map(({ name }) => name));
  const summary = { ready: 0, restarts: 0, lastRestart: undefined as string | undefined, reason: initialReason(pod) };
  const sidecars = { restarts: 0, lastRestart: undefined as string | undefined };
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const isSidecar = sidecarNames.has(status.name);
    for (const sums of isSidecar ? [summary, sidecars] : [summary]) {
      sums.restarts += status.restartCount ?? 0;
      sums.lastRestart = later(sums.lastRestart, lastEnd(status));
    }
    const { terminated, waiting } = status.state ?? {};
    if (terminated && (terminated.exitCode ?? 0) === 0) continue;
    if (isSidecar && status.started) {
      if (status.ready) summary.ready++;
      continue;
    }
    if (terminated) summary.reason = `Init:${endReason(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') summary.reason = `Init:${waiting.reason}`;
    else summary.reason = `Init:${index}/${specs.length}`;
    return { ...summary, initializing: true, sidecars };
  }
  return { ...summary, initializing: false, sidecars };
}

export function podSummary(pod: Pod): Summary {
  const init = initSummary(pod);
  const summary: Summary = init;
  if (!init.initializing || isConditionTrue(pod.status?.conditions, 'Initialized')) {
    Object.assign(summary, init.sidecars);
    let running = false;
    for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
      summary.restarts += status.restartCount ?? 0;
      summary.lastRestart = later(summary.lastRestart, lastEnd(status));
      const { waiting, terminated, running: runs } = status.state ?? {};
      if (waiting?.reason) summary.reason = waiting.reason;
      else if (terminated) summary.reason = endReason(terminated);
      else if (status.ready && runs) {
        running = true;
        summary.ready++;
      }
    }
    if (summary.reason === 'Completed' && running) {
      summary.reason = isConditionTrue(pod.status?.conditions, 'Ready') ? 'Running' : 'NotReady';
    }
  }
  if (pod.metadata?.deletionTimestamp) {
    const { phase, reason } = pod.status ?? {};
    if (reason === 'NodeLost') summary.reason = 'Unknown';
    else if (phase !== 'Failed' && phase !== 'Succeeded') summary.reason = 'Terminating';
  }
  return summary;
}

function readinessGates({ spec, status }: Pod): string {
  const gates = spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const met = gates.filter(({ conditionType }) => findCondition(status?.conditions, conditionType)?.status === 'True');
  return `${met.length}/${gates.length}`;
}

const ended: Record<string, TableRowCondition[]> = {
  Succeeded: [
    { type: 'Completed', status: 'True', reason: 'Succeeded', message: 'The pod has completed successfully.' },
  ],
  Failed: [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }],
};

export const podPrinter = printer<Pod>({
  columns: [
    nameColumn,
    column('Ready', 'string', 'Ready containers of all containers.'),
    column('Status', 'string', 'State of the containers in one word.'),
    column('Restarts', 'string', 'How often containers were restarted, and when last.'),
    ageColumn,
    wide('IP', 'string', 'First IP address of the pod.'),
    wide('Node', 'string', 'Node that the pod is bound to.'),
    wide('Nominated Node', 'string', 'Node where pods are preempted to make room.'),
    wide('Readiness Gates', 'string', 'Conditions met of those that readiness waits for.'),
  ],
  cells(pod, now) {
    const { ready, restarts, lastRestart, reason } = podSummary(pod);
    const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always').length;
    const total = (pod.spec?.containers?.length ?? 0) + sidecars;
    return [
      nameOf(pod),
      `${ready}/${total}`,
      reason,
      restarts !== 0 && lastRestart ? `${restarts} (${since(lastRestart, now)} ago)` : String(restarts),
      ageOf(pod, now),
      pod.status?.podIPs?.[0]?.ip || '<none>',
      pod.spec?.nodeName || '<none>',
      pod.status?.nominatedNodeName || '<none>',
      readinessGates(pod),
    ];
  },
  conditions: (pod) => ended[pod.status?.phase ?? ''],
});
