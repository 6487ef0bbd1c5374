/** The workload controllers against a real kube-apiserver and etcd; the nodes are hollow. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  CronJob,
  Deployment,
  KubeObject,
  Pod,
  PodTemplateSpec,
  StatefulSet,
} from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  controllerRevisions,
  coreEvents,
  cronJobs,
  daemonSets,
  deployments,
  jobs,
  nodes,
  persistentVolumeClaims,
  pods,
  replicaSets,
  replicationControllers,
  serviceAccounts,
  statefulSets,
} from '../../../src/machinery/client/resources.ts';
import type { Client, ResourceType } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';
import { type HollowNodes, startHollowNodes } from './hollow-nodes.ts';

const namespace = 'default';
let plane: ControlPlane;
let client: Client;
let hollow: HollowNodes;

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 30): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await delay(50);
  }
}

/** Resolves with the object when it is as wanted. */
const when = <T extends KubeObject>(type: ResourceType<T>, name: string, test: (object: T) => boolean): Promise<T> =>
  until(`${type.kind} ${name}`, async () => {
    const object = await client.resource(type).find({ namespace, name });
    return object && test(object) ? object : undefined;
  });

const listed = async <T extends KubeObject>(type: ResourceType<T>, labelSelector: string): Promise<T[]> =>
  (await client.resource(type).list({ namespace, labelSelector })).items;
const podsOf = async (app: string): Promise<Pod[]> =>
  (await listed(pods, `app=${app}`)).filter(({ metadata }) => !metadata?.deletionTimestamp);
const nameOf = ({ metadata }: KubeObject): string => metadata?.name ?? '';
const imageOf = ({ spec }: Pod): string => spec?.containers[0]?.image ?? '';

const messagesOf = async (kind: string, name: string): Promise<string[]> => {
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
  const { items } = await client.resource(coreEvents).list({ namespace, fieldSelector });
  return items.map(({ reason, message }) => `${reason}: ${message}`);
};

const template = (app: string, image = 'v1', annotations: Record<string, string> = {}): PodTemplateSpec => ({
  metadata: { labels: { app }, annotations },
  spec: { containers: [{ name: 'c', image }] },
});
const selectorOf = (app: string) => ({ matchLabels: { app } });
const patch = <T extends KubeObject>(type: ResourceType<T>, name: string, body: object) =>
  client.resource(type).patch({ namespace, name }, body, { type: 'strategic' });
const withImage = (image: string) => ({ spec: { template: { spec: { containers: [{ name: 'c', image }] } } } });

beforeAll(async () => {
  plane = await startControlPlane({ components: ['controller-manager'] });
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  await until('the default service account', () =>
    client.resource(serviceAccounts).find({ namespace, name: 'default' }),
  );
  hollow = await startHollowNodes(client, ['n1', 'n2', 'n3']);
});

afterAll(async () => {
  hollow?.stop();
  client?.close();
  await plane?.stop();
});

