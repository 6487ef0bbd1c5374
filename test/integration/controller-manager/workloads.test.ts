/** ReplicaSets, Deployments, DaemonSets and StatefulSets against a real kube-apiserver and etcd; the nodes are hollow. */
import { describe, expect, test } from 'vitest';
import type { Deployment, StatefulSet } from '../../../src/machinery/api/types.ts';
import {
  controllerRevisions,
  daemonSets,
  deployments,
  nodes,
  persistentVolumeClaims,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '../../../src/machinery/client/resources.ts';
import {
  imageOf,
  nameOf,
  namespace,
  selectorOf,
  template,
  until,
  useHollowCluster,
  withImage,
} from './hollow-cluster.ts';

const { resource, when, listed, podsOf, told, patch } = useHollowCluster(['n1', 'n2', 'n3']);

describe('a ReplicaSet', () => {
  test('adopts matching orphans, releases pods that match no more, and replaces them', async () => {
    const app = 'family';
    await resource(pods).create({
      metadata: { namespace, name: 'orphan', labels: { app } },
      spec: { containers: [{ name: 'c', image: 'v1' }] },
    });
    await resource(replicaSets).create({
      metadata: { namespace, name: app },
      spec: { replicas: 2, selector: selectorOf(app), template: template(app) },
    });
    await when(replicaSets, app, ({ status }) => status?.readyReplicas === 2);
    const orphan = await resource(pods).get({ namespace, name: 'orphan' });
    expect(orphan.metadata?.ownerReferences).toMatchObject([{ kind: 'ReplicaSet', name: app, controller: true }]);
    await patch(pods, 'orphan', { metadata: { labels: { app: 'free' } } });
    await when(pods, 'orphan', ({ metadata }) => !metadata?.ownerReferences?.length);
    await until('a replacement', async () => (await podsOf(app)).length === 2);
  });

  test('never makes one pod too many, and says what it did', async () => {
    const app = 'exact';
    await resource(replicaSets).create({
      metadata: { namespace, name: app },
      spec: { replicas: 20, selector: selectorOf(app), template: template(app) },
    });
    await when(replicaSets, app, ({ status }) => status?.readyReplicas === 20);
    await told('ReplicaSet', app, /^SuccessfulCreate: Created pod: exact-[a-z0-9]{5}$/);
    expect(await listed(pods, `app=${app}`)).toHaveLength(20);
    await patch(replicaSets, app, { spec: { replicas: 3 } });
    await when(replicaSets, app, ({ status }) => status?.replicas === 3);
    expect(await podsOf(app)).toHaveLength(3);
    await resource(replicaSets).delete({ namespace, name: app }, { propagationPolicy: 'Background' });
    await until('its pods to go', async () => (await listed(pods, `app=${app}`)).length === 0);
  });

  test('says when pods cannot be created', async () => {
    const app = 'refused';
    await resource(replicaSets).create({
      metadata: { namespace, name: app },
      spec: {
        replicas: 1,
        selector: selectorOf(app),
        template: {
          ...template(app),
          spec: { containers: [{ name: 'c', image: 'v1' }], serviceAccountName: 'nobody' },
        },
      },
    });
    const { status } = await when(replicaSets, app, (set) => Boolean(set.status?.conditions?.length));
    expect(status?.conditions).toMatchObject([{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' }]);
    expect(status?.conditions?.[0]?.message).toMatch(
      /pods "refused-.*" is forbidden: error looking up service account/,
    );
  });
});

test('a ReplicationController keeps its pods', async () => {
  const app = 'old-style';
  await resource(replicationControllers).create({
    metadata: { namespace, name: app },
    spec: { replicas: 2, selector: { app }, template: template(app) },
  });
  await when(replicationControllers, app, ({ status }) => status?.availableReplicas === 2);
});

describe('a Deployment', () => {
  const create = (app: string, spec: Partial<NonNullable<Deployment['spec']>> = {}) =>
    resource(deployments).create({
      metadata: { namespace, name: app },
      spec: { replicas: 3, selector: selectorOf(app), template: template(app), ...spec },
    });
  const isDone = ({ metadata, status, spec }: Deployment): boolean =>
    status?.observedGeneration === metadata?.generation &&
    status?.updatedReplicas === spec?.replicas &&
    status?.replicas === spec?.replicas &&
    status?.availableReplicas === spec?.replicas;
  const conditions = ({ status }: Deployment) =>
    status?.conditions?.map(({ type, status: value, reason }) => `${type}=${value} ${reason}`).sort();

  test('rolls to a new template, and back with a new revision', async () => {
    const app = 'rolling';
    await create(app, { revisionHistoryLimit: 1 });
    const first = await when(deployments, app, isDone);
    expect(conditions(first)).toEqual([
      'Available=True MinimumReplicasAvailable',
      'Progressing=True NewReplicaSetAvailable',
    ]);
    for (const [image, revision] of [
      ['v2', '2'],
      ['v1', '3'],
      ['v3', '4'],
    ] as const) {
      await patch(deployments, app, withImage(image));
      const done = await when(deployments, app, isDone);
      expect(done.metadata?.annotations?.['deployment.kubernetes.io/revision']).toBe(revision);
      expect((await podsOf(app)).map(imageOf)).toEqual([image, image, image]);
    }
    const sets = await until('the history to be cut', async () => {
      const found = await listed(replicaSets, `app=${app}`);
      return found.length === 2 ? found : undefined;
    });
    const rolledBack = sets.find(
      ({ metadata }) => metadata?.annotations?.['deployment.kubernetes.io/revision'] === '3',
    );
    expect(rolledBack?.metadata?.annotations?.['deployment.kubernetes.io/revision-history']).toBe('1');
    await told('Deployment', app, /^ScalingReplicaSet: Scaled up replica set rolling-[^ ]+ from 0 to 3$/);
  });

  test('recreates: no new pod before the last old one is gone', async () => {
    const app = 'recreate';
    await create(app, { strategy: { type: 'Recreate' } });
    await when(deployments, app, isDone);
    const seen: string[][] = [];
    await patch(deployments, app, withImage('v2'));
    await until('the new pods', async () => {
      const images = (await listed(pods, `app=${app}`)).map(imageOf);
      seen.push([...new Set(images)]);
      return images.length === 3 && images.every((image) => image === 'v2');
    });
    expect(seen.filter((images) => images.length > 1)).toEqual([]);
  });

  test('that is paused scales but does not roll', async () => {
    const app = 'paused';
    await create(app, { paused: true });
    const paused = await when(
      deployments,
      app,
      (found) => conditions(found)?.includes('Progressing=Unknown DeploymentPaused') ?? false,
    );
    expect(paused.status?.replicas ?? 0).toBe(0);
    await patch(deployments, app, { spec: { paused: false } });
    await when(deployments, app, isDone);
    await patch(deployments, app, { spec: { paused: true, ...withImage('v2').spec, replicas: 5 } });
    await when(deployments, app, ({ status }) => status?.availableReplicas === 5);
    expect(new Set((await podsOf(app)).map(imageOf))).toEqual(new Set(['v1']));
  });

  test('that makes no progress says so after its deadline, and keeps the old pods', async () => {
    const app = 'stuck';
    await create(app, {
      progressDeadlineSeconds: 2,
      minReadySeconds: 0,
      strategy: { rollingUpdate: { maxUnavailable: 0 } },
    });
    await when(deployments, app, isDone);
    await patch(deployments, app, { spec: { template: { metadata: { annotations: { 'hollow/unready': '' } } } } });
    const late = await when(
      deployments,
      app,
      (found) => conditions(found)?.includes('Progressing=False ProgressDeadlineExceeded') ?? false,
    );
    expect(late.status?.conditions?.find(({ type }) => type === 'Progressing')?.message).toMatch(
      /^ReplicaSet "stuck-.*" has timed out progressing.$/,
    );
    expect(late.status?.availableReplicas).toBe(3);
  });

  test('hands its pods on when it is deleted without them, and takes them back', async () => {
    const app = 'orphaned';
    await create(app);
    await when(deployments, app, isDone);
    const before = (await podsOf(app)).map(nameOf).sort();
    await resource(deployments).delete({ namespace, name: app }, { propagationPolicy: 'Orphan' });
    await until('the end', async () => !(await resource(deployments).find({ namespace, name: app })));
    await create(app);
    await when(deployments, app, isDone);
    expect((await podsOf(app)).map(nameOf).sort()).toEqual(before);
  });
});

describe('a DaemonSet', () => {
  test('runs one pod per node, follows taints, and updates one node at a time', async () => {
    const app = 'daemon';
    await resource(daemonSets).create({
      metadata: { namespace, name: app },
      spec: { selector: selectorOf(app), template: template(app) },
    });
    await when(daemonSets, app, ({ status }) => status?.numberAvailable === 3 && status.observedGeneration === 1);
    expect(new Set((await podsOf(app)).map(({ spec }) => spec?.nodeName))).toEqual(new Set(['n1', 'n2', 'n3']));
    const tainted = { spec: { taints: [{ key: 'test', effect: 'NoExecute' }] } };
    await resource(nodes).patch({ name: 'n3' }, tainted, { type: 'merge' });
    await when(
      daemonSets,
      app,
      ({ status }) => status?.desiredNumberScheduled === 2 && status.currentNumberScheduled === 2,
    );
    await until('the pod to go', async () => (await podsOf(app)).length === 2);
    await resource(nodes).patch({ name: 'n3' }, { spec: { taints: null } }, { type: 'merge' });
    await when(daemonSets, app, ({ status }) => status?.numberAvailable === 3);
    await patch(daemonSets, app, withImage('v2'));
    await when(
      daemonSets,
      app,
      ({ metadata, status }) =>
        status?.observedGeneration === metadata?.generation &&
        status?.updatedNumberScheduled === 3 &&
        status.numberAvailable === 3,
    );
    expect((await podsOf(app)).map(imageOf)).toEqual(['v2', 'v2', 'v2']);
    const revisions = await listed(controllerRevisions, `app=${app}`);
    expect(revisions.map(({ revision }) => revision).sort()).toEqual([1, 2]);
  });
});

describe('a StatefulSet', () => {
  const create = (app: string, spec: Partial<NonNullable<StatefulSet['spec']>> = {}) =>
    resource(statefulSets).create({
      metadata: { namespace, name: app },
      spec: { replicas: 3, serviceName: app, selector: selectorOf(app), template: template(app), ...spec },
    });

  test('makes pods in order with claims of their own and removes them from the top', async () => {
    const app = 'ordered';
    await create(app, {
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
      persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Retain' },
    });
    await when(statefulSets, app, ({ status }) => status?.availableReplicas === 3);
    const made = (await podsOf(app)).sort(
      (a, b) => Number(a.metadata?.resourceVersion) - Number(b.metadata?.resourceVersion),
    );
    expect(made.map(nameOf)).toEqual(['ordered-0', 'ordered-1', 'ordered-2']);
    expect(made[0]?.spec).toMatchObject({ hostname: 'ordered-0', subdomain: app });
    expect((await listed(persistentVolumeClaims, `app=${app}`)).map(nameOf).sort()).toEqual([
      'data-ordered-0',
      'data-ordered-1',
      'data-ordered-2',
    ]);
    await told('StatefulSet', app, 'SuccessfulCreate: create Pod ordered-0 in StatefulSet ordered successful');
    await patch(statefulSets, app, { spec: { replicas: 1 } });
    await when(statefulSets, app, ({ status }) => status?.replicas === 1);
    expect((await podsOf(app)).map(nameOf)).toEqual(['ordered-0']);
    await until('the claims to go with their pods', async () => {
      const claims = await listed(persistentVolumeClaims, `app=${app}`);
      // The claim protection finalizer is another controller's.
      return claims.filter(({ metadata }) => !metadata?.deletionTimestamp).length === 1;
    });
  });

  test('updates down to its partition, then the rest', async () => {
    const app = 'canary';
    await create(app, {
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
    });
    await when(statefulSets, app, ({ status }) => status?.availableReplicas === 3);
    await patch(statefulSets, app, withImage('v2'));
    const images = async () => (await podsOf(app)).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).map(imageOf);
    const canary = await when(
      statefulSets,
      app,
      ({ status }) => status?.updatedReplicas === 1 && status.availableReplicas === 3,
    );
    expect(await images()).toEqual(['v1', 'v1', 'v2']);
    expect(canary.status?.currentRevision).not.toBe(canary.status?.updateRevision);
    await patch(statefulSets, app, { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } });
    const done = await when(
      statefulSets,
      app,
      ({ status }) => status?.currentRevision === status?.updateRevision && status?.availableReplicas === 3,
    );
    expect(await images()).toEqual(['v2', 'v2', 'v2']);
    expect(done.status?.currentReplicas).toBe(3);
  });
});
