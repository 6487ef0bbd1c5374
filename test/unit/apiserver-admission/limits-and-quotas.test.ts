import { describe, expect, it } from 'vitest';
import { limitRanger } from '../../../src/components/apiserver/admission/plugins/limit-ranger.ts';
import { resourceQuota } from '../../../src/components/apiserver/admission/plugins/resource-quota.ts';
import type { Pod, ResourceQuota, UnknownObject } from '../../../src/machinery/api/types.ts';
import { attributesOf, cluster, run } from './cluster.ts';

const pod = (requests: Record<string, string> = {}, limits: Record<string, string> = {}): UnknownObject => ({
  metadata: { name: 'web', namespace: 'shop' },
  spec: { containers: [{ name: 'a', image: 'x', resources: { requests, limits } }] },
});
const range = (limits: object[]): Record<string, UnknownObject> => ({
  'limitranges/shop/l': { metadata: { name: 'l', namespace: 'shop' }, spec: { limits } },
});

describe('LimitRanger', () => {
  it('fills in defaults and says so', async () => {
    const { deps } = cluster(
      range([{ type: 'Container', default: { cpu: '1' }, defaultRequest: { cpu: '500m', memory: '1Gi' } }]),
    );
    const attributes = attributesOf({ resource: 'pods' }, pod({ memory: '2Gi' }));
    expect(await run(limitRanger(deps, {}), attributes)).toBe('');
    const { spec, metadata } = attributes.object as Pod;
    expect(spec?.containers[0]?.resources).toEqual({ requests: { memory: '2Gi', cpu: '500m' }, limits: { cpu: '1' } });
    expect(metadata?.annotations).toEqual({
      'kubernetes.io/limit-ranger': 'LimitRanger plugin set: cpu request for container a; cpu limit for container a',
    });
  });

  it.each<[string, object, UnknownObject, string]>([
    [
      'within bounds',
      { type: 'Container', min: { cpu: '100m' }, max: { cpu: '2' } },
      pod({ cpu: '1' }, { cpu: '2' }),
      '',
    ],
    [
      'a limit above max',
      { type: 'Container', max: { cpu: '1' } },
      pod({}, { cpu: '2' }),
      'pods "web" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
    ],
    [
      'no limit where there is a max',
      { type: 'Container', max: { cpu: '1' } },
      pod(),
      'pods "web" is forbidden: maximum cpu usage per Container is 1.  No limit is specified',
    ],
    [
      'two faults',
      { type: 'Container', min: { cpu: '1', memory: '1Gi' } },
      pod({ cpu: '500m', memory: '512Mi' }),
      'pods "web" is forbidden: [minimum cpu usage per Container is 1, but request is 500m, minimum memory usage per Container is 1Gi, but request is 512Mi]',
    ],
    [
      'a pod in all',
      { type: 'Pod', max: { cpu: '1' } },
      pod({}, { cpu: '1500m' }),
      'pods "web" is forbidden: maximum cpu usage per Pod is 1, but limit is 1500m',
    ],
    [
      'too large a ratio',
      { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
      pod({ cpu: '100m' }, { cpu: '1' }),
      'pods "web" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000',
    ],
  ])('%s', async (_what, item, object, message) => {
    const { deps } = cluster(range([item]));
    expect(await run(limitRanger(deps, {}), attributesOf({ resource: 'pods' }, object))).toBe(message);
  });
});

const quota = (
  hard: Record<string, string>,
  used: Record<string, string>,
  spec: object = {},
): Record<string, UnknownObject> => ({
  'resourcequotas/shop/q': {
    metadata: { name: 'q', namespace: 'shop' },
    spec: { hard, ...spec },
    status: { hard, used },
  },
});
const usedOf = (stored: Map<string, UnknownObject>) =>
  (stored.get('resourcequotas/shop/q') as ResourceQuota).status?.used;

describe('ResourceQuota', () => {
  it('reserves what a pod uses', async () => {
    const { deps, stored } = cluster(quota({ pods: '3', 'requests.cpu': '1' }, { pods: '1', 'requests.cpu': '250m' }));
    expect(await run(resourceQuota(deps, {}), attributesOf({ resource: 'pods' }, pod({ cpu: '500m' })))).toBe('');
    expect(usedOf(stored)).toEqual({ pods: '2', 'requests.cpu': '750m' });
  });

  it('reserves nothing in a dry run', async () => {
    const { deps, stored } = cluster(quota({ pods: '3' }, { pods: '1' }));
    await run(resourceQuota(deps, {}), attributesOf({ resource: 'pods' }, pod(), { dryRun: true }));
    expect(usedOf(stored)).toEqual({ pods: '1' });
  });

  it('of many creates at once no more get in than are allowed', async () => {
    const { deps, stored } = cluster(quota({ pods: '3' }, { pods: '0' }));
    const plugin = resourceQuota(deps, {});
    const messages = await Promise.all(
      Array.from({ length: 5 }, () => run(plugin, attributesOf({ resource: 'pods' }, pod()))),
    );
    expect(messages.filter((message) => message === '')).toHaveLength(3);
    expect(messages.filter(Boolean)).toEqual(
      Array(2).fill('pods "web" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3'),
    );
    expect(usedOf(stored)).toEqual({ pods: '3' });
  });

  it.each<[string, Record<string, UnknownObject>, UnknownObject, string]>([
    [
      'too much of two resources',
      quota({ 'requests.cpu': '1', 'limits.cpu': '2' }, { 'requests.cpu': '900m', 'limits.cpu': '1' }),
      pod({ cpu: '200m' }, { cpu: '1500m' }),
      'pods "web" is forbidden: exceeded quota: q, requested: limits.cpu=1500m,requests.cpu=200m, used: limits.cpu=1,requests.cpu=900m, limited: limits.cpu=2,requests.cpu=1',
    ],
    [
      'a pod that does not say what it wants',
      quota({ cpu: '1', 'limits.memory': '1Gi' }, { cpu: '0', 'limits.memory': '0' }),
      pod(),
      'pods "web" is forbidden: failed quota: q: must specify cpu for: a; limits.memory for: a',
    ],
    [
      'a quota that nobody has counted yet',
      { 'resourcequotas/shop/q': { metadata: { name: 'q', namespace: 'shop' }, status: { hard: { pods: '1' } } } },
      pod(),
      'pods "web" is forbidden: status unknown for quota: q, resources: pods',
    ],
    [
      'a scope that does not fit',
      quota({ pods: '0' }, { pods: '0' }, { scopes: ['BestEffort'] }),
      pod({ cpu: '1' }),
      '',
    ],
    ['a quota of other things', quota({ services: '0' }, { services: '0' }), pod(), ''],
  ])('%s', async (_what, objects, object, message) => {
    const { deps } = cluster(objects);
    expect(await run(resourceQuota(deps, {}), attributesOf({ resource: 'pods' }, object))).toBe(message);
  });

  it('counts objects of any kind, and what a service grows by', async () => {
    const { deps, stored } = cluster(
      quota(
        { 'count/deployments.apps': '0', 'services.nodeports': '2' },
        { 'count/deployments.apps': '0', 'services.nodeports': '1' },
      ),
    );
    const plugin = resourceQuota(deps, {});
    const deployment = attributesOf({ group: 'apps', resource: 'deployments' }, { metadata: { name: 'web' } });
    expect(await run(plugin, deployment)).toContain('exceeded quota: q, requested: count/deployments.apps=1');
    const service = (type: string): UnknownObject => ({
      metadata: { name: 's' },
      spec: { type, ports: [{ port: 80 }] },
    });
    const grow = attributesOf({ resource: 'services' }, service('NodePort'), {
      operation: 'UPDATE',
      oldObject: service('ClusterIP'),
    });
    expect(await run(plugin, grow)).toBe('');
    expect(usedOf(stored)?.['services.nodeports']).toBe('2');
    expect(await run(plugin, grow)).toContain('exceeded quota');
  });
});
