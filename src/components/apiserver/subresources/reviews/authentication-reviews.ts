/** TokenReview and SelfSubjectReview: who somebody is. */

import type { RequestAuthenticator } from '../../authentication/authenticator.ts';
import { badRequest } from '../../errors.ts';
import type { UserInfo } from '../../types.ts';
import type { VirtualResource } from '../virtual-resources.ts';

const group = 'authentication.k8s.io';

export function tokenReview(authenticator: RequestAuthenticator, apiAudiences: string[]): VirtualResource {
  return {
    group,
    resource: 'tokenreviews',
    async create({ object }) {
      const { token = '', audiences = [] } = (object['spec'] ?? {}) as { token?: string; audiences?: string[] };
      if (!token) throw badRequest('token is required for TokenReview in authentication');
      const wanted = audiences.length ? audiences : apiAudiences;
      let error = '';
      const identity = await authenticator.authenticateToken(token, wanted).catch((reason: unknown) => {
        error = reason instanceof Error ? reason.message : String(reason);
        return undefined;
      });
      if (!identity)
        return { ...object, status: { user: {}, ...(error ? { error: `[invalid bearer token, ${error}]` } : {}) } };
      // A token that knows no audience is good for the API server only.
      const meant = identity.audiences ?? apiAudiences.filter((audience) => wanted.includes(audience));
      if (audiences.length && meant.length === 0) return { ...object, status: { user: {} } };
      return {
        ...object,
        status: { authenticated: true, user: wireUser(identity.user), ...(meant.length ? { audiences: meant } : {}) },
      };
    },
  };
}

export function selfSubjectReview(): VirtualResource {
  return {
    group,
    resource: 'selfsubjectreviews',
    create: async ({ object, user }) => ({
      ...object,
      metadata: { ...object.metadata, creationTimestamp: new Date().toISOString().replace(/\.\d+Z$/, 'Z') },
      status: { userInfo: wireUser(user) },
    }),
  };
}

const wireUser = ({ name, uid, groups, extra }: UserInfo) => ({
  username: name,
  ...(uid ? { uid } : {}),
  ...(groups.length ? { groups } : {}),
  ...(extra && Object.keys(extra).length ? { extra } : {}),
});
