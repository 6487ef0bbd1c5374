/** SubjectAccessReview and its self and local variants: what the authorizer would answer. */
import type { UnknownObject } from '../../../../machinery/api/types.ts';
import { badRequest, invalid } from '../../errors.ts';
import type { AuthorizationAttributes, Authorizer, UserInfo } from '../../types.ts';
import type { VirtualRequest, VirtualResource } from '../virtual-resources.ts';

interface Requirement {
  key?: string;
  operator?: string;
  values?: string[];
}
interface SelectorAttributes {
  rawSelector?: string;
  requirements?: Requirement[];
}
interface AccessReviewSpec {
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
    fieldSelector?: SelectorAttributes;
    labelSelector?: SelectorAttributes;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
}

const group = 'authorization.k8s.io';

export function accessReviews(authorizer: Authorizer): VirtualResource[] {
  const review = (resource: string, kind: string, subject: 'self' | 'spec', local: boolean): VirtualResource => ({
    group,
    resource,
    async create(request) {
      const spec = (request.object['spec'] ?? {}) as AccessReviewSpec;
      validate(kind, spec, subject, local, request);
      const user = subject === 'self' ? request.user : subjectOf(spec);
      const answer = await authorizer.authorize(attributesOf(spec, user));
      return {
        ...request.object,
        status: {
          allowed: answer.decision === 'allow',
          ...(answer.decision === 'deny' ? { denied: true } : {}),
          ...(answer.reason ? { reason: answer.reason } : {}),
        },
      };
    },
  });
  return [
    review('subjectaccessreviews', 'SubjectAccessReview', 'spec', false),
    review('selfsubjectaccessreviews', 'SelfSubjectAccessReview', 'self', false),
    review('localsubjectaccessreviews', 'LocalSubjectAccessReview', 'spec', true),
  ];
}

function validate(
  kind: string,
  spec: AccessReviewSpec,
  subject: 'self' | 'spec',
  local: boolean,
  request: VirtualRequest,
): void {
  const { resourceAttributes, nonResourceAttributes } = spec;
  const problem = (type: 'FieldValueInvalid' | 'FieldValueRequired', field: string, message: string) =>
    invalid(group, kind, '', [{ type, field, message }]);
  if (resourceAttributes && nonResourceAttributes)
    throw problem(
      'FieldValueInvalid',
      'spec.nonResourceAttributes',
      'Invalid value: cannot be specified in combination with resourceAttributes',
    );
  if (!resourceAttributes && !nonResourceAttributes)
    throw problem(
      'FieldValueInvalid',
      'spec.resourceAttributes',
      'Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
  if (subject === 'spec' && !spec.user && !spec.groups?.length)
    throw problem(
      'FieldValueInvalid',
      'spec.user',
      'Invalid value: "": at least one of user or group must be specified',
    );
  if (!local) return;
  if (nonResourceAttributes)
    throw problem(
      'FieldValueInvalid',
      'spec.nonResourceAttributes',
      'Invalid value: disallowed on this kind of request',
    );
  if (resourceAttributes?.namespace !== request.namespace)
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${request.namespace}`);
}

const subjectOf = ({ user = '', uid, groups = [], extra }: AccessReviewSpec): UserInfo => ({
  name: user,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra ? { extra } : {}),
});

function attributesOf(
  { resourceAttributes, nonResourceAttributes }: AccessReviewSpec,
  user: UserInfo,
): AuthorizationAttributes {
  const empty = { apiGroup: '', apiVersion: '', resource: '', subresource: '', namespace: '', name: '' };
  if (!resourceAttributes) {
    const { path = '', verb = '' } = nonResourceAttributes ?? {};
    return { ...empty, user, verb, path, resourceRequest: false };
  }
  const {
    verb = '',
    group: apiGroup = '',
    version = '',
    resource = '',
    subresource = '',
    namespace = '',
    name = '',
  } = resourceAttributes;
  const fieldSelector = selectorText(resourceAttributes.fieldSelector);
  const labelSelector = selectorText(resourceAttributes.labelSelector);
  return {
    user,
    verb,
    path: '',
    resourceRequest: true,
    apiGroup,
    apiVersion: version,
    resource,
    subresource,
    namespace,
    name,
    ...(fieldSelector ? { fieldSelector } : {}),
    ...(labelSelector ? { labelSelector } : {}),
  };
}

/** Requirements that cannot be written as equality only widen the question, which is what upstream does with unknown operators. */
function selectorText(selector: SelectorAttributes | undefined): string {
  if (selector?.rawSelector) return selector.rawSelector;
  return (selector?.requirements ?? [])
    .filter(({ operator, values }) => operator === 'In' && values?.length === 1)
    .map(({ key, values }) => `${key}=${values?.[0]}`)
    .join(',');
}

/** SelfSubjectRulesReview: all that the asking user may do in a namespace (`kubectl auth can-i --list`). */
export function rulesReview(rulesFor: (user: UserInfo, namespace: string) => RulesStatus): VirtualResource {
  return {
    group,
    resource: 'selfsubjectrulesreviews',
    async create({ object, user }): Promise<UnknownObject> {
      const namespace = (object['spec'] as { namespace?: string } | undefined)?.namespace ?? '';
      if (!namespace) throw badRequest('no namespace on request');
      const { evaluationError, ...rules } = rulesFor(user, namespace);
      return { ...object, status: { ...rules, ...(evaluationError ? { evaluationError } : {}) } };
    },
  };
}

interface RulesStatus {
  resourceRules: object[];
  nonResourceRules: object[];
  incomplete: boolean;
  evaluationError: string;
}
