import { expect, test } from 'vitest';
import {
  daemonTemplate,
  placementOn,
} from '../../../src/components/controller-manager/workloads/daemon-set/placement.ts';
import {
  daemonStatus,
  planPlacement,
  planRollout,
  podsByNode,
} from '../../../src/components/controller-manager/workloads/daemon-set/plan.ts';
import { Backoff } from '../../../src/components/controller-manager/workloads/pods/backoff.ts';
import type { DaemonSet, Node, PodSpec, Taint } from '../../../src/machinery/api/types.ts';
import { type PodFacts, pod } from './pods.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
const set = (spec: Partial<PodSpec> = {}, rollingUpdate: object = { maxUnavailable: 1 }): DaemonSet => ({
  metadata: { name: 'd', namespace: 'default', uid: 'd' },
  spec: {
    selector: { matchLabels: { app: 'd' } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [], ...spec } },
  },
});
const node = (name: string, taints: Taint[] = [], labels = {}): Node => ({
  metadata: { name, labels },
  spec: { taints },
});
const daemon = (name: string, on: string, hash = 'new', facts: PodFacts = {}) =>
  pod(name, { node: on, readyAt: '2026-01-01T11:00:00Z', labels: { 'controller-revision-hash': hash }, ...facts });

test.each([
  ['a plain node', node('a'), {}, true, true],
  ['a cordoned node', node('a', [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }]), {}, true, true],
  ['a not ready node', node('a', [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }]), {}, true, true],
  [
    'a control plane',
    node('a', [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }]),
    {},
    false,
    true,
  ],
  ['a node that evicts', node('a', [{ key: 'x', effect: 'NoExecute' }]), {}, false, false],
  [
    'a node without network',
    node('a', [{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }]),
    {},
    false,
    true,
  ],
  [
    'a node without network, host network',
    node('a', [{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }]),
    { hostNetwork: true },
    true,
    true,
  ],
  ['a node that the selector does not match', node('a'), { nodeSelector: { disk: 'ssd' } }, false, false],
])('daemon pods on %s', (_what, subject, spec, start, stay) => {
  expect(placementOn(subject, set(spec))).toEqual({ start, stay });
});

test('a daemon pod is pinned to its node and tolerates what befalls nodes', () => {
  const { metadata, spec } = daemonTemplate(set(), 'h', 'a');
  expect(metadata?.labels).toEqual({ app: 'd', 'controller-revision-hash': 'h' });
  expect(spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution).toEqual({
    nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }],
  });
  expect(spec?.tolerations?.map(({ key, effect }) => `${key}:${effect}`)).toEqual([
    'node.kubernetes.io/not-ready:NoExecute',
    'node.kubernetes.io/unreachable:NoExecute',
    'node.kubernetes.io/disk-pressure:NoSchedule',
    'node.kubernetes.io/memory-pressure:NoSchedule',
    'node.kubernetes.io/pid-pressure:NoSchedule',
    'node.kubernetes.io/unschedulable:NoSchedule',
  ]);
});

test('each eligible node gets one pod; surplus, failed and misplaced pods go', () => {
  const nodes = [node('a'), node('b'), node('c'), node('d', [{ key: 'x', effect: 'NoExecute' }])];
  const pods = [
    daemon('b1', 'b', 'new', { createdAt: '2026-01-01T10:00:00Z' }),
    daemon('b2', 'b', 'new', { createdAt: '2026-01-01T11:00:00Z' }),
    daemon('c1', 'c', 'new', { phase: 'Failed' }),
    daemon('d1', 'd'),
  ];
  const plan = planPlacement(set(), nodes, podsByNode(pods), 'new', () => true, now);
  expect(plan.createOn).toEqual(['a']);
  expect(plan.remove.map(({ metadata }) => metadata?.name)).toEqual(['b2', 'c1', 'd1']);
});

test.each([
  ['one available pod at a time', { maxUnavailable: 1 }, [], ['a1']],
  ['as many as may be unavailable', { maxUnavailable: '60%' }, [], ['a1', 'b1']],
  ['new pods first with surge', { maxSurge: 1, maxUnavailable: 0 }, ['a'], []],
])('a rolling update replaces %s', (_what, rolling, createOn, removed) => {
  const nodes = ['a', 'b', 'c'].map((name) => node(name));
  const pods = nodes.map(({ metadata }) => daemon(`${metadata?.name}1`, metadata?.name ?? '', 'old'));
  const plan = planRollout(set({}, rolling), nodes, podsByNode(pods), 'new', now);
  expect(plan.createOn).toEqual(createOn);
  expect(plan.remove.map(({ metadata }) => metadata?.name)).toEqual(removed);
});

test('a rolling update waits for an updated pod and replaces broken ones first', () => {
  const nodes = ['a', 'b', 'c'].map((name) => node(name));
  const waiting = [daemon('a1', 'a', 'new', { readyAt: '' }), daemon('b1', 'b', 'old'), daemon('c1', 'c', 'old')];
  expect(planRollout(set(), nodes, podsByNode(waiting), 'new', now).remove).toEqual([]);
  const broken = [daemon('a1', 'a', 'old', { readyAt: '' }), daemon('b1', 'b', 'old')];
  expect(planRollout(set(), nodes, podsByNode(broken), 'new', now).remove).toEqual([broken[0]]);
});

test('status counts desired, scheduled, misplaced, ready and updated', () => {
  const nodes = [node('a'), node('b'), node('c', [{ key: 'x', effect: 'NoExecute' }])];
  const pods = [daemon('a1', 'a'), daemon('c1', 'c', 'old')];
  expect(daemonStatus(set(), nodes, podsByNode(pods), 'new', now)).toEqual({
    desiredNumberScheduled: 2,
    currentNumberScheduled: 1,
    numberMisscheduled: 1,
    numberReady: 1,
    numberAvailable: 1,
    numberUnavailable: 1,
    updatedNumberScheduled: 1,
  });
});

test('a back-off doubles with each failure', () => {
  const backoff = new Backoff(1000, 3000);
  const waits = [0, 10, 20, 30].map((at) => {
    backoff.failed('k', at);
    return backoff.remaining('k', at);
  });
  expect(waits).toEqual([1000, 2000, 3000, 3000]);
  expect(backoff.remaining('k', 4000)).toBe(0);
});
