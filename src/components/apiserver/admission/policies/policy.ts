/** ValidatingAdmissionPolicies and their bindings, as far as they are evaluated. */
import type { LabelSelector, UnknownObject } from '../../../../machinery/api/types.ts';
import type { CacheReader } from '../../types.ts';
import type { Rule, Webhook } from '../webhooks/configuration.ts';

export interface MatchResources {
  matchPolicy?: Webhook['matchPolicy'];
  namespaceSelector?: LabelSelector;
  objectSelector?: LabelSelector;
  resourceRules?: (Rule & { resourceNames?: string[] })[];
  excludeResourceRules?: (Rule & { resourceNames?: string[] })[];
}

export interface Validation {
  expression: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
}

export interface PolicySpec {
  paramKind?: { apiVersion: string; kind: string };
  matchConstraints?: MatchResources;
  matchConditions?: { name: string; expression: string }[];
  variables?: { name: string; expression: string }[];
  validations?: Validation[];
  failurePolicy?: 'Fail' | 'Ignore';
}

export interface BindingSpec {
  policyName: string;
  paramRef?: {
    name?: string;
    namespace?: string;
    selector?: LabelSelector;
    parameterNotFoundAction?: 'Allow' | 'Deny';
  };
  matchResources?: MatchResources;
  validationActions?: string[];
}

export interface BoundPolicy {
  name: string;
  spec: PolicySpec;
  binding: string;
  bound: BindingSpec;
}

const group = 'admissionregistration.k8s.io';
const policies = { group, resource: 'validatingadmissionpolicies' };
const bindings = { group, resource: 'validatingadmissionpolicybindings' };

/** Answers the policies that are bound, read anew only after a change. */
export function currentPolicies(cache: CacheReader): () => readonly BoundPolicy[] {
  let current: readonly BoundPolicy[] | undefined;
  let following = false;
  const forget = () => {
    current = undefined;
  };
  return () => {
    if (!following) {
      following = true;
      cache.onChange(policies, forget);
      cache.onChange(bindings, forget);
    }
    current ??= cache.list(bindings).flatMap((binding) => {
      const bound = binding['spec'] as BindingSpec;
      const policy = cache.get(policies, '', bound.policyName);
      if (!policy) return [];
      return [{ name: bound.policyName, spec: policy['spec'] as PolicySpec, binding: nameOf(binding), bound }];
    });
    return current;
  };
}

const nameOf = ({ metadata }: UnknownObject): string => metadata?.name ?? '';
