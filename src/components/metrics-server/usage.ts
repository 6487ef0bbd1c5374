/** Keeps the last two points of everything and turns them into usage. */
import type { NodePoints, PodPoints, Point } from './exposition.ts';

export interface Usage {
  /** In billionths of a core. */
  nanoCores: number;
  memoryBytes: number;
}

interface Measured {
  /** When it was measured last, and over which time before, in milliseconds. */
  time: number;
  windowMs: number;
}

export interface NodeUsage extends Measured {
  usage: Usage;
}

export interface PodUsage extends Measured {
  namespace: string;
  name: string;
  containers: { name: string; usage: Usage }[];
}

export interface UsageStore {
  /** One round of scrapes: points by node; who is missing did not answer. */
  add(round: Map<string, NodePoints>): void;
  node(name: string): NodeUsage | undefined;
  pod(namespace: string, name: string): PodUsage | undefined;
  pods(): PodUsage[];
  /** Whether there is anything to serve. */
  readonly ready: boolean;
}

interface Two {
  last: Point;
  before?: Point;
}

/** A container that started since the last round has its start as the point before, if that is not too short ago. */
const freshMinMs = 10_000;

export function createUsageStore(resolutionMs: number): UsageStore {
  let nodes = new Map<string, Two>();
  let pods = new Map<string, { namespace: string; name: string; containers: Map<string, Two> }>();

  const next = (known: Two | undefined, last: Point): Two => {
    if (!known) return fresh(last);
    const { time, startTime = 0 } = known.last;
    // The kubelet has not measured anew.
    if (last.time <= time) return known;
    const restarted = last.cpuSeconds < known.last.cpuSeconds || (last.startTime ?? 0) > startTime;
    return restarted ? fresh(last) : { last, before: known.last };
  };
  const fresh = (last: Point): Two => {
    const { startTime } = last;
    const age = startTime === undefined ? Number.POSITIVE_INFINITY : last.time - startTime;
    if (startTime === undefined || age < freshMinMs || age >= resolutionMs) return { last };
    return { last, before: { time: startTime, cpuSeconds: 0, memoryBytes: 0, startTime } };
  };

  const podUsage = ({ namespace, name, containers }: PodPointsPair): PodUsage | undefined => {
    const all = [...containers].map(([container, two]) => ({ name: container, measured: usageOf(two) }));
    const measured = all.flatMap(({ measured }) => measured ?? []);
    const [first] = measured;
    if (!first || measured.length < all.length) return undefined;
    const earliest = measured.reduce((a, b) => (b.time < a.time ? b : a), first);
    return {
      namespace,
      name,
      time: earliest.time,
      windowMs: earliest.windowMs,
      containers: all.flatMap(({ name: container, measured: one }) =>
        one ? [{ name: container, usage: one.usage }] : [],
      ),
    };
  };

  return {
    add(round) {
      const nextNodes = new Map<string, Two>();
      const nextPods: typeof pods = new Map();
      for (const [name, points] of round) {
        if (points.node) nextNodes.set(name, next(nodes.get(name), points.node));
        for (const [key, pod] of points.pods) nextPods.set(key, nextPod(key, pod));
      }
      [nodes, pods] = [nextNodes, nextPods];
    },
    node(name) {
      const two = nodes.get(name);
      return two && usageOf(two);
    },
    pod(namespace, name) {
      const found = pods.get(`${namespace}/${name}`);
      return found && podUsage(found);
    },
    pods: () => [...pods.values()].flatMap((pod) => podUsage(pod) ?? []),
    get ready() {
      return [...nodes.values()].some(({ before }) => before);
    },
  };

  function nextPod(key: string, { namespace, name, containers }: PodPoints): PodPointsPair {
    const known = pods.get(key);
    return {
      namespace,
      name,
      containers: new Map([...containers].map(([one, point]) => [one, next(known?.containers.get(one), point)])),
    };
  }
}

interface PodPointsPair {
  namespace: string;
  name: string;
  containers: Map<string, Two>;
}

function usageOf({ last, before }: Two): NodeUsage | undefined {
  if (!before || last.time <= before.time) return undefined;
  const windowMs = last.time - before.time;
  const nanoCores = Math.max(0, Math.round(((last.cpuSeconds - before.cpuSeconds) / (windowMs / 1000)) * 1e9));
  return { time: last.time, windowMs, usage: { nanoCores, memoryBytes: last.memoryBytes } };
}
