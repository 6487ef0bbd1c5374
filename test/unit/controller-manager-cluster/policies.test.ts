import { describe, expect, test } from 'vitest';
import {
  budgetStatus,
  disruptedPods,
  expectedPods,
} from '../../../src/components/controller-manager/cluster/disruption/budget.ts';
import { deletionConditions } from '../../../src/components/controller-manager/cluster/namespace/conditions.ts';
import { ttlStep } from '../../../src/components/controller-manager/cluster/nodes/ttl.ts';
import { protectedFinalizers } from '../../../src/components/controller-manager/cluster/volumes/protection.ts';
import { reclaimProblem } from '../../../src/components/controller-manager/cluster/volumes/volume-sync.ts';
import { bestVolume } from '../../../src/machinery/api/persistent-volumes.ts';
import { formatResourceList } from '../../../src/machinery/api/quantity.ts';
import { countedResources, inScope, sumUsage, usageOf } from '../../../src/machinery/api/quota.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ResourceQuota,
} from '../../../src/machinery/api/types.ts';

describe('disruption budgets', () => {
  const budget = (spec: object, status?: object): PodDisruptionBudget =>
    ({ metadata: { generation: 3 }, spec, ...(status ? { status } : {}) }) as PodDisruptionBudget;
  test.each([
    [{ minAvailable: 2 }, { expectedCount: 3, desiredHealthy: 2 }],
    [{ minAvailable: '50%' }, { expectedCount: 5, desiredHealthy: 3 }],
    [{ maxUnavailable: 1 }, { expectedCount: 5, desiredHealthy: 4 }],
    [{ maxUnavailable: '30%' }, { expectedCount: 5, desiredHealthy: 3 }],
    [{ maxUnavailable: 9 }, { expectedCount: 5, desiredHealthy: 0 }],
  ])('%j of 3 pods whose controllers want 5', (spec, expected) => {
    expect(expectedPods(budget(spec), 3, 5)).toEqual(expected);
  });

  test.each([
    [3, 2, 3, 1, 'True', 'SufficientPods'],
    [2, 2, 3, 0, 'False', 'InsufficientPods'],
    [1, 2, 3, 0, 'False', 'InsufficientPods'],
    [1, 0, 0, 0, 'False', 'InsufficientPods'],
  ])(
    '%i healthy of %i wanted and %i expected allow %4$i',
    (currentHealthy, desiredHealthy, expectedCount, allowed, status, reason) => {
      const found = budgetStatus(budget({}), { currentHealthy, desiredHealthy, expectedCount }, {});
      expect(found).toMatchObject({ disruptionsAllowed: allowed, expectedPods: expectedCount, observedGeneration: 3 });
      expect(found?.conditions?.[0]).toMatchObject({
        type: 'DisruptionAllowed',
        status,
        reason,
        observedGeneration: 3,
      });
      expect(budgetStatus(budget({}, found), { currentHealthy, desiredHealthy, expectedCount }, {})).toBeUndefined();
    },
  );

  test('evictions count until the pod goes, or two minutes', () => {
    const now = Date.parse('2026-01-01T00:02:30Z');
    const disrupted = { fresh: '2026-01-01T00:02:00Z', late: '2026-01-01T00:00:00Z', gone: '2026-01-01T00:02:00Z' };
    const pods: Pod[] = ['fresh', 'late'].map((name) => ({ metadata: { name } }));
    const found = disruptedPods(budget({}, { disruptedPods: disrupted }), pods, now);
    expect(found).toEqual({ pods: { fresh: disrupted.fresh }, timedOut: ['late'], recheckMs: 90_000 });
  });
});

describe('quotas', () => {
  const pod = (spec: object, status: object = {}): Pod => ({
    spec: { containers: [{ name: 'a', resources: { requests: { cpu: '250m' }, limits: { memory: '1Gi' } } }], ...spec },
    status,
  });
  const usage = (resource: string, object: object, group = '') =>
    formatResourceList(usageOf({ group, resource }, object));

  test.each([
    [
      'a pod',
      usage('pods', pod({})),
      { 'count/pods': '1', pods: '1', cpu: '250m', 'requests.cpu': '250m', 'limits.memory': '1Gi' },
    ],
    ['a pod that has ended', usage('pods', pod({}, { phase: 'Succeeded' })), { 'count/pods': '1' }],
    [
      'a load balancer',
      usage('services', { spec: { type: 'LoadBalancer', ports: [{ port: 1 }, { port: 2 }] } }),
      { 'count/services': '1', services: '1', 'services.loadbalancers': '1', 'services.nodeports': '2' },
    ],
    [
      'a claim',
      usage('persistentvolumeclaims', {
        spec: { storageClassName: 'gold', resources: { requests: { storage: '1Gi' } } },
      }),
      {
        'count/persistentvolumeclaims': '1',
        persistentvolumeclaims: '1',
        'requests.storage': '1Gi',
        'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
        'gold.storageclass.storage.k8s.io/requests.storage': '1Gi',
      },
    ],
    ['a deployment', usage('deployments', {}, 'apps'), { 'count/deployments.apps': '1' }],
    ['a secret', usage('secrets', {}), { 'count/secrets': '1', secrets: '1' }],
  ])('%s uses', (_case, found, expected) => {
    expect(found).toEqual(expected);
  });

  test('sums show what is named, and nothing as 0', () => {
    const usages = [
      usageOf({ group: '', resource: 'pods' }, pod({})),
      usageOf({ group: '', resource: 'pods' }, pod({})),
    ];
    expect(formatResourceList(sumUsage(['cpu', 'pods', 'secrets'], usages))).toEqual({
      cpu: '500m',
      pods: '2',
      secrets: '0',
    });
  });

  test('tell which resources have to be counted', () => {
    const names = [
      'cpu',
      'limits.memory',
      'count/deployments.apps',
      'services.nodeports',
      'requests.storage',
      'secrets',
    ];
    expect(countedResources(names).map(({ group, resource }) => `${group}/${resource}`)).toEqual([
      '/pods',
      'apps/deployments',
      '/services',
      '/persistentvolumeclaims',
      '/secrets',
    ]);
  });

  test.each([
    [['BestEffort'], { containers: [{ name: 'a' }] }, true],
    [['BestEffort'], {}, false],
    [['NotBestEffort', 'NotTerminating'], {}, true],
    [['Terminating'], { activeDeadlineSeconds: 5 }, true],
  ])('scopes %j of %j: %s', (scopes, spec, expected) => {
    const quota: ResourceQuota = { spec: { scopes } };
    expect(inScope(quota, { group: '', resource: 'pods' }, pod(spec))).toBe(expected);
    expect(inScope(quota, { group: '', resource: 'secrets' }, {})).toBe(false);
  });
});

