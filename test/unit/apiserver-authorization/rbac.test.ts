import { beforeAll, describe, expect, test } from 'vitest';
import { forbiddenError } from '../../../src/components/apiserver/authorization/attributes.ts';
import { createAuthorizer, type RuleAuthorizer } from '../../../src/components/apiserver/authorization/authorizer.ts';
import {
  bootstrapObject,
  readBootstrapPolicy,
  reconciled,
} from '../../../src/components/apiserver/authorization/bootstrap-policy.ts';
import { createEscalationCheck } from '../../../src/components/apiserver/authorization/escalation.ts';
import { printRule, uncoveredRules } from '../../../src/components/apiserver/authorization/rbac/rules.ts';
import type {
  AdmissionAttributes,
  AuthorizationAttributes,
  ResourceDescriptor,
  UserInfo,
} from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { MemoryCache } from './memory-cache.ts';

const group = 'rbac.authorization.k8s.io';
const cache = new MemoryCache();
let authorizer: RuleAuthorizer;

const bind = (kind: 'ClusterRole' | 'Role', role: string, subjects: object[], namespace = ''): UnknownObject => ({
  metadata: { name: `${role}-binding`, ...(namespace ? { namespace } : {}) },
  roleRef: { apiGroup: group, kind, name: role },
  subjects,
});

