import { describe, expect, it } from 'vitest';
import { defaultConfiguration } from '../../../src/components/kubelet/config/configuration.ts';
import { defaultInterface } from '../../../src/components/kubelet/node/addresses.ts';
import { createAdmission } from '../../../src/components/kubelet/node/admission.ts';
import { allocatableOf, capacityOf } from '../../../src/components/kubelet/node/capacity.ts';
import { evictionMessage, rankForEviction } from '../../../src/components/kubelet/node/eviction.ts';
import { belowThreshold } from '../../../src/components/kubelet/node/pressure.ts';
import {
  conditionChanges,
  nodeStatus,
  nodeStatusChanged,
  nodeStatusPatch,
} from '../../../src/components/kubelet/node/status.ts';
import { formatResourceList } from '../../../src/machinery/api/quantity.ts';
import type { Node } from '../../../src/machinery/api/types.ts';
import { pod } from './fixtures.ts';

const gib = 2 ** 30;
const machine = {
  cpus: 4,
  memoryBytes: 8 * gib,
  swapBytes: 0,
  hugepages: new Map([[2 ** 21, 0]]),
  diskBytes: 100 * gib,
  pidLimit: 1000,
};
const configuration = { ...defaultConfiguration(), kubeReserved: { cpu: '100m' } };
const capacity = capacityOf(machine, configuration);
const allocatable = allocatableOf(capacity, configuration);

describe('resources of a node', () => {
  it('are what the machine has', () => {
    expect(formatResourceList(capacity)).toEqual({
      cpu: '4',
      memory: '8Gi',
      'ephemeral-storage': '100Gi',
      'hugepages-2Mi': '0',
      pods: '110',
    });
  });
  it('are allocatable less reservations and eviction thresholds', () => {
    expect(formatResourceList(allocatable)).toMatchObject({ cpu: '3900m', memory: '8092Mi', pods: '110' });
    expect(Number(formatResourceList(allocatable)['ephemeral-storage'])).toBeCloseTo(90 * gib, -6);
  });
});

describe('the status of a node', () => {
  const input = {
    nodeName: 'n1',
    ips: ['192.0.2.1'],
    port: 10250,
    capacity,
    allocatable,
    info: undefined,
    images: [],
    maxImages: 50,
    runtimeStatus: undefined,
    pressure: { memory: false, disk: false, pid: false },
    problems: ['a', 'b'],
    previous: undefined,
    now: new Date('2026-01-01T00:00:00Z'),
  };
  const before = nodeStatus(input);
  it('lists why the node is not ready', () => {
    expect(before.conditions?.at(-1)).toMatchObject({
      type: 'Ready',
      status: 'False',
      reason: 'KubeletNotReady',
      message: '[a, b]',
    });
  });
  it('does not change with the heartbeat alone', () => {
    const after = nodeStatus({ ...input, previous: before, now: new Date('2026-01-01T00:01:00Z') });
    expect(nodeStatusChanged(before, after)).toBe(false);
    expect(Object.keys(nodeStatusPatch(before, after))).toEqual(['conditions']);
  });
  it('tells of changed conditions', () => {
    const after = nodeStatus({ ...input, problems: [], previous: before });
    expect(nodeStatusChanged(before, after)).toBe(true);
    expect(conditionChanges(before.conditions ?? [], after.conditions ?? [])).toEqual(['NodeReady']);
  });
});

describe('eviction thresholds', () => {
  it.each([
    ['100Mi', 50, ['memory.available']],
    ['100Mi', 200, []],
    ['10%', 50, ['memory.available']],
    ['1%', 50, []],
  ])('%s with %d Mi of 1000 Mi free', (threshold, free, expected) => {
    const signals = { 'memory.available': { available: free * 2 ** 20, capacity: 1000 * 2 ** 20 } };
    expect(belowThreshold(signals, { 'memory.available': threshold })).toEqual(expected);
  });
});

describe('admission of a pod on a node', () => {
  const node: Node = { metadata: { name: 'n1', labels: { disk: 'ssd' } } };
  const wanting = (cpu: string, uid = 'u1') =>
    pod({ containers: [{ name: 'a', image: 'x', resources: { requests: { cpu } } }] }, { uid });
  let shuttingDown = false;
  const admit = createAdmission({
    allocatable,
    node: () => node,
    pods: () => [wanting('3', 'u0')],
    shuttingDown: () => shuttingDown,
  });
  it('lets in what fits', () => {
    expect(admit(wanting('900m'))).toBeUndefined();
  });
  it('turns away what does not', () => {
    expect(admit(wanting('1'))).toEqual({
      reason: 'OutOfcpu',
      message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 3000, capacity: 3900",
    });
    expect(admit(pod({ nodeSelector: { disk: 'hdd' } }))?.reason).toBe('NodeAffinity');
  });
  it('never turns away static pods that make up the node', () => {
    const annotations = { 'kubernetes.io/config.source': 'file' };
    const critical = { priorityClassName: 'system-node-critical', nodeSelector: { disk: 'hdd' } };
    expect(admit(pod(critical, { annotations }))).toBeUndefined();
  });
  it('turns everything away when the machine shuts down', () => {
    shuttingDown = true;
    expect(admit(wanting('1m'))).toEqual({
      reason: 'NodeShutdown',
      message: 'Pod was rejected as the node is shutting down.',
    });
    shuttingDown = false;
  });
});

it('finds the interface of the default route', () => {
  const routes = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask
eth1\t00000000\t0101A8C0\t0003\t0\t0\t200\t00000000
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF`;
  expect(defaultInterface(routes)).toBe('eth0');
});

describe('eviction', () => {
  const named = (name: string, request: string, priority = 0) =>
    pod(
      { priority, containers: [{ name: 'a', image: 'x', resources: { requests: { memory: request } } }] },
      { name, uid: name },
    );
  const using = (mib: number) => ({ memory: new Map([['a', mib * 2 ** 20]]), disk: new Map([['a', 0]]) });
  it('takes what uses more than it asked for, by priority, then by how much', () => {
    const subjects = [
      named('frugal', '100Mi'),
      named('important', '1Mi', 10),
      named('greedy', '1Mi'),
      named('less', '10Mi'),
    ];
    const usages = new Map([
      ['frugal', using(50)],
      ['important', using(500)],
      ['greedy', using(40)],
      ['less', using(20)],
    ]);
    const order = rankForEviction(subjects, usages, 'memory.available').map(({ metadata }) => metadata?.name);
    expect(order).toEqual(['greedy', 'less', 'important', 'frugal']);
  });
  it('says what was short and who used it', () => {
    const signals = { 'memory.available': { available: 50 * 2 ** 20, capacity: gib } };
    expect(evictionMessage(named('greedy', '1Mi'), using(40), 'memory.available', '100Mi', signals)).toBe(
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 51200Ki. Container a was using 40Mi, request is 1Mi, has larger consumption of memory. ',
    );
  });
});
