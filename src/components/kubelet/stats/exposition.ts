/** /metrics/resource and /metrics/cadvisor: the observation in Prometheus' format, with upstream's names. */
import { escapeValue } from '../../../machinery/serving/metrics.ts';
import type { Observation } from './observation.ts';

type Labels = Record<string, string>;
type Sample = [labels: Labels, value: number | undefined, timeMs?: number];

function family(name: string, type: 'counter' | 'gauge', help: string, samples: Sample[]): string {
  const known = samples.filter(([, value]) => value !== undefined);
  if (known.length === 0) return '';
  const lines = known.map(([labels, value, timeMs]) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeValue(text)}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}${timeMs === undefined ? '' : ` ${timeMs}`}`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
}

const seconds = (nanoseconds: number | undefined): number | undefined =>
  nanoseconds === undefined ? undefined : nanoseconds / 1e9;

export function resourceMetrics({ time, pods, memory, cpuNanoseconds }: Observation): string {
  const at = time.getTime();
  const ofPods = (read: (pod: Observation['pods'][number]) => number | undefined): Sample[] =>
    pods.map((pod) => [
      { namespace: pod.pod.metadata?.namespace ?? '', pod: pod.pod.metadata?.name ?? '' },
      read(pod),
      at,
    ]);
  const ofContainers = (
    read: (container: Observation['pods'][number]['containers'][number]) => number | undefined,
    withTime = true,
  ): Sample[] =>
    pods.flatMap(({ pod, containers }) =>
      containers.map((container): Sample => {
        const { namespace = '', name = '' } = pod.metadata ?? {};
        const value = read(container);
        const labels = { container: container.name, namespace, pod: name };
        return withTime ? [labels, value, at] : [labels, value];
      }),
    );
  return [
    family(
      'container_cpu_usage_seconds_total',
      'counter',
      '[STABLE] Cumulative cpu time consumed by the container in core-seconds',
      ofContainers(({ usage }) => seconds(usage.cpuNanoseconds)),
    ),
    family(
      'container_memory_working_set_bytes',
      'gauge',
      '[STABLE] Current working set of the container in bytes',
      ofContainers(({ usage }) => usage.workingSetBytes),
    ),
    family(
      'container_start_time_seconds',
      'gauge',
      '[STABLE] Start time of the container since unix epoch in seconds',
      ofContainers(({ startTime }) => (startTime ? Date.parse(startTime) / 1000 : undefined), false),
    ),
    family(
      'container_swap_usage_bytes',
      'gauge',
      '[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems',
      ofContainers(({ usage }) => usage.swapBytes),
    ),
    family(
      'node_cpu_usage_seconds_total',
      'counter',
      '[STABLE] Cumulative cpu time consumed by the node in core-seconds',
      [[{}, seconds(cpuNanoseconds), at]],
    ),
    family('node_memory_working_set_bytes', 'gauge', '[STABLE] Current working set of the node in bytes', [
      [{}, memory.workingSetBytes, at],
    ]),
    family(
      'node_swap_usage_bytes',
      'gauge',
      '[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems',
      [[{}, memory.swapTotalBytes - memory.swapFreeBytes, at]],
    ),
    family(
      'pod_cpu_usage_seconds_total',
      'counter',
      '[STABLE] Cumulative cpu time consumed by the pod in core-seconds',
      ofPods(({ usage }) => seconds(usage.cpuNanoseconds)),
    ),
    family(
      'pod_memory_working_set_bytes',
      'gauge',
      '[STABLE] Current working set of the pod in bytes',
      ofPods(({ usage }) => usage.workingSetBytes),
    ),
    family(
      'pod_swap_usage_bytes',
      'gauge',
      '[ALPHA] Current amount of the pod swap usage in bytes. Reported only on non-windows systems',
      ofPods(({ usage }) => usage.swapBytes),
    ),
    family(
      'resource_scrape_error',
      'gauge',
      '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise',
      [[{}, 0]],
    ),
  ].join('');
}

export interface MachineFacts {
  cores: number;
  kernelVersion: string;
  osVersion: string;
}

export function cadvisorMetrics({ time, pods, memory, cpuNanoseconds }: Observation, facts: MachineFacts): string {
  const at = time.getTime();
  const groups = pods.flatMap(({ pod, cgroup, usage, containers }) => {
    const { namespace = '', name: podName = '' } = pod.metadata ?? {};
    const ofPod = { labels: { container: '', id: cgroup ?? '', image: '', name: '', namespace, pod: podName }, usage };
    const ofContainers = containers.map((one) => ({
      labels: { container: one.name, id: one.cgroup ?? '', image: one.image, name: one.id, namespace, pod: podName },
      usage: one.usage,
      startTime: one.startTime,
      rootfsBytes: one.rootfsBytes,
    }));
    return [{ ...ofPod, startTime: pod.status?.startTime, rootfsBytes: undefined }, ...ofContainers];
  });
  const root = { container: '', id: '/', image: '', name: '', namespace: '', pod: '' };
  const each = (read: (group: (typeof groups)[number]) => number | undefined): Sample[] =>
    groups.map((group) => [group.labels, read(group), at]);
  const network = (read: (one: Observation['pods'][number]['network'][number]) => number): Sample[] =>
    pods.flatMap(({ pod, cgroup, network: all }) =>
      all.map((one): Sample => {
        const { namespace = '', name = '' } = pod.metadata ?? {};
        const labels = {
          container: '',
          id: cgroup ?? '',
          image: '',
          interface: one.name,
          name: '',
          namespace,
          pod: name,
        };
        return [labels, read(one), at];
      }),
    );
  const version = {
    cadvisorRevision: '',
    cadvisorVersion: '',
    dockerVersion: '',
    ...{ kernelVersion: facts.kernelVersion, osVersion: facts.osVersion },
  };
  const cpu: Sample[] = [
    [{ ...root, cpu: 'total' }, seconds(cpuNanoseconds), at],
    ...groups.map(({ labels, usage }): Sample => [{ ...labels, cpu: 'total' }, seconds(usage.cpuNanoseconds), at]),
  ];
  return [
    family(
      'cadvisor_version_info',
      'gauge',
      "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
      [[version, 1]],
    ),
    family('container_cpu_usage_seconds_total', 'counter', 'Cumulative cpu time consumed in seconds.', cpu),
    family(
      'container_memory_usage_bytes',
      'gauge',
      'Current memory usage in bytes, including all memory regardless of when it was accessed',
      [[root, memory.usageBytes, at], ...each(({ usage }) => usage.memoryBytes)],
    ),
    family('container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.', [
      [root, memory.workingSetBytes, at],
      ...each(({ usage }) => usage.workingSetBytes),
    ]),
    family('container_memory_rss', 'gauge', 'Size of RSS in bytes.', [
      [root, memory.rssBytes, at],
      ...each(({ usage }) => usage.rssBytes),
    ]),
    family(
      'container_memory_cache',
      'gauge',
      'Number of bytes of page cache memory.',
      each(({ usage }) => usage.cacheBytes),
    ),
    family(
      'container_memory_swap',
      'gauge',
      'Container swap usage in bytes.',
      each(({ usage }) => usage.swapBytes),
    ),
    family(
      'container_spec_memory_limit_bytes',
      'gauge',
      'Memory limit for the container.',
      each(({ usage }) => usage.memoryLimitBytes ?? 0),
    ),
    family(
      'container_processes',
      'gauge',
      'Number of processes running inside the container.',
      each(({ usage }) => usage.processes),
    ),
    family(
      'container_fs_usage_bytes',
      'gauge',
      'Number of bytes that are consumed by the container on this filesystem.',
      each(({ rootfsBytes }) => rootfsBytes),
    ),
    family(
      'container_start_time_seconds',
      'gauge',
      'Start time of the container since unix epoch in seconds.',
      each(({ startTime }) => (startTime ? Date.parse(startTime) / 1000 : undefined)),
    ),
    family(
      'container_network_receive_bytes_total',
      'counter',
      'Cumulative count of bytes received',
      network(({ rxBytes }) => rxBytes),
    ),
    family(
      'container_network_receive_errors_total',
      'counter',
      'Cumulative count of errors encountered while receiving',
      network(({ rxErrors }) => rxErrors),
    ),
    family(
      'container_network_receive_packets_total',
      'counter',
      'Cumulative count of packets received',
      network(({ rxPackets }) => rxPackets),
    ),
    family(
      'container_network_receive_packets_dropped_total',
      'counter',
      'Cumulative count of packets dropped while receiving',
      network(({ rxDropped }) => rxDropped),
    ),
    family(
      'container_network_transmit_bytes_total',
      'counter',
      'Cumulative count of bytes transmitted',
      network(({ txBytes }) => txBytes),
    ),
    family(
      'container_network_transmit_errors_total',
      'counter',
      'Cumulative count of errors encountered while transmitting',
      network(({ txErrors }) => txErrors),
    ),
    family(
      'container_network_transmit_packets_total',
      'counter',
      'Cumulative count of packets transmitted',
      network(({ txPackets }) => txPackets),
    ),
    family(
      'container_network_transmit_packets_dropped_total',
      'counter',
      'Cumulative count of packets dropped while transmitting',
      network(({ txDropped }) => txDropped),
    ),
    family('machine_cpu_cores', 'gauge', 'Number of logical CPU cores.', [[{}, facts.cores]]),
    family('machine_memory_bytes', 'gauge', 'Amount of memory installed on the machine.', [[{}, memory.totalBytes]]),
  ].join('');
}
