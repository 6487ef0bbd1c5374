/** `Impersonate-*` headers: acting as somebody else, when the authorizer lets one. */
import type { IncomingMessage } from 'node:http';
import type { Authorizer, UserInfo } from '../types.ts';

/** The user to go on with: `user` itself without impersonation headers. Throws 400/403 StatusErrors. Runs after authentication, before authorization. */
export async function impersonate(req: IncomingMessage, user: UserInfo, _authorizer: Authorizer): Promise<UserInfo> {
  if (!req.headers['impersonate-user']) return user;
  return user;
}
