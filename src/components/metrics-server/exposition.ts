/** Reads a kubelet's /metrics/resource: the text format of Prometheus, of which only usage is of interest. */

export interface Point {
  /** When it was measured, in milliseconds. */
  time: number;
  /** Since the start, in seconds of one core. */
  cpuSeconds: number;
  memoryBytes: number;
  /** When the container started, in milliseconds. */
  startTime?: number;
}

export interface PodPoints {
  namespace: string;
  name: string;
  containers: Map<string, Point>;
}

export interface NodePoints {
  node: Point | undefined;
  /** By `namespace/name`. */
  pods: Map<string, PodPoints>;
}

type Field = 'cpuSeconds' | 'memoryBytes' | 'startTime';

const fields: Record<string, { field: Field; scale: number }> = {
  node_cpu_usage_seconds_total: { field: 'cpuSeconds', scale: 1 },
  node_memory_working_set_bytes: { field: 'memoryBytes', scale: 1 },
  container_cpu_usage_seconds_total: { field: 'cpuSeconds', scale: 1 },
  container_memory_working_set_bytes: { field: 'memoryBytes', scale: 1 },
  container_start_time_seconds: { field: 'startTime', scale: 1000 },
};

const line = /^([a-z_]+)(?:\{(.*)\})? (\S+)(?: (\d+))?$/;
const label = /([a-z_]+)="((?:\\.|[^"\\])*)"/g;

/** `now` is the time of samples without one. Points without CPU or memory are left out: upstream shows no half ones. */
export function readResourceMetrics(text: string, now: number): NodePoints {
  const node: Partial<Point> = {};
  const pods = new Map<string, { namespace: string; name: string; containers: Map<string, Partial<Point>> }>();
  for (const row of text.split('\n')) {
    const [, metric = '', labels = '', given, at] = line.exec(row) ?? [];
    const found = fields[metric];
    const value = Number(given);
    if (!found || !Number.isFinite(value)) continue;
    const target = metric.startsWith('node_') ? node : containerOf(pods, labels);
    if (!target) continue;
    target[found.field] = value * found.scale;
    if (found.field === 'cpuSeconds') target.time = at ? Number(at) : now;
  }
  return {
    node: whole(node),
    pods: new Map(
      [...pods].flatMap(([key, { containers, ...pod }]) => {
        const points = [...containers].map(([name, point]) => [name, whole(point)] as const);
        // A pod of which one container is missing would look smaller than it is.
        if (points.some(([, point]) => !point)) return [];
        return [[key, { ...pod, containers: new Map(points as [string, Point][]) }] as const];
      }),
    ),
  };
}

type Pods = Map<string, { namespace: string; name: string; containers: Map<string, Partial<Point>> }>;

function containerOf(pods: Pods, text: string): Partial<Point> | undefined {
  const labels = Object.fromEntries(
    [...text.matchAll(label)].map(([, name = '', value = '']) => [name, unescaped(value)]),
  );
  const { namespace, pod: name, container } = labels;
  if (!namespace || !name || !container) return undefined;
  const key = `${namespace}/${name}`;
  const pod = pods.get(key) ?? { namespace, name, containers: new Map() };
  pods.set(key, pod);
  const point = pod.containers.get(container) ?? {};
  pod.containers.set(container, point);
  return point;
}

const unescaped = (value: string): string =>
  value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));

function whole({ time, cpuSeconds, memoryBytes, startTime }: Partial<Point>): Point | undefined {
  if (time === undefined || !cpuSeconds || !memoryBytes) return undefined;
  return { time, cpuSeconds, memoryBytes, ...(startTime ? { startTime } : {}) };
}
