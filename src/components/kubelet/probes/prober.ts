/** Probes of running containers: one timer each, thresholds, startup before the others, results and events. */

import type { ContainerStatus, Probe } from '../../../machinery/api/types.ts';
import { MetricsRegistry } from '../../../machinery/serving/metrics.ts';
import type { ProbeKind, Prober, ProberOptions, ProbeTarget } from '../types.ts';
import { type ProbeOutcome, runProbe } from './run-probe.ts';

type Result = 'success' | 'failure' | 'unknown';

interface Worker {
  kind: ProbeKind;
  probe: Probe;
  result: Result;
  last: Result;
  /** How often in a row the last run ended the same way. */
  run: number;
  timer: NodeJS.Timeout | undefined;
  running: boolean;
  /** After a failure that ends the container, until there is a new one. */
  onHold: boolean;
}

interface Tracked {
  target: ProbeTarget;
  workers: Map<ProbeKind, Worker>;
}

const kinds: { kind: ProbeKind; title: string; field: 'startupProbe' | 'livenessProbe' | 'readinessProbe' }[] = [
  { kind: 'startup', title: 'Startup', field: 'startupProbe' },
  { kind: 'liveness', title: 'Liveness', field: 'livenessProbe' },
  { kind: 'readiness', title: 'Readiness', field: 'readinessProbe' },
];
const titles = Object.fromEntries(kinds.map(({ kind, title }) => [kind, title]));
/** Runs that could not be made are tried again at once. */
const tries = 3;

export function createProber(options: ProberOptions): Prober {
  const { runtime, onChange, recordEvent } = options;
  const born = Date.now();
  const tracked = new Map<string, Tracked>();
  const counts = createCounts();

  const periodMs = (probe: Probe) => (probe.periodSeconds || 10) * 1000;

  const schedule = (entry: Tracked, worker: Worker, delayMs: number) => {
    clearTimeout(worker.timer);
    worker.timer = setTimeout(() => void round(entry, worker), delayMs);
  };

  /** One turn of a worker; never throws. */
  const round = async (entry: Tracked, worker: Worker): Promise<void> => {
    const began = Date.now();
    worker.running = true;
    await probeOnce(entry, worker);
    worker.running = false;
    if (worker.onHold || tracked.get(entry.target.containerId) !== entry) return;
    // A startup probe has done its duty once it succeeded.
    if (worker.kind === 'startup' && worker.result === 'success') return;
    schedule(entry, worker, Math.max(0, periodMs(worker.probe) - (Date.now() - began)));
  };

  const probeOnce = async (entry: Tracked, worker: Worker): Promise<void> => {
    const { target } = entry;
    const { kind, probe } = worker;
    if (target.pod.metadata?.deletionTimestamp && kind !== 'readiness') {
      // So that a pod on its way out is not killed early.
      worker.result = 'success';
      worker.onHold = true;
      return;
    }
    if (kind !== 'startup' && (entry.workers.get('startup')?.result ?? 'success') !== 'success') return;
    const outcome = await attempt(entry, worker);
    if (tracked.get(target.containerId) !== entry || !outcome) return;
    const result = outcome.result === 'failure' ? 'failure' : 'success';
    counts.add(target, kind, outcome.result === 'failure' ? 'failed' : 'successful');
    worker.run = worker.last === result ? worker.run + 1 : 1;
    worker.last = result;
    const threshold = result === 'failure' ? (probe.failureThreshold ?? 3) : (probe.successThreshold ?? 1);
    if (worker.run < threshold) return;
    const changed = worker.result !== result;
    worker.result = result;
    if (result === 'failure' && kind !== 'readiness') {
      worker.onHold = true;
      worker.run = 0;
    }
    if (!changed) return;
    if (kind === 'startup' && result === 'success') for (const other of entry.workers.values()) wake(entry, other);
    onChange({
      podUid: target.pod.metadata?.uid ?? '',
      containerName: target.container.name,
      containerId: target.containerId,
      kind,
      result,
      message: outcome.message,
    });
  };

  /** The others need not wait for their turn when the container has started. */
  const wake = (entry: Tracked, worker: Worker) => {
    if (worker.kind !== 'startup' && !worker.running && !worker.onHold)
      schedule(entry, worker, untilInitialDelay(entry.target, worker.probe));
  };

  /** undefined: the run could not be made and does not count. */
  const attempt = async ({ target }: Tracked, { kind, probe }: Worker): Promise<ProbeOutcome | undefined> => {
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      recordEvent(target.pod, target.container.name, type, reason, message);
    for (let left = tries; ; left -= 1) {
      try {
        const outcome = await runProbe(probe, target, runtime);
        if (!tracked.has(target.containerId)) return undefined;
        if (outcome.result === 'failure')
          tell('Warning', 'Unhealthy', `${titles[kind]} probe failed: ${outcome.message}`);
        if (outcome.result === 'warning')
          tell('Warning', 'ProbeWarning', `${titles[kind]} probe warning: ${outcome.message}`);
        return outcome;
      } catch (error) {
        if (left > 1) continue;
        counts.add(target, kind, 'unknown');
        const { message } = error as Error;
        tell('Warning', 'Unhealthy', `${titles[kind]} probe errored and resulted in unknown state: ${message}`);
        return undefined;
      }
    }
  };

  const drop = (entry: Tracked) => {
    for (const worker of entry.workers.values()) clearTimeout(worker.timer);
    tracked.delete(entry.target.containerId);
  };

  return {
    track(target) {
      const known = tracked.get(target.containerId);
      if (known) {
        known.target = { ...known.target, pod: target.pod, podIp: target.podIp || known.target.podIp };
        return;
      }
      const entry: Tracked = { target, workers: new Map() };
      for (const { kind, field } of kinds) {
        const probe = target.container[field];
        if (probe) entry.workers.set(kind, newWorker(kind, probe, target));
      }
      tracked.set(target.containerId, entry);
      for (const worker of entry.workers.values()) {
        if (worker.kind === 'startup' && worker.result === 'success') continue;
        const period = periodMs(worker.probe);
        // After a start of the kubelet not all probes should run at the same moment.
        const jitter = Date.now() - born < period ? Math.random() * period : 0;
        schedule(entry, worker, Math.max(untilInitialDelay(target, worker.probe), jitter));
      }
    },
    untrack(containerId) {
      const entry = tracked.get(containerId);
      if (entry) drop(entry);
    },
    untrackPod(podUid) {
      for (const entry of [...tracked.values()]) if (entry.target.pod.metadata?.uid === podUid) drop(entry);
      counts.forget(podUid);
    },
    stop() {
      for (const entry of [...tracked.values()]) drop(entry);
    },
    result: (containerId, kind) => tracked.get(containerId)?.workers.get(kind)?.result,
    metrics: () => counts.text(),
  };
}