beforeAll(async () => {
  const policy = await readBootstrapPolicy();
  for (const kind of ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'] as const)
    for (const item of policy[kind]) cache.set({ group, resource: kind }, bootstrapObject(kind, item));
  cache.set({ group, resource: 'rolebindings' }, bind('ClusterRole', 'edit', [{ kind: 'User', name: 'bob' }], 'web'));
  cache.set(
    { group, resource: 'roles' },
    {
      metadata: { name: 'one-secret', namespace: 'web' },
      rules: [
        { apiGroups: [''], resources: ['secrets'], resourceNames: ['db'], verbs: ['get'] },
        { apiGroups: [''], resources: ['*/status'], verbs: ['patch'] },
      ],
    },
  );
  cache.set(
    { group, resource: 'rolebindings' },
    bind('Role', 'one-secret', [{ kind: 'ServiceAccount', name: 'app', namespace: 'web' }], 'web'),
  );
  cache.set({ group, resource: 'clusterrolebindings' }, bind('ClusterRole', 'gone', [{ kind: 'User', name: 'carol' }]));
  authorizer = createAuthorizer({ modes: ['Node', 'RBAC'] }, { cache });
  await authorizer.ready();
});

function ask(user: UserInfo, verb: string, what: string, namespace = '', name = ''): AuthorizationAttributes {
  const [resources = '', apiGroup = ''] = what.split('@');
  const [resource = '', subresource = ''] = resources.split('/');
  return what.startsWith('/')
    ? { ...blank, user, verb, resourceRequest: false, path: what }
    : { ...blank, user, verb, resource, subresource, apiGroup, namespace, name };
}
const blank = {
  resourceRequest: true,
  path: '',
  apiGroup: '',
  apiVersion: 'v1',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
};

const anonymous: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const bob: UserInfo = { name: 'bob', groups: ['system:authenticated'] };
const carol: UserInfo = { name: 'carol', groups: ['system:authenticated'] };
const app: UserInfo = {
  name: 'system:serviceaccount:web:app',
  groups: ['system:serviceaccounts', 'system:authenticated'],
};
const root: UserInfo = { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
const scheduler: UserInfo = { name: 'system:kube-scheduler', groups: ['system:authenticated'] };

describe('with the default roles', () => {
  test.each<[UserInfo, string, string, string, string, boolean]>([
    [anonymous, 'get', '/healthz', '', '', true],
    [anonymous, 'get', '/version', '', '', true],
    [anonymous, 'get', '/api/v1', '', '', false],
    [anonymous, 'list', 'pods', 'default', '', false],
    [bob, 'get', '/apis/apps/v1', '', '', true],
    [bob, 'create', 'selfsubjectaccessreviews@authorization.k8s.io', '', '', true],
    [bob, 'create', 'deployments@apps', 'web', '', true],
    [bob, 'create', 'deployments@apps', 'default', '', false],
    [bob, 'get', 'pods/log', 'web', 'p', true],
    [bob, 'create', 'pods/exec', 'web', 'p', true],
    [bob, 'create', 'roles@rbac.authorization.k8s.io', 'web', '', false],
    [bob, 'list', 'nodes', '', '', false],
    [app, 'get', 'secrets', 'web', 'db', true],
    [app, 'get', 'secrets', 'web', 'other', false],
    [app, 'list', 'secrets', 'web', '', false],
    [app, 'patch', 'pods/status', 'web', 'p', true],
    [app, 'patch', 'pods', 'web', 'p', false],
    [root, 'delete', 'nodes', '', 'n', true],
    [scheduler, 'create', 'pods/binding', 'default', 'p', true],
    [scheduler, 'update', 'leases@coordination.k8s.io', 'kube-system', 'kube-scheduler', true],
    [scheduler, 'delete', 'nodes', '', 'n', false],
  ])('$0.name may $1 $2 in "$3" named "$4": $5', async (user, verb, what, namespace, name, allowed) => {
    const answer = await authorizer.authorize(ask(user, verb, what, namespace, name));
    expect(answer.decision === 'allow').toBe(allowed);
  });

  test('the reason names the binding, the role and the subject', async () => {
    expect((await authorizer.authorize(ask(bob, 'create', 'deployments@apps', 'web'))).reason).toBe(
      'RBAC: allowed by RoleBinding "edit-binding/web" of ClusterRole "edit" to User "bob"',
    );
    expect((await authorizer.authorize(ask(app, 'get', 'secrets', 'web', 'db'))).reason).toBe(
      'RBAC: allowed by RoleBinding "one-secret-binding/web" of Role "one-secret" to ServiceAccount "app/web"',
    );
  });

  test('a binding to a role that does not exist is the reason of a refusal', async () => {
    expect((await authorizer.authorize(ask(carol, 'list', 'pods'))).reason).toBe(
      'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
    );
  });
});

test.each<[AuthorizationAttributes, string]>([
  [
    ask(anonymous, 'list', 'pods'),
    'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
  ],
  [
    ask(bob, 'get', 'deployments/scale@apps', 'default', 'web'),
    'deployments.apps "web" is forbidden: User "bob" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"',
  ],
  [ask(anonymous, 'get', '/metrics'), 'forbidden: User "system:anonymous" cannot get path "/metrics"'],
])('a refusal is worded as upstream words it', (attributes, message) => {
  const { status } = forbiddenError(attributes);
  expect(status).toMatchObject({ message, code: 403, reason: 'Forbidden' });
});

test('bindings and roles that change count at once', async () => {
  const dora = { name: 'dora', groups: ['devs'] };
  const question = ask(dora, 'list', 'pods', 'a');
  const binding = bind('ClusterRole', 'view', [{ kind: 'Group', name: 'devs' }]);
  expect((await authorizer.authorize(question)).decision).toBe('no-opinion');
  cache.set({ group, resource: 'clusterrolebindings' }, binding);
  expect((await authorizer.authorize(question)).decision).toBe('allow');
  cache.set({ group, resource: 'clusterrolebindings' }, { ...binding, subjects: [{ kind: 'Group', name: 'ops' }] });
  expect((await authorizer.authorize(question)).decision).toBe('no-opinion');
  cache.remove({ group, resource: 'clusterrolebindings' }, '', 'view-binding');
  expect((await authorizer.authorize({ ...question, user: { name: 'x', groups: ['ops'] } })).decision).toBe(
    'no-opinion',
  );
});

test('rules for a user are those of all his bindings', () => {
  const rules = authorizer.rulesFor(app, 'web');
  expect(rules.resourceRules).toContainEqual({
    apiGroups: [''],
    resources: ['secrets'],
    resourceNames: ['db'],
    verbs: ['get'],
  });
  expect(authorizer.rulesFor(root, '').resourceRules).toEqual([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
});

test.each<[string, object[], object[], string[]]>([
  [
    'equal',
    [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    [],
  ],
  [
    'a star covers',
    [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
    [{ apiGroups: ['x'], resources: ['y/z'], verbs: ['q'] }],
    [],
  ],
  [
    'names do not cover all',
    [{ apiGroups: [''], resources: ['pods'], resourceNames: ['a'], verbs: ['get'] }],
    [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
  ],
  [
    'a subresource star does not cover the resource',
    [{ apiGroups: [''], resources: ['*/log'], verbs: ['get'] }],
    [{ apiGroups: [''], resources: ['pods/log', 'pods'], verbs: ['get'] }],
    ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
  ],
  [
    'URLs by prefix',
    [{ nonResourceURLs: ['/healthz*'], verbs: ['get'] }],
    [{ nonResourceURLs: ['/healthz/etcd'], verbs: ['get'] }],
    [],
  ],
])('covering: %s', (_name, held, wanted, missing) => {
  expect(uncoveredRules(held as never, wanted as never).map(printRule)).toEqual(missing);
});

describe('nobody grants what he does not hold', () => {
  const descriptor = (resource: string) =>
    ({ group, version: 'v1', resource, namespaced: resource.startsWith('role') }) as ResourceDescriptor;
  const attempt = (user: UserInfo, resource: string, object: UnknownObject): AdmissionAttributes => ({
    operation: 'CREATE',
    descriptor: descriptor(resource),
    subresource: '',
    namespace: 'web',
    name: object.metadata?.name ?? '',
    object,
    options: {},
    dryRun: false,
    user,
    warn: () => undefined,
  });
  const check = async (attributes: AdmissionAttributes) => {
    if (!authorizer.roles) throw new Error('RBAC is off');
    await createEscalationCheck(authorizer.roles, authorizer).validate?.(attributes);
  };
  const role = (rules: object[]): UnknownObject => ({ metadata: { name: 'r' }, rules });

  test('a role of rights that one has is accepted', async () => {
    await check(attempt(bob, 'roles', role([{ apiGroups: [''], resources: ['pods'], verbs: ['delete'] }])));
  });
  test('a role of more rights is refused with the missing rules', async () => {
    await expect(
      check(attempt(bob, 'roles', role([{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] }]))),
    ).rejects.toThrow(
      'roles.rbac.authorization.k8s.io "r" is forbidden: user "bob" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
    );
  });
  test('binding cluster-admin is refused, binding view is not', async () => {
    await expect(
      check(attempt(bob, 'rolebindings', bind('ClusterRole', 'cluster-admin', [{ kind: 'User', name: 'bob' }], 'web'))),
    ).rejects.toThrow('{APIGroups:["*"], Resources:["*"], Verbs:["*"]}');
    await check(attempt(bob, 'rolebindings', bind('ClusterRole', 'view', [{ kind: 'User', name: 'eve' }], 'web')));
  });
});

describe('bootstrap objects', () => {
  test('are left alone when nothing is missing, brought up to date when something is', async () => {
    const policy = await readBootstrapPolicy();
    for (const item of policy.clusterroles) {
      const wanted = bootstrapObject('clusterroles', item);
      expect(reconciled(structuredClone(wanted), wanted)).toBeUndefined();
    }
    const item = policy.clusterroles.find(({ name }) => name === 'system:kube-scheduler');
    if (!item) throw new Error('no scheduler role');
    const wanted = bootstrapObject('clusterroles', item);
    const extra = { apiGroups: ['x'], resources: ['y'], verbs: ['z'] };
    const old: UnknownObject = { ...structuredClone(wanted), rules: [extra] };
    const rules = reconciled(old, wanted)?.['rules'] as object[];
    expect(rules[0]).toEqual(extra);
    expect(uncoveredRules(rules as never, item.rules ?? [])).toEqual([]);
    const kept = {
      ...old,
      metadata: { ...old.metadata, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } },
    };
    expect(reconciled(kept, wanted)).toBeUndefined();
  });
});
