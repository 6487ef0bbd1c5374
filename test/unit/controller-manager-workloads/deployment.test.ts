import { expect, test } from 'vitest';
import { newSet } from '../../../src/components/controller-manager/workloads/deployment/current-set.ts';
import {
  currentSet,
  currentSetAnnotations,
  setsToCleanUp,
} from '../../../src/components/controller-manager/workloads/deployment/revisions.ts';
import {
  currentSetReplicas,
  proportionalSizes,
  shrinkOldSets,
} from '../../../src/components/controller-manager/workloads/deployment/rolling.ts';
import { rolloutStatus } from '../../../src/components/controller-manager/workloads/deployment/status.ts';
import type { Deployment, ReplicaSet } from '../../../src/machinery/api/types.ts';

const template = (image: string) => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image }] },
});

function deployment(replicas: number, rollingUpdate: object = {}, status: Deployment['status'] = {}): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'd', generation: 1, annotations: { team: 'a' } },
    spec: {
      replicas,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: { app: 'web' } },
      strategy: { type: 'RollingUpdate', rollingUpdate },
      template: template('v2'),
    },
    status,
  };
}

function set(
  name: string,
  replicas: number,
  available = replicas,
  annotations: Record<string, string> = {},
): ReplicaSet {
  return {
    metadata: { name, uid: name, annotations, creationTimestamp: `2026-01-01T00:00:0${name.at(-1)}Z` },
    spec: { replicas, selector: {}, template: template(name) },
    status: { replicas, availableReplicas: available, readyReplicas: available, terminatingReplicas: 0 },
  };
}

test('the set made for a template carries hash, sizes, revision and owner', () => {
  const made = newSet(deployment(3), [], 1);
  const hash = made.metadata?.labels?.['pod-template-hash'];
  expect(made.metadata?.name).toBe(`web-${hash}`);
  expect(made.metadata?.annotations).toEqual({
    team: 'a',
    'deployment.kubernetes.io/revision': '1',
    'deployment.kubernetes.io/desired-replicas': '3',
    'deployment.kubernetes.io/max-replicas': '4',
  });
  expect(made.spec?.replicas).toBe(3);
  expect(made.spec?.selector.matchLabels).toEqual({ app: 'web', 'pod-template-hash': hash });
  expect(currentSet(deployment(3), [set('old1', 1), made])).toBe(made);
  const collided = newSet({ ...deployment(3), status: { collisionCount: 1 } }, [], 1);
  expect(collided.metadata?.name).not.toBe(made.metadata?.name);
});

test('a set that is rolled back to gets a new revision and remembers its old one', () => {
  const before = { 'deployment.kubernetes.io/revision': '1', 'deployment.kubernetes.io/revision-history': '0' };
  expect(currentSetAnnotations(deployment(1), before, 3, true)).toMatchObject({
    'deployment.kubernetes.io/revision': '3',
    'deployment.kubernetes.io/revision-history': '0,1',
  });
  expect(currentSetAnnotations(deployment(1), before, 1, true)).toMatchObject(before);
});

test.each([
  ['10 replicas, 25% each way', 10, {}, 10],
  ['one at a time, never fewer', 3, { maxSurge: 1, maxUnavailable: 0 }, 3],
  ['one at a time, never more', 3, { maxSurge: 0, maxUnavailable: 1 }, 3],
  ['both zero counts as one unavailable', 2, { maxSurge: 0, maxUnavailable: 0 }, 2],
])('a rolling update of %s ends and stays within its limits', (_what, desired, limits, replicas) => {
  const subject = deployment(desired, limits);
  let [current, old] = [set('new2', 0), set('old1', replicas)];
  const surge = Math.ceil(desired * 0.25);
  for (let step = 0; step < 50 && (old.spec?.replicas !== 0 || current.spec?.replicas !== desired); step += 1) {
    current = set('new2', currentSetReplicas(subject, [current, old], current.spec?.replicas ?? 0));
    const total = (current.spec?.replicas ?? 0) + (old.spec?.replicas ?? 0);
    expect(total).toBeLessThanOrEqual(desired + Math.max(1, surge));
    const [shrunk] = shrinkOldSets(subject, current, [old]);
    if (shrunk) old = set('old1', shrunk.replicas);
    const least = desired - Math.max(1, Math.floor(desired * 0.25));
    expect((current.spec?.replicas ?? 0) + (old.spec?.replicas ?? 0)).toBeGreaterThanOrEqual(least);
  }
  expect([old.spec?.replicas, current.spec?.replicas]).toEqual([0, desired]);
});

test('broken old replicas go first, working ones only when new ones are available', () => {
  const subject = deployment(4, { maxSurge: 1, maxUnavailable: 1 });
  expect(shrinkOldSets(subject, set('new2', 1, 0), [set('old1', 4, 4)])).toMatchObject([{ replicas: 3 }]);
  expect(shrinkOldSets(subject, set('new2', 2, 0), [set('old1', 3, 3)])).toEqual([]);
  expect(shrinkOldSets(subject, set('new2', 1, 1), [set('old1', 4, 1)])).toMatchObject([{ replicas: 2 }]);
});

test('a scale-up in the middle of a rollout is shared in proportion', () => {
  const subject = deployment(20, { maxSurge: 3, maxUnavailable: 2 });
  const sizes = { 'deployment.kubernetes.io/desired-replicas': '10', 'deployment.kubernetes.io/max-replicas': '13' };
  const scalings = proportionalSizes(subject, set('new2', 5, 0, sizes), [set('old1', 8, 8, sizes)]);
  expect(scalings.map(({ set: { metadata }, replicas }) => [metadata?.name, replicas])).toEqual([
    ['old1', 14],
    ['new2', 9],
  ]);
});

test('the only active set follows the size of a paused Deployment', () => {
  expect(proportionalSizes(deployment(5), undefined, [set('old1', 2)])).toMatchObject([{ replicas: 5 }]);
});

const now = Date.parse('2026-01-01T01:00:00Z');
const since = (seconds: number) => new Date(now - seconds * 1000).toISOString().replace('.000', '');
test.each([
  ['complete', set('new2', 2), {}, 'True', 'NewReplicaSetAvailable', 'ReplicaSet "new2" has successfully progressed.'],
  ['progressing', set('new2', 2, 1), {}, 'True', 'ReplicaSetUpdated', 'ReplicaSet "new2" is progressing.'],
  [
    'stuck',
    set('new2', 2, 0),
    { replicas: 2, updatedReplicas: 2 },
    'False',
    'ProgressDeadlineExceeded',
    'ReplicaSet "new2" has timed out progressing.',
  ],
])('a rollout that is %s says so', (_what, current, counts, status, reason, message) => {
  const condition = { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', lastUpdateTime: since(601) };
  const subject = deployment(2, {}, { ...counts, conditions: [condition] });
  const found = rolloutStatus(subject, current, [current], now).conditions?.find(({ type }) => type === 'Progressing');
  expect(found).toMatchObject({ status, reason, message });
});

test('history keeps the newest sets, and those that still have pods', () => {
  const subject = deployment(1);
  if (subject.spec) subject.spec.revisionHistoryLimit = 1;
  const revision = (number: number) => ({ 'deployment.kubernetes.io/revision': String(number) });
  const sets = [set('a3', 0, 0, revision(3)), set('a1', 0, 0, revision(1)), set('a2', 1, 1, revision(2))];
  expect(setsToCleanUp(subject, sets).map(({ metadata }) => metadata?.name)).toEqual(['a1']);
});
