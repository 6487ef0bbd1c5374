/** RBAC: a request is allowed when a role that is bound to its user has a rule that covers it. */
import type { PolicyRule } from '../../../../machinery/api/types.ts';
import type { AuthorizationAttributes, AuthorizationDecision, Authorizer, UserInfo } from '../../types.ts';
import { type Grant, type RoleIndex, rbacGroup } from './role-index.ts';
import { rulesAllow } from './rules.ts';

export function createRbacAuthorizer(
  index: RoleIndex,
): Authorizer & { authorize(a: AuthorizationAttributes): AuthorizationDecision } {
  return {
    authorize(attributes) {
      const missing = new Set<string>();
      for (const grant of index.grantsOf(attributes.user, attributes.namespace)) {
        const { roleRef } = grant.binding;
        const namespace = grant.binding.metadata?.namespace ?? '';
        const rules = index.rulesOf(roleRef, namespace);
        if (!rules) {
          missing.add(`${roleRef.kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(roleRef.name)} not found`);
          continue;
        }
        if (rulesAllow(rules, attributes)) return { decision: 'allow', reason: allowedBy(grant) };
      }
      if (missing.size === 0) return { decision: 'no-opinion' };
      const errors = [...missing];
      return { decision: 'no-opinion', reason: `RBAC: ${errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`}` };
    },
  };
}

/** All rules that apply to a user in a namespace (empty: cluster-wide only), with the roles that are missing. */
export function rulesFor(
  index: RoleIndex,
  user: UserInfo,
  namespace: string,
): { rules: PolicyRule[]; errors: string[] } {
  const rules: PolicyRule[] = [];
  const errors: string[] = [];
  for (const { binding } of index.grantsOf(user, namespace)) {
    const found = index.rulesOf(binding.roleRef, binding.metadata?.namespace ?? '');
    if (found) rules.push(...found);
    else
      errors.push(
        `${binding.roleRef.kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(binding.roleRef.name)} not found`,
      );
  }
  return { rules, errors };
}

function allowedBy({ kind, binding, subject }: Grant): string {
  const quote = (text: string | undefined) => JSON.stringify(text ?? '');
  const name = binding.metadata?.namespace
    ? quote(`${binding.metadata.name}/${binding.metadata.namespace}`)
    : quote(binding.metadata?.name);
  const who =
    subject.kind === 'ServiceAccount'
      ? `ServiceAccount ${quote(`${subject.name}/${subject.namespace || (binding.metadata?.namespace ?? '')}`)}`
      : `${subject.kind} ${quote(subject.name)}`;
  return `RBAC: allowed by ${kind} ${name} of ${binding.roleRef.kind} ${quote(binding.roleRef.name)} to ${who}`;
}
