import { describe, expect, it } from 'vitest';
import { managerName, updateManagedFields } from '../../../src/components/apiserver/managedfields/field-manager.ts';
import { at, complete, descriptorOf, owned } from './objects.ts';

const pods = descriptorOf('', 'v1', 'pods');
const configMaps = descriptorOf('', 'v1', 'configmaps');
const deployments = descriptorOf('apps', 'v1', 'deployments');

const pod = (image: string, extra: object = {}) =>
  complete(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', labels: { app: 'x' } },
    spec: { containers: [{ name: 'c', image, ports: [{ containerPort: 80 }] }] },
    ...extra,
  });

const configMap = (data: object, metadata: object = {}) =>
  complete(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', ...metadata }, data });

describe('ownership of fields after plain writes', () => {
  it('gives all fields of a new pod to its creator, as upstream writes them', () => {
    const created = updateManagedFields(pods, undefined, pod('nginx:1'), { manager: 'kubectl-run', now: at(0) });
    expect(created.metadata?.managedFields).toEqual([
      {
        manager: 'kubectl-run',
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': {
            'f:containers': {
              'k:{"name":"c"}': {
                '.': {},
                'f:image': {},
                'f:imagePullPolicy': {},
                'f:name': {},
                'f:ports': {
                  '.': {},
                  'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
                },
                'f:resources': {},
                'f:terminationMessagePath': {},
                'f:terminationMessagePolicy': {},
              },
            },
            'f:dnsPolicy': {},
            'f:enableServiceLinks': {},
            'f:restartPolicy': {},
            'f:schedulerName': {},
            'f:securityContext': {},
            'f:terminationGracePeriodSeconds': {},
          },
        },
      },
    ]);
  });

  it('gives a new deployment no dots where Go structs have no pointer', () => {
    const created = updateManagedFields(
      deployments,
      undefined,
      complete(deployments, {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'd', namespace: 'default' },
        spec: {
          selector: { matchLabels: { app: 'd' } },
          template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } },
        },
      }),
      { manager: 'kubectl-create', now: at(0) },
    );
    expect(owned(created)['kubectl-create Update']).toMatchObject({
      'f:spec': {
        'f:progressDeadlineSeconds': {},
        'f:replicas': {},
        'f:selector': {},
        'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {}, 'f:maxUnavailable': {} }, 'f:type': {} },
        'f:template': { 'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } } },
      },
    });
    const spec = (owned(created)['kubectl-create Update'] as Record<string, Record<string, object>>)['f:spec'] ?? {};
    expect(Object.keys(spec)).not.toContain('.');
    expect(Object.keys(spec['f:template'] ?? {})).toEqual(['f:metadata', 'f:spec']);
  });

  it('moves changed fields to who changed them and takes removed ones from everybody', () => {
    const created = updateManagedFields(configMaps, undefined, configMap({ a: '1', b: '1', c: '1' }), {
      manager: 'one',
      now: at(0),
    });
    const live = { ...created, metadata: { ...created.metadata, uid: 'u' } };
    const next = configMap({ a: '1', b: '2' }, { uid: 'u', managedFields: created.metadata?.managedFields });
    const updated = updateManagedFields(configMaps, live, next, { manager: 'two', now: at(1) });
    expect(owned(updated)).toEqual({
      'one Update': { 'f:data': { '.': {}, 'f:a': {} } },
      'two Update': { 'f:data': { 'f:b': {} } },
    });
    expect(updated.metadata?.managedFields?.map(({ time }) => time)).toEqual([
      '2026-01-01T00:00:00Z',
      '2026-01-01T00:00:01Z',
    ]);
  });

  it.each<[string, object, string | undefined, object]>([
    [
      'the status counts for the status subresource',
      { status: { phase: 'Running' } },
      'status',
      { 'kubelet Update status': { 'f:status': { 'f:phase': {} } } },
    ],
    ['the status does not count for the pod itself', { status: { phase: 'Running' } }, undefined, {}],
    [
      'conditions are owned one by one',
      { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
      'status',
      {
        'kubelet Update status': {
          'f:status': {
            'f:conditions': {
              '.': {},
              'k:{"type":"Ready"}': {
                '.': {},
                'f:lastProbeTime': {},
                'f:lastTransitionTime': {},
                'f:status': {},
                'f:type': {},
              },
            },
          },
        },
      },
    ],
  ])('%s', (_, extra, subresource, expected) => {
    const write = { manager: 'creator', now: at(0) };
    const live = updateManagedFields(pods, undefined, pod('i:1'), write);
    const next = { ...pod('i:1', extra), metadata: live.metadata ?? {} };
    const by = { manager: 'kubelet', now: at(1), ...(subresource ? { subresource } : {}) };
    const updated = updateManagedFields(pods, live, next, by);
    const { 'creator Update': creator, ...others } = owned(updated);
    expect(others).toEqual(expected);
    expect(creator).toBe(owned(live)['creator Update']);
  });

  it('keeps times when nothing changes', () => {
    const live = updateManagedFields(configMaps, undefined, configMap({ a: '1' }), { manager: 'one', now: at(0) });
    const again = updateManagedFields(configMaps, live, configMap({ a: '1' }), { manager: 'one', now: at(9) });
    expect(again.metadata?.managedFields).toEqual(live.metadata?.managedFields);
  });

  it('forgets all owners on request, and stays silent from then on', () => {
    const live = updateManagedFields(configMaps, undefined, configMap({ a: '1' }), { manager: 'one', now: at(0) });
    const next = configMap({ a: '2' }, { managedFields: [{}] });
    const reset = updateManagedFields(configMaps, live, next, { manager: 'two', now: at(1) });
    expect(reset.metadata?.managedFields).toBeUndefined();
    const later = updateManagedFields(configMaps, reset, configMap({ a: '3' }), { manager: 'two', now: at(2) });
    expect(later.metadata?.managedFields).toBeUndefined();
  });

  it('joins the oldest updaters once there are more than ten', () => {
    let live = updateManagedFields(configMaps, undefined, configMap({ k0: '' }), { manager: 'm0', now: at(0) });
    const data: Record<string, string> = { k0: '' };
    for (let index = 1; index <= 12; index++) {
      data[`k${index}`] = '';
      live = updateManagedFields(configMaps, live, configMap(data), { manager: `m${index}`, now: at(index) });
    }
    expect(Object.keys(owned(live))).toEqual([
      'ancient-changes Update',
      ...[4, 5, 6, 7, 8, 9, 10, 11, 12].map((index) => `m${index} Update`),
    ]);
    expect(owned(live)['ancient-changes Update']).toEqual({
      'f:data': { '.': {}, 'f:k0': {}, 'f:k1': {}, 'f:k2': {}, 'f:k3': {} },
    });
  });

  it.each([
    ['mine', 'kubectl/v1.36', 'mine'],
    [null, 'kubectl/v1.36 (linux/amd64)', 'kubectl'],
    ['', 'kube-controller-manager/v1', 'kube-controller-manager'],
    [null, `${'x'.repeat(200)}/v1`, 'x'.repeat(128)],
    [null, undefined, ''],
  ])('names the manager of %j and %j', (fieldManager, userAgent, expected) => {
    expect(managerName(fieldManager, userAgent)).toBe(expected);
  });

  it('accounts for a status update of a pod in less than a millisecond', () => {
    const status = (ready: string) => ({
      status: {
        phase: 'Running',
        conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
          type,
          status: ready,
        })),
        containerStatuses: [{ name: 'c', ready: true, restartCount: 0, image: 'i', imageID: 'i' }],
      },
    });
    const created = updateManagedFields(pods, undefined, pod('i:1'), { manager: 'creator', now: at(0) });
    const live = updateManagedFields(
      pods,
      created,
      { ...pod('i:1', status('False')), metadata: created.metadata ?? {} },
      { manager: 'kubelet', subresource: 'status', now: at(1) },
    );
    const next = { ...pod('i:1', status('True')), metadata: structuredClone(live.metadata ?? {}) };
    const write = { manager: 'kubelet', subresource: 'status', now: at(2) };
    const rounds = 2_000;
    const start = process.cpuUsage();
    for (let round = 0; round < rounds; round++) updateManagedFields(pods, live, next, write);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1_000 / rounds).toBeLessThan(1);
  });
});
