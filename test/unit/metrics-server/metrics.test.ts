import { describe, expect, it } from 'vitest';
import { resourceMetrics } from '../../../src/components/kubelet/stats/exposition.ts';
import type { Observation } from '../../../src/components/kubelet/stats/observation.ts';
import { type NodePoints, readResourceMetrics } from '../../../src/components/metrics-server/exposition.ts';
import { type KubeletOptions, kubeletAddress } from '../../../src/components/metrics-server/kubelets.ts';
import { createUsageStore } from '../../../src/components/metrics-server/usage.ts';

const t0 = Date.parse('2026-05-01T00:00:00Z');

function observation(seconds: number, containers: [name: string, cpuSeconds: number | undefined, started: number][]) {
  return {
    time: new Date(t0 + seconds * 1000),
    cpuNanoseconds: (100 + seconds / 2) * 1e9,
    memory: { workingSetBytes: 2 ** 30, swapTotalBytes: 0, swapFreeBytes: 0 },
    pods: [
      {
        pod: { metadata: { namespace: 'a', name: 'web' } },
        usage: {},
        containers: containers.map(([name, cpuSeconds, started]) => ({
          name,
          startTime: new Date(t0 + started * 1000).toISOString(),
          usage: {
            ...(cpuSeconds === undefined ? {} : { cpuNanoseconds: cpuSeconds * 1e9 }),
            workingSetBytes: 64 * 2 ** 20,
          },
        })),
      },
    ],
  } as unknown as Observation;
}

const points = (...args: Parameters<typeof observation>): NodePoints =>
  readResourceMetrics(resourceMetrics(observation(...args)), 0);
const round = (...args: Parameters<typeof observation>) => new Map([['n', points(...args)]]);

describe('what a kubelet says', () => {
  it('is read with the time of its measurement', () => {
    const { node, pods } = points(10, [['c', 5, -100]]);
    expect(node).toEqual({ time: t0 + 10_000, cpuSeconds: 105, memoryBytes: 2 ** 30 });
    expect(pods.get('a/web')?.containers.get('c')).toEqual({
      time: t0 + 10_000,
      cpuSeconds: 5,
      memoryBytes: 64 * 2 ** 20,
      startTime: t0 - 100_000,
    });
  });

  it('leaves out a pod of which a container is missing', () => {
    expect(
      points(10, [
        ['c', 5, 0],
        ['d', undefined, 0],
      ]).pods.size,
    ).toBe(0);
  });

  it('unescapes labels and ignores what it does not know', () => {
    const text = [
      '# TYPE x gauge',
      'x 1',
      'container_cpu_usage_seconds_total{container="a\\"b",namespace="n",pod="p"} 1e1 1000',
      'container_memory_working_set_bytes{container="a\\"b",namespace="n",pod="p"} 5 1000',
      'nonsense',
    ].join('\n');
    expect([...(readResourceMetrics(text, 0).pods.get('n/p')?.containers.keys() ?? [])]).toEqual(['a"b']);
  });
});

describe('usage', () => {
  it('is there with the second round: the rate between the two', () => {
    const store = createUsageStore(15_000);
    store.add(round(0, [['c', 5, -100]]));
    expect(store.ready).toBe(false);
    expect(store.pod('a', 'web')).toBeUndefined();
    store.add(round(10, [['c', 7.5, -100]]));
    expect(store.ready).toBe(true);
    expect(store.node('n')).toEqual({
      time: t0 + 10_000,
      windowMs: 10_000,
      usage: { nanoCores: 500_000_000, memoryBytes: 2 ** 30 },
    });
    expect(store.pods()).toEqual([
      {
        namespace: 'a',
        name: 'web',
        time: t0 + 10_000,
        windowMs: 10_000,
        containers: [{ name: 'c', usage: { nanoCores: 250_000_000, memoryBytes: 64 * 2 ** 20 } }],
      },
    ]);
  });

  it('stays when the kubelet has not measured anew, and goes with the node', () => {
    const store = createUsageStore(15_000);
    store.add(round(0, [['c', 5, -100]]));
    store.add(round(10, [['c', 6, -100]]));
    store.add(round(10, [['c', 6, -100]]));
    expect(store.node('n')?.windowMs).toBe(10_000);
    store.add(new Map());
    expect(store.node('n')).toBeUndefined();
    expect(store.pods()).toEqual([]);
  });

  it.each<[string, number, number, number | undefined]>([
    ['a container that has just started again has none yet', 25, 1, undefined],
    ['one that runs for ten seconds is measured from its start', 20, 5, 500_000_000],
  ])('%s', (_, at, cpuSeconds, expected) => {
    const store = createUsageStore(15_000);
    store.add(round(10, [['c', 100, -100]]));
    store.add(round(at, [['c', cpuSeconds, at === 25 ? 20 : 10]]));
    expect(store.pod('a', 'web')?.containers[0]?.usage.nanoCores).toBe(expected);
  });
});

describe('the address of a kubelet', () => {
  const node = {
    metadata: { name: 'n' },
    status: {
      addresses: [
        { type: 'InternalIP', address: 'fd00::1' },
        { type: 'Hostname', address: 'n' },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 12345 } },
    },
  };
  const options = (addressTypes: string[], useNodeStatusPort = false) =>
    ({ addressTypes, useNodeStatusPort, port: 10250 }) as KubeletOptions;
  it('is of the first type that the node has', () => {
    expect(kubeletAddress(node, options(['ExternalIP', 'Hostname', 'InternalIP']))).toBe('https://n:10250');
    expect(kubeletAddress(node, options(['InternalIP'], true))).toBe('https://[fd00::1]:12345');
    expect(() => kubeletAddress(node, options(['ExternalIP']))).toThrow('it has InternalIP fd00::1, Hostname n');
  });
});
