/** Kinds that are POSTed and answered but never stored: the reviews, tokens for service accounts, evictions. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { AdmissionChain } from '../admission/chain.ts';
import type { RequestAuthenticator, ServiceAccountOptions } from '../authentication/authenticator.ts';
import type { RuleAuthorizer } from '../authorization/authorizer.ts';
import type { AdmissionAttributes, ApiRegistry, CacheReader, LoopbackClient, UserInfo } from '../types.ts';
import { eviction } from './eviction.ts';
import { accessReviews, rulesReview } from './reviews/access-reviews.ts';
import { selfSubjectReview, tokenReview } from './reviews/authentication-reviews.ts';
import { tokenRequest } from './token-request.ts';

export interface VirtualRequest {
  namespace: string;
  /** Of the parent object, for a subresource. */
  name: string;
  /** The decoded and defaulted body. */
  object: UnknownObject;
  user: UserInfo;
  dryRun: boolean;
  warn(text: string): void;
}

/** Authorization has been checked by the filter; decoding, defaulting and encoding are the caller's. Answered with 201. */
export interface VirtualResource {
  group: string;
  resource: string;
  /** `token` for `serviceaccounts/token`. */
  subresource?: string;
  create(request: VirtualRequest): Promise<UnknownObject>;
}

export interface VirtualResourceDeps {
  authenticator: RequestAuthenticator;
  authorizer: RuleAuthorizer;
  cache: CacheReader;
  loopback: LoopbackClient;
  admission: AdmissionChain;
  registry: ApiRegistry;
}

/** tokenreviews, subjectaccessreviews and their self and local variants, selfsubjectrulesreviews, selfsubjectreviews, serviceaccounts/token, pods/eviction. */
export function virtualResources(
  options: { serviceAccount?: ServiceAccountOptions },
  deps: VirtualResourceDeps,
): VirtualResource[] {
  const { serviceAccount } = options;
  const apiAudiences = serviceAccount?.apiAudiences.length
    ? serviceAccount.apiAudiences
    : (serviceAccount?.issuers ?? []);
  return [
    tokenReview(deps.authenticator, apiAudiences),
    selfSubjectReview(),
    ...accessReviews(deps.authorizer),
    rulesReview((user, namespace) => deps.authorizer.rulesFor(user, namespace)),
    withAdmission(eviction(deps), deps),
    ...(serviceAccount?.signingKeyFile ? [withAdmission(tokenRequest(serviceAccount, deps), deps)] : []),
  ];
}

/** NodeRestriction and webhooks see these like any other create. */
function withAdmission(resource: VirtualResource, { admission, registry }: VirtualResourceDeps): VirtualResource {
  return {
    ...resource,
    async create(request) {
      const descriptor = registry.find('', 'v1', resource.resource);
      if (!descriptor) throw new Error(`${resource.resource} is not registered`);
      const attributes: AdmissionAttributes = {
        operation: 'CREATE',
        descriptor,
        subresource: resource.subresource ?? '',
        namespace: request.namespace,
        name: request.name,
        object: request.object,
        options: {},
        dryRun: request.dryRun,
        user: request.user,
        warn: request.warn,
      };
      await admission.admit(attributes);
      await admission.validate(attributes);
      return resource.create(request);
    },
  };
}