describe('volumes', () => {
  const volume = (name: string, storage: string, more: object = {}): PersistentVolume => ({
    metadata: { name },
    spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], ...more },
    status: { phase: 'Available' },
  });
  const claim: PersistentVolumeClaim = {
    metadata: { namespace: 'x', name: 'c', uid: 'u' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } },
  };
  const reference = (uid?: string) => ({ claimRef: { namespace: 'x', name: 'c', ...(uid ? { uid } : {}) } });
  test.each<[string, PersistentVolume[], string | undefined]>([
    ['the smallest', [volume('l', '9Gi'), volume('m', '3Gi'), volume('s', '1Gi')], 'm'],
    [
      'the one with the fewest modes',
      [volume('m', '3Gi', { accessModes: ['ReadWriteOnce', 'ReadOnlyMany'] }), volume('l', '9Gi')],
      'l',
    ],
    ['the reserved', [volume('m', '3Gi'), volume('r', '9Gi', reference())], 'r'],
    ['none of another class', [volume('m', '3Gi', { storageClassName: 'gold' })], undefined],
    ['none with other modes', [volume('m', '3Gi', { accessModes: ['ReadOnlyMany'] })], undefined],
    ['none of an earlier claim of the name', [volume('m', '3Gi', reference('old'))], undefined],
  ])('%s is taken', (_case, volumes, expected) => {
    expect(bestVolume(claim, volumes)?.metadata?.name).toBe(expected);
  });

  test.each([
    ['Retain', {}, undefined],
    ['Delete', { 'pv.kubernetes.io/provisioned-by': 'kinit.local/local-path' }, undefined],
    ['Delete', {}, 'VolumeFailedDelete'],
    ['Delete', { 'pv.kubernetes.io/provisioned-by': 'kubernetes.io/aws-ebs' }, 'VolumeFailedDelete'],
    ['Recycle', {}, 'VolumeFailedRecycle'],
  ])('a released volume with policy %s and annotations %j: %s', (policy, annotations, reason) => {
    const released = volume('v', '1Gi', { persistentVolumeReclaimPolicy: policy });
    expect(reclaimProblem({ ...released, metadata: { name: 'v', annotations } })?.[0]).toBe(reason);
  });

  test('only reserved ones are taken before a pod was scheduled', () => {
    expect(bestVolume(claim, [volume('m', '3Gi')], { onlyReserved: true })).toBeUndefined();
    expect(bestVolume(claim, [volume('r', '3Gi', reference())], { onlyReserved: true })?.metadata?.name).toBe('r');
  });

  test.each([
    [{}, false, ['f']],
    [{ finalizers: ['f', 'g'] }, false, undefined],
    [{ finalizers: ['f', 'g'], deletionTimestamp: 'now' }, true, undefined],
    [{ finalizers: ['f', 'g'], deletionTimestamp: 'now' }, false, ['g']],
    [{ deletionTimestamp: 'now' }, false, undefined],
  ])('the finalizer with %j, in use %s: %j', (metadata, inUse, expected) => {
    expect(protectedFinalizers({ metadata }, 'f', inUse)).toEqual(expected);
  });
});

test('the annotation of time to live grows with the cluster, and does not flicker at a boundary', () => {
  expect([ttlStep(5, 0), ttlStep(101, 0), ttlStep(95, 1), ttlStep(89, 1), ttlStep(5000, 0)]).toEqual([0, 1, 1, 0, 4]);
});

test('a namespace that is being deleted tells what holds it', () => {
  const conditions = deletionConditions({
    discoveryFailures: [],
    deletionErrors: ['no'],
    remaining: [{ group: '', resource: 'pods', count: 2 }],
    finalizers: new Map([['x/y', 1]]),
  });
  expect(conditions.map(({ type, status, reason, message }) => [type, status, reason, message])).toEqual([
    ['NamespaceDeletionDiscoveryFailure', 'False', 'ResourcesDiscovered', 'All resources successfully discovered'],
    [
      'NamespaceDeletionGroupVersionParsingFailure',
      'False',
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ],
    [
      'NamespaceDeletionContentFailure',
      'True',
      'ContentDeletionFailed',
      'Failed to delete all resource types, 1 remaining: no',
    ],
    [
      'NamespaceContentRemaining',
      'True',
      'SomeResourcesRemain',
      'Some resources are remaining: pods. has 2 resource instances',
    ],
    [
      'NamespaceFinalizersRemaining',
      'True',
      'SomeFinalizersRemain',
      'Some content in the namespace has finalizers remaining: x/y in 1 resource instances',
    ],
  ]);
});
