/** Nobody gives away rights that he does not hold: checks on writes of roles and bindings, after upstream's policybased storage. */
import { isDeepStrictEqual } from 'node:util';
import type { PolicyRule, RoleBinding } from '../../../machinery/api/types.ts';
import { forbidden, notFound } from '../errors.ts';
import type { AdmissionAttributes, AdmissionPlugin, Authorizer } from '../types.ts';
import { rulesFor } from './rbac/rbac-authorizer.ts';
import { type RoleIndex, rbacGroup } from './rbac/role-index.ts';
import { compactRules, printList, printRule, uncoveredRules } from './rbac/rules.ts';

/** Not a plugin that can be switched off: it runs at the end of the validating chain whenever RBAC is on. */
export function createEscalationCheck(roles: RoleIndex, authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalationCheck',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const { descriptor, object, subresource } = attributes;
      if (descriptor.group !== rbacGroup || !object || subresource) return;
      if (attributes.user.groups.includes('system:masters')) return;
      if (descriptor.resource === 'clusterroles' || descriptor.resource === 'roles')
        await checkRole(roles, authorizer, attributes);
      else await checkBinding(roles, authorizer, attributes);
    },
  };
}

async function checkRole(roles: RoleIndex, authorizer: Authorizer, attributes: AdmissionAttributes): Promise<void> {
  const { object, oldObject, descriptor, user } = attributes;
  const rules = (object?.['rules'] ?? []) as PolicyRule[];
  const aggregation = object?.['aggregationRule'];
  if (
    oldObject &&
    isDeepStrictEqual(oldObject['rules'] ?? [], rules) &&
    isDeepStrictEqual(oldObject['aggregationRule'] ?? null, aggregation ?? null)
  )
    return;
  const name = object?.metadata?.name ?? '';
  if (await may(authorizer, attributes, 'escalate', descriptor.resource, name)) return;
  if (aggregation) {
    const everything: PolicyRule[] = [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ];
    if (uncoveredRules(rulesFor(roles, user, '').rules, everything).length)
      throw forbidden(
        rbacGroup,
        descriptor.resource,
        name,
        'must have cluster-admin privileges to use an aggregationRule',
      );
  }
  confirmHeld(roles, attributes, rules, name);
}

async function checkBinding(roles: RoleIndex, authorizer: Authorizer, attributes: AdmissionAttributes): Promise<void> {
  const { object, oldObject, descriptor } = attributes;
  const binding = object as unknown as RoleBinding;
  if (
    oldObject &&
    isDeepStrictEqual(oldObject['roleRef'], binding.roleRef) &&
    isDeepStrictEqual(oldObject['subjects'] ?? [], binding.subjects ?? [])
  )
    return;
  const refResource = binding.roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
  if (await may(authorizer, attributes, 'bind', refResource, binding.roleRef.name)) return;
  const namespace = descriptor.namespaced ? attributes.namespace : '';
  const rules = roles.rulesOf(binding.roleRef, namespace);
  if (!rules) throw notFound(rbacGroup, refResource.slice(0, -1), binding.roleRef.name);
  confirmHeld(roles, attributes, rules, binding.metadata?.name ?? '');
}

function confirmHeld(roles: RoleIndex, attributes: AdmissionAttributes, rules: PolicyRule[], name: string): void {
  const { user, descriptor } = attributes;
  const held = rulesFor(roles, user, descriptor.namespaced ? attributes.namespace : '');
  const missing = compactRules(uncoveredRules(held.rules, rules));
  if (missing.length === 0) return;
  const listed = missing.map(printRule).sort().join('\n');
  const errors = held.errors.length ? `; resolution errors: [${held.errors.join(', ')}]` : '';
  throw forbidden(
    rbacGroup,
    descriptor.resource,
    name,
    `user ${JSON.stringify(user.name)} (groups=${printList(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${listed}${errors}`,
  );
}

async function may(
  authorizer: Authorizer,
  { user, namespace, descriptor }: AdmissionAttributes,
  verb: string,
  resource: string,
  name: string,
): Promise<boolean> {
  const answer = await authorizer.authorize({
    user,
    verb,
    resourceRequest: true,
    path: '',
    apiGroup: rbacGroup,
    apiVersion: descriptor.version,
    resource,
    subresource: '',
    namespace,
    name,
  });
  return answer.decision === 'allow';
}
