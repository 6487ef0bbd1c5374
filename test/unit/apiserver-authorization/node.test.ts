import { beforeAll, expect, test } from 'vitest';
import { createAuthorizer, type RuleAuthorizer } from '../../../src/components/apiserver/authorization/authorizer.ts';
import type { AuthorizationAttributes } from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { MemoryCache } from './memory-cache.ts';

const pods = { group: '', resource: 'pods' };
const cache = new MemoryCache();
let authorizer: RuleAuthorizer;

function pod(name: string, nodeName: string | undefined, annotations = {}): UnknownObject {
  return {
    metadata: { name, namespace: 'a', annotations },
    spec: {
      nodeName,
      serviceAccountName: `${name}-sa`,
      containers: [
        {
          name: 'c',
          env: [{ name: 'E', valueFrom: { secretKeyRef: { name: `${name}-env`, key: 'k' } } }],
          envFrom: [{ configMapRef: { name: `${name}-from` } }],
        },
      ],
      volumes: [
        { name: 'v', persistentVolumeClaim: { claimName: `${name}-claim` } },
        { name: 'p', projected: { sources: [{ configMap: { name: `${name}-projected` } }] } },
        { name: 'scratch', ephemeral: {} },
      ],
    },
  };
}

beforeAll(async () => {
  cache.set(pods, pod('p1', 'n1'));
  cache.set(pods, pod('p2', 'n2'));
  cache.set(pods, pod('pending', undefined));
  cache.set(pods, pod('static', 'n1', { 'kubernetes.io/config.mirror': 'x' }));
  cache.set(
    { group: '', resource: 'persistentvolumes' },
    {
      metadata: { name: 'pv1' },
      spec: {
        claimRef: { namespace: 'a', name: 'p1-claim' },
        csi: { nodeStageSecretRef: { name: 'stage', namespace: 'csi' } },
      },
    },
  );
  cache.set(
    { group: 'storage.k8s.io', resource: 'volumeattachments' },
    {
      metadata: { name: 'va1' },
      spec: { nodeName: 'n1' },
    },
  );
  authorizer = createAuthorizer({ modes: ['Node'] }, { cache });
  await authorizer.ready();
});

function ask(verb: string, what: string, namespace = '', name = '', fieldSelector?: string): AuthorizationAttributes {
  const [resources = '', apiGroup = ''] = what.split('@');
  const [resource = '', subresource = ''] = resources.split('/');
  return {
    user: { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] },
    verb,
    resourceRequest: true,
    path: '',
    apiGroup,
    apiVersion: 'v1',
    resource,
    subresource,
    namespace,
    name,
    ...(fieldSelector ? { fieldSelector } : {}),
  };
}

test.each<[string, string, string, string, string | undefined, boolean]>([
  ['get', 'secrets', 'a', 'p1-env', undefined, true],
  ['watch', 'secrets', 'a', 'p1-env', undefined, true],
  ['get', 'secrets', 'a', 'p2-env', undefined, false],
  ['get', 'secrets', 'b', 'p1-env', undefined, false],
  ['get', 'secrets', 'a', 'pending-env', undefined, false],
  ['get', 'secrets', 'a', 'static-env', undefined, false],
  ['list', 'secrets', 'a', '', undefined, false],
  ['update', 'secrets', 'a', 'p1-env', undefined, false],
  ['get', 'secrets', 'csi', 'stage', undefined, true],
  ['get', 'configmaps', 'a', 'p1-from', undefined, true],
  ['get', 'configmaps', 'a', 'p1-projected', undefined, true],
  ['get', 'persistentvolumeclaims', 'a', 'p1-claim', undefined, true],
  ['get', 'persistentvolumeclaims', 'a', 'p1-scratch', undefined, true],
  ['list', 'persistentvolumeclaims', 'a', '', undefined, false],
  ['get', 'persistentvolumes', '', 'pv1', undefined, true],
  ['get', 'persistentvolumes', '', 'pv2', undefined, false],
  ['get', 'volumeattachments@storage.k8s.io', '', 'va1', undefined, true],
  ['create', 'serviceaccounts/token', 'a', 'p1-sa', undefined, true],
  ['create', 'serviceaccounts/token', 'a', 'p2-sa', undefined, false],
  ['list', 'pods', '', '', 'spec.nodeName=n1', true],
  ['watch', 'pods', '', '', 'spec.nodeName=n1', true],
  ['list', 'pods', '', '', 'spec.nodeName=n2', false],
  ['list', 'pods', '', '', 'spec.nodeName!=n1', false],
  ['list', 'pods', '', '', undefined, false],
  ['get', 'pods', 'a', 'p1', undefined, true],
  ['get', 'pods', 'a', 'p2', undefined, false],
  ['delete', 'pods', 'a', 'p1', undefined, true],
  ['patch', 'pods/status', 'a', 'p1', undefined, true],
  ['patch', 'pods', 'a', 'p1', undefined, false],
  ['create', 'pods/exec', 'a', 'p1', undefined, false],
  ['get', 'nodes', '', 'n1', undefined, true],
  ['get', 'nodes', '', 'n2', undefined, false],
  ['list', 'nodes', '', '', 'metadata.name=n1', true],
  ['list', 'nodes', '', '', undefined, false],
  ['create', 'nodes', '', '', undefined, true],
  ['patch', 'nodes/status', '', 'n1', undefined, true],
  ['delete', 'nodes', '', 'n1', undefined, false],
  ['update', 'leases@coordination.k8s.io', 'kube-node-lease', 'n1', undefined, true],
  ['update', 'leases@coordination.k8s.io', 'kube-node-lease', 'n2', undefined, false],
  ['update', 'leases@coordination.k8s.io', 'default', 'n1', undefined, false],
  ['get', 'csinodes@storage.k8s.io', '', 'n1', undefined, true],
  ['get', 'csinodes@storage.k8s.io', '', 'n2', undefined, false],
  ['list', 'services', '', '', undefined, true],
  ['create', 'events', 'a', '', undefined, true],
  ['create', 'certificatesigningrequests@certificates.k8s.io', '', '', undefined, true],
  ['create', 'tokenreviews@authentication.k8s.io', '', '', undefined, true],
  ['list', 'csidrivers@storage.k8s.io', '', '', undefined, true],
  ['list', 'deployments@apps', '', '', undefined, false],
])('node n1 may %s %s in "%s" named "%s" selecting %s: %s', async (verb, what, namespace, name, selector, allowed) => {
  const answer = await authorizer.authorize(ask(verb, what, namespace, name, selector));
  expect(answer.decision === 'allow').toBe(allowed);
});

test('when the last pod that refers to a secret goes, so does the right', async () => {
  cache.set(pods, pod('p3', 'n1'));
  expect((await authorizer.authorize(ask('get', 'secrets', 'a', 'p3-env'))).decision).toBe('allow');
  cache.remove(pods, 'a', 'p3');
  expect(await authorizer.authorize(ask('get', 'secrets', 'a', 'p3-env'))).toEqual({
    decision: 'no-opinion',
    reason: "no relationship found between node 'n1' and this object",
  });
});

test('somebody outside system:nodes is no node', async () => {
  const attributes = ask('list', 'services');
  const answer = await authorizer.authorize({ ...attributes, user: { name: 'system:node:n1', groups: [] } });
  expect(answer.decision).toBe('no-opinion');
});
