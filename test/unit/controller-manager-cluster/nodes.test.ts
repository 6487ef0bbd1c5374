import { describe, expect, test } from 'vitest';
import { CidrSet, formatCidr, parseCidr } from '../../../src/components/controller-manager/cluster/nodes/cidr-set.ts';
import {
  isSilent,
  observeHealth,
  silentNode,
  zoneStateOf,
} from '../../../src/components/controller-manager/cluster/nodes/node-health.ts';
import {
  withNoExecuteTaint,
  withNoScheduleTaints,
} from '../../../src/components/controller-manager/cluster/nodes/node-taints.ts';
import { surplusTerminated } from '../../../src/components/controller-manager/cluster/nodes/pod-garbage-collector.ts';
import { toleratedMs } from '../../../src/components/controller-manager/cluster/nodes/taint-eviction.ts';
import type { Lease, Node, Pod, Taint } from '../../../src/machinery/api/types.ts';

const t0 = Date.parse('2026-01-01T00:00:00Z');
const ready = (status: string, heartbeat = '2026-01-01T00:00:00Z') => ({
  type: 'Ready',
  status,
  lastHeartbeatTime: heartbeat,
});
const node = (conditions: NonNullable<Node['status']>['conditions'], spec: Node['spec'] = {}): Node => ({
  metadata: { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec,
  status: conditions ? { conditions } : {},
});
const lease = (renewTime: string): Lease => ({ spec: { renewTime } });

describe('pod CIDRs', () => {
  test('are handed out one after the other, and released ones only when the others are used up', () => {
    const set = new CidrSet('10.244.0.0/22', 24);
    set.occupy('10.244.1.0/24');
    expect([set.allocate(), set.allocate(), set.allocate(), set.allocate()]).toEqual([
      '10.244.0.0/24',
      '10.244.2.0/24',
      '10.244.3.0/24',
      undefined,
    ]);
    set.release('10.244.2.0/24');
    expect(set.allocate()).toBe('10.244.2.0/24');
  });

  test('leave out a range that overlaps, larger or smaller', () => {
    const set = new CidrSet('10.64.0.0/10', 24);
    set.occupy('10.64.0.0/12');
    expect(set.allocate()).toBe('10.80.0.0/24');
    const small = new CidrSet('10.0.0.0/23', 24);
    small.occupy('10.0.0.128/25');
    expect(small.allocate()).toBe('10.0.1.0/24');
  });

  test.each(['10.244.0.0/16', 'fd00:10:244::/64', '2001:db8:0:0:1::/80', '::/0'])('%s is read and written', (text) => {
    expect(formatCidr(parseCidr(text))).toBe(text);
  });

  test('of IPv6', () => {
    const set = new CidrSet('fd00:10:244::/56', 64);
    expect([set.allocate(), set.allocate()]).toEqual(['fd00:10:244::/64', 'fd00:10:244:1::/64']);
  });
});

describe('node health', () => {
  const periods = { nodeMonitorGracePeriod: 40_000, nodeStartupGracePeriod: 60_000 };
  test('counts from the last heartbeat or lease renewal by the own clock', () => {
    const first = observeHealth(undefined, node([ready('True')]), lease('2026-01-01T00:00:00Z'), t0);
    const same = observeHealth(first, node([ready('True')]), lease('2026-01-01T00:00:00Z'), t0 + 30_000);
    expect(same.probedAt).toBe(t0);
    expect(isSilent(same, node([ready('True')]), t0 + 40_000, periods)).toBe(false);
    expect(isSilent(same, node([ready('True')]), t0 + 40_001, periods)).toBe(true);
    const renewed = observeHealth(same, node([ready('True')]), lease('2026-01-01T00:00:10Z'), t0 + 35_000);
    expect(renewed.probedAt).toBe(t0 + 35_000);
    const beaten = observeHealth(same, node([ready('True', '2026-01-01T00:00:20Z')]), undefined, t0 + 36_000);
    expect(beaten.probedAt).toBe(t0 + 36_000);
  });

  test('gives a node that never reported its startup time', () => {
    const health = observeHealth(undefined, node([]), undefined, t0 + 50_000);
    expect(isSilent(health, node([]), t0 + 60_000, periods)).toBe(false);
    expect(isSilent(health, node([]), t0 + 60_001, periods)).toBe(true);
  });

  test('of a silent node is Unknown in all conditions, once', () => {
    const silent = silentNode(node([ready('True')]), t0) as Node;
    expect(silent.status?.conditions?.map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ['Ready', 'Unknown', 'NodeStatusUnknown'],
      ['MemoryPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['DiskPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['PIDPressure', 'Unknown', 'NodeStatusNeverUpdated'],
    ]);
    expect(silentNode(silent, t0 + 1000)).toBeUndefined();
  });

  test.each([
    [['Unknown'], 'FullDisruption'],
    [['True', 'Unknown'], 'Normal'],
    [['True', 'False', 'Unknown', 'Unknown'], 'PartialDisruption'],
    [['True', 'True', 'True', 'True', 'False', 'False', 'False'], 'Normal'],
  ] as const)('zone of %j is %s', (readiness, expected) => {
    expect(zoneStateOf([...readiness], 0.55)).toBe(expected);
  });
});

describe('taints follow conditions', () => {
  const taint = (key: string, effect = 'NoSchedule'): Taint => ({ key: `node.kubernetes.io/${key}`, effect });
  const keysOf = (taints: Taint[] | undefined) => taints?.map(({ key, effect }) => `${key.split('/')[1]}:${effect}`);
  test.each<[string, Node, string[] | undefined]>([
    ['ready', node([ready('True')]), undefined],
    ['not ready', node([ready('False')]), ['not-ready:NoSchedule']],
    [
      'unknown instead of not ready',
      node([ready('Unknown')], { taints: [taint('not-ready')] }),
      ['unreachable:NoSchedule'],
    ],
    ['cordoned', node([ready('True')], { unschedulable: true }), ['unschedulable:NoSchedule']],
    ['under disk pressure', node([{ type: 'DiskPressure', status: 'True' }]), ['disk-pressure:NoSchedule']],
    [
      'ready again',
      node([ready('True')], { taints: [taint('not-ready'), { key: 'x/mine', effect: 'NoSchedule' }] }),
      ['mine:NoSchedule'],
    ],
    ['not ready as before', node([ready('False')], { taints: [taint('not-ready')] }), undefined],
  ])('%s', (_case, given, expected) => {
    expect(keysOf(withNoScheduleTaints(given, 'now'))).toEqual(expected);
  });

  test('one NoExecute taint takes the place of the other', () => {
    const given = node([ready('Unknown')], { taints: [taint('not-ready', 'NoExecute')] });
    expect(keysOf(withNoExecuteTaint(given, 'Unknown', 'now'))).toEqual(['unreachable:NoExecute']);
    expect(keysOf(withNoExecuteTaint(given, 'False', 'now'))).toBeUndefined();
    expect(keysOf(withNoExecuteTaint(given, 'True', 'now'))).toEqual([]);
  });
});

describe('how long a pod may stay on a tainted node', () => {
  const taints: Taint[] = [
    { key: 'a', effect: 'NoExecute' },
    { key: 'b', value: 'x', effect: 'NoExecute' },
  ];
  const tolerate = (key: string, tolerationSeconds?: number) => ({
    key,
    operator: 'Exists',
    ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
  });
  test.each([
    ['no toleration', [], 0],
    ['only one of two tolerated', [tolerate('a')], 0],
    ['both tolerated for ever', [tolerate('a'), tolerate('b')], Number.POSITIVE_INFINITY],
    ['the shorter of two times', [tolerate('a', 300), tolerate('b', 20)], 20_000],
    ['one time, the other for ever', [tolerate('a', 300), tolerate('b')], 300_000],
    ['a negative time', [tolerate('a', -5), tolerate('b')], 0],
  ])('%s', (_case, tolerations, expected) => {
    expect(toleratedMs({ spec: { containers: [], tolerations } }, taints)).toBe(expected);
  });
});

test('of terminated pods above the threshold evicted ones and the oldest go first', () => {
  const pod = (name: string, phase: string, second: number, reason?: string): Pod => ({
    metadata: { name, creationTimestamp: new Date(t0 + second * 1000).toISOString() },
    status: { phase, ...(reason ? { reason } : {}) },
  });
  const all = [
    pod('c', 'Failed', 3),
    pod('a', 'Succeeded', 1),
    pod('r', 'Running', 0),
    pod('e', 'Failed', 9, 'Evicted'),
  ];
  expect(surplusTerminated(all, 1).map(({ metadata }) => metadata?.name)).toEqual(['e', 'a']);
  expect(surplusTerminated(all, 0)).toEqual([]);
});
