import { expect, test } from 'vitest';
import { claimOwners } from '../../../src/components/controller-manager/workloads/stateful-set/claims.ts';
import {
  hasIdentity,
  statefulPod,
} from '../../../src/components/controller-manager/workloads/stateful-set/identity.ts';
import {
  planStatefulSet,
  statefulStatus,
} from '../../../src/components/controller-manager/workloads/stateful-set/plan.ts';
import type { ControllerRevision, Pod, StatefulSet } from '../../../src/machinery/api/types.ts';

type Spec = NonNullable<StatefulSet['spec']>;
const set = (spec: Partial<Spec> = {}): StatefulSet => ({
  metadata: { name: 'db', namespace: 'default', uid: 'db' },
  spec: {
    replicas: 3,
    serviceName: 'db',
    selector: { matchLabels: { app: 'db' } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
    volumeClaimTemplates: [{ metadata: { name: 'data' } }],
    template: { metadata: { labels: { app: 'db' } }, spec: { containers: [] } },
    ...spec,
  },
});
const revision = (name: string, image: string): ControllerRevision => ({
  metadata: { name },
  revision: 1,
  data: {
    spec: {
      template: {
        $patch: 'replace',
        metadata: { labels: { app: 'db' } },
        spec: { containers: [{ name: 'c', image }] },
      },
    },
  },
});
const revisions = { current: revision('db-old', 'v1'), update: revision('db-new', 'v2') };

interface Facts {
  ready?: boolean;
  deleting?: boolean;
  phase?: string;
  old?: boolean;
}
function pod(ordinal: number, { ready = true, deleting, phase = 'Running', old }: Facts = {}): Pod {
  const made = statefulPod(set(), old ? revisions.current : revisions.update, ordinal);
  return {
    ...made,
    metadata: {
      ...made.metadata,
      uid: `${ordinal}`,
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

const stepsOf = (subject: StatefulSet, pods: Pod[]): string[] =>
  planStatefulSet(subject, pods, revisions).map((step) =>
    step.action === 'create'
      ? `create ${step.ordinal} ${step.revision.metadata?.name}`
      : `${step.action} ${step.pod.metadata?.name}${step.action === 'delete' ? ` ${step.reason}` : ''}`,
  );

test.each<[string, StatefulSet, Pod[], string[]]>([
  ['the first pod first', set(), [], ['create 0 db-new']],
  ['the next when the one before is ready', set(), [pod(0)], ['create 1 db-new']],
  ['nothing while one is not ready', set(), [pod(0, { ready: false })], []],
  ['nothing while one terminates', set(), [pod(0), pod(1, { deleting: true })], []],
  [
    'all at once in parallel',
    set({ podManagementPolicy: 'Parallel' }),
    [],
    ['create 0 db-new', 'create 1 db-new', 'create 2 db-new'],
  ],
  ['a failed pod again', set(), [pod(0, { phase: 'Failed' })], ['delete db-0 failed']],
  ['the highest away first', set({ replicas: 1 }), [pod(0), pod(1), pod(2)], ['delete db-2 scaled down']],
  [
    'updates from the top',
    set(),
    [pod(0, { old: true }), pod(1, { old: true }), pod(2, { old: true })],
    ['delete db-2 update'],
  ],
  ['one update at a time', set(), [pod(0, { old: true }), pod(1, { old: true }), pod(2, { ready: false })], []],
  [
    'no updates below the partition',
    set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }),
    [pod(0, { old: true }), pod(1, { old: true }), pod(2)],
    [],
  ],
  [
    'the old revision below the partition',
    set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }),
    [],
    ['create 0 db-old'],
  ],
  [
    'no updates with OnDelete',
    set({ updateStrategy: { type: 'OnDelete' } }),
    [pod(0, { old: true }), pod(1), pod(2)],
    [],
  ],
  [
    'as many updates as may be unavailable',
    set({
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 2 } },
    }),
    [pod(0, { old: true }), pod(1, { old: true }), pod(2, { old: true })],
    ['delete db-2 update', 'delete db-1 update'],
  ],
  ['ordinals from their start', set({ replicas: 1, ordinals: { start: 5 } }), [], ['create 5 db-new']],
])('a StatefulSet makes %s', (_what, subject, pods, expected) => {
  expect(stepsOf(subject, pods)).toEqual(expected);
});

test('a pod has name, labels, host name, subdomain and its own claim', () => {
  const made = statefulPod(set(), revisions.update, 1);
  expect(made.metadata?.labels).toEqual({
    app: 'db',
    'statefulset.kubernetes.io/pod-name': 'db-1',
    'apps.kubernetes.io/pod-index': '1',
    'controller-revision-hash': 'db-new',
  });
  expect(made.spec).toMatchObject({
    hostname: 'db-1',
    subdomain: 'db',
    containers: [{ image: 'v2' }],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-db-1' } }],
  });
  expect(hasIdentity(set(), made)).toBe(true);
  expect(hasIdentity(set(), { ...made, metadata: { ...made.metadata, labels: {} } })).toBe(false);
});

test.each([
  ['nobody by default', {}, 0, []],
  ['the set when they are to go with it', { whenDeleted: 'Delete' }, 0, ['StatefulSet']],
  ['a pod that was scaled away', { whenScaled: 'Delete' }, 3, ['Pod']],
])('claims belong to %s', (_what, persistentVolumeClaimRetentionPolicy, ordinal, kinds) => {
  expect(claimOwners(set({ persistentVolumeClaimRetentionPolicy }), pod(ordinal)).map(({ kind }) => kind)).toEqual(
    kinds,
  );
});

test('status counts by revision, and a finished update makes the new revision the current one', () => {
  const during = statefulStatus(
    set(),
    [pod(0, { old: true }), pod(1, { old: true }), pod(2, { ready: false })],
    revisions,
    0,
  );
  expect(during).toEqual({
    replicas: 3,
    readyReplicas: 2,
    availableReplicas: 2,
    currentReplicas: 2,
    updatedReplicas: 1,
    currentRevision: 'db-old',
    updateRevision: 'db-new',
    collisionCount: 0,
  });
  const after = statefulStatus(set(), [pod(0), pod(1), pod(2)], revisions, 0);
  expect(after).toMatchObject({ currentRevision: 'db-new', currentReplicas: 3, updatedReplicas: 3 });
});
