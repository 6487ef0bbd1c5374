/** `Impersonate-*` headers: acting as somebody else, when the authorizer lets one. */
import type { IncomingMessage } from 'node:http';
import { forbiddenError } from '../authorization/attributes.ts';
import { internalError } from '../errors.ts';
import type { AuthorizationAttributes, Authorizer, UserInfo } from '../types.ts';
import { unescapeKey } from './client-certificate.ts';

const extraPrefix = 'impersonate-extra-';
const serviceAccountName = /^system:serviceaccount:([^:]+):([^:]+)$/;

/**
 * The user to go on with: `user` itself without impersonation headers. Throws a 403 for what the user may not
 * impersonate. Runs after authentication, before authorization.
 */
export async function impersonate(req: IncomingMessage, user: UserInfo, authorizer: Authorizer): Promise<UserInfo> {
  const values = (header: string) => (req.headersDistinct[header] ?? []).filter((value) => value !== '');
  const [name] = values('impersonate-user');
  const groups = values('impersonate-group');
  const [uid] = values('impersonate-uid');
  const extra: Record<string, string[]> = {};
  for (const [header, list] of Object.entries(req.headersDistinct))
    if (header.startsWith(extraPrefix) && list) extra[unescapeKey(header.slice(extraPrefix.length))] = list;
  if (!name) {
    if (groups.length || uid || Object.keys(extra).length)
      throw internalError(`requested ${JSON.stringify({ groups, uid, extra })} without impersonating a user`);
    return user;
  }
  const demands = [userDemand(name), ...groups.map((group) => demand('', 'groups', group))];
  for (const [key, list] of Object.entries(extra))
    for (const value of list)
      demands.push({ ...demand('authentication.k8s.io', 'userextras', value), subresource: key });
  if (uid) demands.push(demand('authentication.k8s.io', 'uids', uid));
  for (const wanted of demands) {
    const attributes: AuthorizationAttributes = { ...wanted, user };
    const answer = await authorizer.authorize(attributes);
    if (answer.decision !== 'allow') throw forbiddenError(attributes, answer.reason);
  }
  return {
    name,
    ...(uid ? { uid } : {}),
    groups: impersonatedGroups(name, groups),
    ...(Object.keys(extra).length ? { extra } : {}),
  };
}

type Demand = Omit<AuthorizationAttributes, 'user'>;

const demand = (apiGroup: string, resource: string, name: string, namespace = ''): Demand => ({
  verb: 'impersonate',
  resourceRequest: true,
  path: '',
  apiGroup,
  apiVersion: 'v1',
  resource,
  subresource: '',
  namespace,
  name,
});

function userDemand(name: string): Demand {
  const [, namespace, account] = serviceAccountName.exec(name) ?? [];
  return namespace && account ? demand('', 'serviceaccounts', account, namespace) : demand('', 'users', name);
}

/** The groups that the user would have had by logging in. */
function impersonatedGroups(name: string, asked: string[]): string[] {
  const [, namespace] = serviceAccountName.exec(name) ?? [];
  const groups =
    namespace && asked.length === 0 ? ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] : [...asked];
  const implied = name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated';
  if (!groups.includes('system:authenticated') && !groups.includes('system:unauthenticated')) groups.push(implied);
  return groups;
}
