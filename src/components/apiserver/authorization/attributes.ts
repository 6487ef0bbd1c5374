/** From a request to the question put to the authorizer, and from its refusal to the 403 answer. */
import { forbidden, StatusError } from '../errors.ts';
import type { AuthorizationAttributes, RequestInfo, UserInfo } from '../types.ts';

/** `query` gives list, watch and deletecollection their selectors. */
export function authorizationAttributes(
  info: RequestInfo,
  user: UserInfo,
  query: URLSearchParams,
): AuthorizationAttributes {
  const selects = info.verb === 'list' || info.verb === 'watch' || info.verb === 'deletecollection';
  const fieldSelector = selects ? query.get('fieldSelector') : null;
  const labelSelector = selects ? query.get('labelSelector') : null;
  return {
    user,
    verb: info.verb,
    resourceRequest: info.isResourceRequest,
    path: info.path,
    apiGroup: info.apiGroup,
    apiVersion: info.apiVersion,
    resource: info.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name || (fieldSelector ? (selectedValue(fieldSelector, 'metadata.name') ?? '') : ''),
    ...(fieldSelector ? { fieldSelector } : {}),
    ...(labelSelector ? { labelSelector } : {}),
  };
}

/** The value that a field selector demands of a field with `=` or `==`; undefined when it does not. */
export function selectedValue(fieldSelector: string | undefined, field: string): string | undefined {
  for (const term of (fieldSelector ?? '').split(/(?<!\\),/)) {
    const match = /^([^=!]+)==?(.*)$/s.exec(term);
    if (match?.[1] === field) return match[2]?.replace(/\\([\\,=])/g, '$1');
  }
  return undefined;
}

/** As upstream words it: `User "x" cannot list resource "pods" in API group "" in the namespace "default"`. */
export function forbiddenMessage(attributes: AuthorizationAttributes): string {
  const user = JSON.stringify(attributes.user.name);
  if (!attributes.resourceRequest)
    return `User ${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`;
  const resource = attributes.subresource ? `${attributes.resource}/${attributes.subresource}` : attributes.resource;
  const scope = attributes.namespace
    ? `in the namespace ${JSON.stringify(attributes.namespace)}`
    : 'at the cluster scope';
  return `User ${user} cannot ${attributes.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(attributes.apiGroup)} ${scope}`;
}

/** The 403 for a refused request; `reason` is the authorizer's. */
export function forbiddenError(attributes: AuthorizationAttributes, reason = ''): StatusError {
  const what = `${forbiddenMessage(attributes)}${reason ? `: ${reason}` : ''}`;
  if (attributes.resourceRequest || attributes.resource)
    return forbidden(attributes.apiGroup, attributes.resource, attributes.name, what);
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `forbidden: ${what}`,
    reason: 'Forbidden',
    details: {},
    code: 403,
  });
}
