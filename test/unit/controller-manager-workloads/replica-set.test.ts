import { expect, test } from 'vitest';
import { claimOf } from '../../../src/components/controller-manager/workloads/pods/claim.ts';
import { Expectations } from '../../../src/components/controller-manager/workloads/pods/expectations.ts';
import { podFromTemplate } from '../../../src/components/controller-manager/workloads/pods/pod-control.ts';
import { podsToDelete } from '../../../src/components/controller-manager/workloads/pods/ranking.ts';
import { slowStart } from '../../../src/components/controller-manager/workloads/pods/slow-start.ts';
import { replicaStatus } from '../../../src/components/controller-manager/workloads/replica-set/status.ts';
import { labelSelectorOf } from '../../../src/machinery/api/selectors.ts';
import { replicaSets } from '../../../src/machinery/client/resources.ts';
import { pod } from './pods.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
const ready = { node: 'a', readyAt: '2026-01-01T08:00:00Z', createdAt: '2026-01-01T08:00:00Z' };

test.each([
  ['without a node before with one', pod('x'), pod('y', ready)],
  ['pending before running', pod('x', { ...ready, phase: 'Pending' }), pod('y', ready)],
  ['not ready before ready', pod('x', { node: 'a' }), pod('y', ready)],
  ['cheap before dear', pod('x', { ...ready, cost: '-5' }), pod('y', ready)],
  ['young before old', pod('x', { ...ready, readyAt: '2026-01-01T11:59:00Z' }), pod('y', ready)],
  ['often restarted before steady', pod('x', { ...ready, restarts: 4 }), pod('y', ready)],
])('of two surplus pods the one %s goes', (_what, first, second) => {
  expect(podsToDelete([second, first], [], 1, now)).toEqual([first]);
});

test('of equal pods the one that shares its node with more goes', () => {
  const all = [pod('x', ready), pod('y', { ...ready, node: 'b' }), pod('z', { ...ready, node: 'b' })];
  expect(podsToDelete(all, all, 1, now)[0]?.spec?.nodeName).toBe('b');
});

test('a deletion cost that is no 32-bit number counts as none', () => {
  const [dear, wrong] = [pod('x', { ...ready, cost: '1' }), pod('y', { ...ready, cost: '01' })];
  expect(podsToDelete([dear, wrong], [], 1, now)).toEqual([wrong]);
});

test('expectations hold until everything asked for was seen, failed, or timed out', () => {
  let time = 0;
  const expectations = new Expectations(() => time);
  expectations.expectCreations('a', 2);
  expectations.creationObserved('a');
  expect(expectations.satisfied('a')).toBe(false);
  expectations.creationObserved('a');
  expect(expectations.satisfied('a')).toBe(true);
  expectations.expectDeletions('a', ['x']);
  expectations.deletionObserved('a', 'y');
  expect(expectations.satisfied('a')).toBe(false);
  time = 6 * 60_000;
  expect(expectations.satisfied('a')).toBe(true);
});

test('batches double until one fails', async () => {
  const tried: number[] = [];
  const result = await slowStart(100, async (index) => {
    tried.push(index);
    if (index === 5) throw new Error('quota');
  });
  expect(tried).toHaveLength(1 + 2 + 4);
  expect(result).toMatchObject({ succeeded: 6, error: { message: 'quota' } });
});

const owner = { metadata: { uid: 'rs', name: 'web-1', namespace: 'default' } };
const selector = labelSelectorOf({ matchLabels: { app: 'web' } });
test.each([
  ['own and matching is kept', pod('p', { owner: 'rs', labels: { app: 'web' } }), 'ours'],
  ['own and not matching is released', pod('p', { owner: 'rs', labels: { app: 'debug' } }), 'release'],
  ['another owner', pod('p', { owner: 'other', labels: { app: 'web' } }), 'not ours'],
  ['a matching orphan is adopted', pod('p', { labels: { app: 'web' } }), 'adopt'],
  ['an orphan being deleted is left', pod('p', { labels: { app: 'web' }, deleting: true }), 'not ours'],
])('claiming: %s', (_what, object, claim) => {
  expect(claimOf(object, owner, selector)).toBe(claim);
});

test('status counts active, labelled, ready and available pods and keeps the first failure', () => {
  const labels = { app: 'web' };
  const status = replicaStatus(
    {
      spec: { replicas: 3, minReadySeconds: 60, template: { metadata: { labels } } },
      old: { replicas: 0 },
      generation: 1,
      active: [pod('a', { ...ready, labels }), pod('b', { readyAt: '2026-01-01T11:59:50Z' })],
      terminating: 1,
      failure: new Error('exceeded quota'),
    },
    ({ message }) => message,
    now,
  );
  expect(status).toEqual({
    replicas: 2,
    fullyLabeledReplicas: 1,
    readyReplicas: 2,
    availableReplicas: 1,
    terminatingReplicas: 1,
    conditions: [
      {
        type: 'ReplicaFailure',
        status: 'True',
        reason: 'FailedCreate',
        message: 'exceeded quota',
        lastTransitionTime: '2026-01-01T12:00:00Z',
      },
    ],
  });
});

test('a pod gets labels, annotations and spec of the template and a controller reference', () => {
  const template = { metadata: { labels: { app: 'web' }, annotations: { a: 'b' } }, spec: { containers: [] } };
  expect(podFromTemplate(template, owner, replicaSets)).toEqual({
    metadata: {
      namespace: 'default',
      generateName: 'web-1-',
      labels: { app: 'web' },
      annotations: { a: 'b' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'web-1',
          uid: 'rs',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { containers: [] },
  });
});