describe('a ReplicaSet', () => {
  test('adopts matching orphans, releases pods that match no more, and replaces them', async () => {
    const app = 'family';
    await client.resource(pods).create({
      metadata: { namespace, name: 'orphan', labels: { app } },
      spec: { containers: [{ name: 'c', image: 'v1' }] },
    });
    await client.resource(replicaSets).create({
      metadata: { namespace, name: app },
      spec: { replicas: 2, selector: selectorOf(app), template: template(app) },
    });
    await when(replicaSets, app, ({ status }) => status?.readyReplicas === 2);
    const orphan = await client.resource(pods).get({ namespace, name: 'orphan' });
    expect(orphan.metadata?.ownerReferences).toMatchObject([{ kind: 'ReplicaSet', name: app, controller: true }]);
    await patch(pods, 'orphan', { metadata: { labels: { app: 'free' } } });
    await when(pods, 'orphan', ({ metadata }) => !metadata?.ownerReferences?.length);
    await until('a replacement', async () => (await podsOf(app)).length === 2);
  });

  test('never makes one pod too many, and says what it did', async () => {
    const app = 'exact';
    await client.resource(replicaSets).create({
      metadata: { namespace, name: app },
      spec: { replicas: 20, selector: selectorOf(app), template: template(app) },
    });
    await when(replicaSets, app, ({ status }) => status?.readyReplicas === 20);
    const made = await until('20 events', async () => {
      const messages = await messagesOf('ReplicaSet', app);
      return messages.length >= 10 ? messages : undefined;
    });
    expect(made.join()).toMatch(/SuccessfulCreate: Created pod: exact-/);
    expect(await listed(pods, `app=${app}`)).toHaveLength(20);
    await patch(replicaSets, app, { spec: { replicas: 3 } });
    await when(replicaSets, app, ({ status }) => status?.replicas === 3);
    expect(await podsOf(app)).toHaveLength(3);
    await client.resource(replicaSets).delete({ namespace, name: app }, { propagationPolicy: 'Background' });
    await until('its pods to go', async () => (await listed(pods, `app=${app}`)).length === 0);
  });

  test('says when pods cannot be created', async () => {
    const app = 'refused';
    await client.resource(replicaSets).create({
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
  await client.resource(replicationControllers).create({
    metadata: { namespace, name: app },
    spec: { replicas: 2, selector: { app }, template: template(app) },
  });
  await when(replicationControllers, app, ({ status }) => status?.availableReplicas === 2);
});

describe('a Deployment', () => {
  const create = (app: string, spec: Partial<NonNullable<Deployment['spec']>> = {}) =>
    client.resource(deployments).create({
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
    const messages = await messagesOf('Deployment', app);
    expect(messages[0]).toMatch(/^ScalingReplicaSet: Scaled up replica set rolling-[^ ]+ from 0 to 3$/);
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
    await client.resource(deployments).delete({ namespace, name: app }, { propagationPolicy: 'Orphan' });
    await until('the end', async () => !(await client.resource(deployments).find({ namespace, name: app })));
    await create(app);
    await when(deployments, app, isDone);
    expect((await podsOf(app)).map(nameOf).sort()).toEqual(before);
  });
});

describe('a DaemonSet', () => {
  test('runs one pod per node, follows taints, and updates one node at a time', async () => {
    const app = 'daemon';
    await client.resource(daemonSets).create({
      metadata: { namespace, name: app },
      spec: { selector: selectorOf(app), template: template(app) },
    });
    await when(daemonSets, app, ({ status }) => status?.numberAvailable === 3 && status.observedGeneration === 1);
    expect(new Set((await podsOf(app)).map(({ spec }) => spec?.nodeName))).toEqual(new Set(['n1', 'n2', 'n3']));
    const tainted = { spec: { taints: [{ key: 'test', effect: 'NoExecute' }] } };
    await client.resource(nodes).patch({ name: 'n3' }, tainted, { type: 'merge' });
    await when(
      daemonSets,
      app,
      ({ status }) => status?.desiredNumberScheduled === 2 && status.currentNumberScheduled === 2,
    );
    await until('the pod to go', async () => (await podsOf(app)).length === 2);
    await client.resource(nodes).patch({ name: 'n3' }, { spec: { taints: null } }, { type: 'merge' });
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
    client.resource(statefulSets).create({
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
    expect(await messagesOf('StatefulSet', app)).toContain(
      'SuccessfulCreate: create Pod ordered-0 in StatefulSet ordered successful',
    );
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

describe('a Job', () => {
  const create = (name: string, spec: object, exit?: number) =>
    client.resource(jobs).create({
      metadata: { namespace, name },
      spec: {
        template: {
          metadata: {
            labels: { app: name },
            ...(exit === undefined ? {} : { annotations: { 'hollow/exit': `${exit}` } }),
          },
          spec: { containers: [{ name: 'c', image: 'v1' }], restartPolicy: 'Never' },
        },
        ...spec,
      },
    });
  const ended = (name: string) =>
    when(
      jobs,
      name,
      ({ status }) =>
        status?.conditions?.some(
          ({ type, status: value }) => (type === 'Complete' || type === 'Failed') && value === 'True',
        ) ?? false,
    );

  test('counts its completions once and leaves no finalizer behind', async () => {
    await create('many', { completions: 12, parallelism: 5 }, 0);
    const { status } = await ended('many');
    expect(status).toMatchObject({ succeeded: 12, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
    expect(status?.conditions?.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
      'SuccessCriteriaMet CompletionsReached',
      'Complete CompletionsReached',
    ]);
    const all = await listed(pods, 'app=many');
    expect(all).toHaveLength(12);
    expect(all.filter(({ metadata }) => metadata?.finalizers?.length)).toEqual([]);
    expect(await messagesOf('Job', 'many')).toContain('Completed: Job completed');
  });

  test('of indexes runs each of them', async () => {
    await create('indexed', { completions: 3, parallelism: 2, completionMode: 'Indexed' }, 0);
    const { status } = await ended('indexed');
    expect(status).toMatchObject({ succeeded: 3, completedIndexes: '0-2' });
    const names = (await listed(pods, 'app=indexed')).map(nameOf).sort();
    expect(names.map((name) => name.slice(0, -6))).toEqual(['indexed-0', 'indexed-1', 'indexed-2']);
  });

  test('fails when its pods fail too often', async () => {
    await create('failing', { backoffLimit: 0 }, 3);
    const { status } = await ended('failing');
    expect(status?.failed).toBe(1);
    expect(status?.conditions?.at(-1)).toMatchObject({
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    });
    expect(await messagesOf('Job', 'failing')).toContain(
      'BackoffLimitExceeded: Job has reached the specified backoff limit',
    );
  });

  test('fails at its deadline and takes its pods with it', async () => {
    await create('late', { activeDeadlineSeconds: 1 });
    const { status } = await ended('late');
    expect(status?.conditions?.at(-1)).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
    expect(status?.active).toBeUndefined();
  });

  test('that shrinks does not count the pods it lets go', async () => {
    await create('shrinking', { parallelism: 3 });
    await when(jobs, 'shrinking', ({ status }) => status?.ready === 3);
    await patch(jobs, 'shrinking', { spec: { parallelism: 1 } });
    const { status } = await when(jobs, 'shrinking', (job) => job.status?.ready === 1 && job.status.terminating === 0);
    expect(status?.failed).toBeUndefined();
    expect(await podsOf('shrinking')).toHaveLength(1);
  });

  test('that is suspended has no pods until it is resumed', async () => {
    await create('waiting', { suspend: true }, 0);
    await when(jobs, 'waiting', ({ status }) => status?.conditions?.[0]?.type === 'Suspended');
    expect(await listed(pods, 'app=waiting')).toEqual([]);
    await patch(jobs, 'waiting', { spec: { suspend: false } });
    const { status } = await ended('waiting');
    expect(status?.conditions?.map(({ type, status: value }) => `${type}=${value}`)).toEqual([
      'Suspended=False',
      'SuccessCriteriaMet=True',
      'Complete=True',
    ]);
  });

  test('that is deleted lets its pods go', async () => {
    await create('dropped', { parallelism: 2 });
    await when(jobs, 'dropped', ({ status }) => status?.ready === 2);
    await client.resource(jobs).delete({ namespace, name: 'dropped' }, { propagationPolicy: 'Background' });
    await until('its pods to go', async () => (await listed(pods, 'app=dropped')).length === 0);
  });
});

test('a CronJob whose time has come makes one Job and remembers when', async () => {
  const cronJob: CronJob = {
    metadata: { namespace, name: 'tick' },
    spec: {
      schedule: '* * * * *',
      successfulJobsHistoryLimit: 1,
      jobTemplate: {
        spec: {
          template: {
            metadata: { annotations: { 'hollow/exit': '0' } },
            spec: { containers: [{ name: 'c', image: 'v1' }], restartPolicy: 'Never' },
          },
        },
      },
    },
  };
  await client.resource(cronJobs).create(cronJob);
  const ran = await until(
    'the first run',
    async () => {
      const found = await client.resource(cronJobs).get({ namespace, name: 'tick' });
      return found.status?.lastSuccessfulTime ? found : undefined;
    },
    75,
  );
  const minute = Date.parse(ran.status?.lastScheduleTime ?? '') / 60_000;
  const job = await client.resource(jobs).get({ namespace, name: `tick-${minute}` });
  expect(job.metadata?.ownerReferences).toMatchObject([{ kind: 'CronJob', name: 'tick', controller: true }]);
  expect(ran.status?.active).toBeUndefined();
  expect(await messagesOf('CronJob', 'tick')).toEqual([
    `SuccessfulCreate: Created job tick-${minute}`,
    `SawCompletedJob: Saw completed job: tick-${minute}, condition: Complete`,
  ]);
}, 90_000);