function newWorker(kind: ProbeKind, probe: Probe, target: ProbeTarget): Worker {
  const known = knownStatus(target);
  const before = kind === 'startup' ? known?.started : kind === 'readiness' ? known?.ready : undefined;
  const result = before ? 'success' : kind === 'liveness' ? 'success' : 'unknown';
  return { kind, probe, result, last: 'unknown', run: 0, timer: undefined, running: false, onHold: false };
}

function knownStatus({ pod, containerId }: ProbeTarget): ContainerStatus | undefined {
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return all.find(({ containerID }) => containerID?.endsWith(`://${containerId}`));
}

const untilInitialDelay = ({ startedAt }: ProbeTarget, probe: Probe): number =>
  Math.max(0, startedAt.getTime() + (probe.initialDelaySeconds ?? 0) * 1000 - Date.now());

/** Runs counted per probe and result, forgotten with the pod. */
function createCounts() {
  const known = new Map<string, { labels: Record<string, string>; value: number }>();
  const labelsOf = ({ pod, container }: ProbeTarget) => ({
    container: container.name,
    namespace: pod.metadata?.namespace ?? '',
    pod: pod.metadata?.name ?? '',
    pod_uid: pod.metadata?.uid ?? '',
  });
  return {
    add(target: ProbeTarget, kind: ProbeKind, result: string) {
      const labels = { ...labelsOf(target), probe_type: titles[kind] ?? kind, result };
      const key = JSON.stringify(labels);
      const entry = known.get(key) ?? { labels, value: 0 };
      entry.value += 1;
      known.set(key, entry);
    },
    forget(podUid: string) {
      for (const [key, { labels }] of known) if (labels['pod_uid'] === podUid) known.delete(key);
    },
    text() {
      const registry = new MetricsRegistry();
      const help = 'Cumulative number of a liveness, readiness or startup probe for a container by result.';
      const counter = registry.counter('prober_probe_total', help);
      for (const { labels, value } of known.values()) counter.inc(labels, value);
      return registry.text();
    },
  };
}
