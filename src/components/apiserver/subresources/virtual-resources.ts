/** Kinds that are POSTed and answered but never stored: the reviews, and tokens for service accounts. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { AdmissionChain } from '../admission/chain.ts';
import type { RequestAuthenticator, ServiceAccountOptions } from '../authentication/authenticator.ts';
import type { RuleAuthorizer } from '../authorization/authorizer.ts';
import type { ApiRegistry, CacheReader, LoopbackClient, UserInfo } from '../types.ts';

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

/** tokenreviews, subjectaccessreviews and their self and local variants, selfsubjectrulesreviews, selfsubjectreviews, serviceaccounts/token. */
export function virtualResources(
  _options: { serviceAccount?: ServiceAccountOptions },
  _deps: VirtualResourceDeps,
): VirtualResource[] {
  return [];
}
