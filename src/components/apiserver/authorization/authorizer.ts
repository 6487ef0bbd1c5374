/** `--authorization-mode`: the named authorizers asked in turn; the first opinion counts. */
import { readFileSync } from 'node:fs';
import type { PolicyRule } from '../../../machinery/api/types.ts';
import { assetPath } from '../../../machinery/assets.ts';
import type { AuthorizationDecision, Authorizer, CacheReader, UserInfo } from '../types.ts';
import type { BootstrapPolicy } from './bootstrap-policy.ts';
import { watchGraph } from './node/graph.ts';
import { createNodeAuthorizer } from './node/node-authorizer.ts';
import { createRbacAuthorizer, rulesFor } from './rbac/rbac-authorizer.ts';
import { type RoleIndex, watchRoles } from './rbac/role-index.ts';

export const authorizationModes = ['Node', 'RBAC', 'AlwaysAllow', 'AlwaysDeny'] as const;
export type AuthorizationMode = (typeof authorizationModes)[number];

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
export interface UserRules {
  resourceRules: ResourceRule[];
  nonResourceRules: NonResourceRule[];
  incomplete: boolean;
  evaluationError: string;
}

/** What reviews and escalation checks ask besides single decisions. */
export interface RuleAuthorizer extends Authorizer {
  rulesFor(user: UserInfo, namespace: string): UserRules;
  /** Present when RBAC is on. */
  roles?: RoleIndex;
  /** Resolves when the roles and bindings have been read once. */
  ready(): Promise<void>;
}

/** Members of this group may do everything, whatever the modes say. */
const superGroup = 'system:masters';

export function createAuthorizer(options: AuthorizationOptions, deps: AuthorizationDeps): RuleAuthorizer {
  const waits: (() => Promise<void>)[] = [];
  let roles: RoleIndex | undefined;
  const chain = options.modes.map((mode): Authorizer => {
    if (mode === 'AlwaysAllow') return { authorize: () => ({ decision: 'allow' }) };
    if (mode === 'AlwaysDeny')
      return { authorize: () => ({ decision: 'no-opinion', reason: 'Everything is forbidden.' }) };
    if (mode === 'Node') {
      const { graph, ready } = watchGraph(deps.cache);
      waits.push(ready);
      return createNodeAuthorizer(graph, nodeRules());
    }
    const watched = watchRoles(deps.cache);
    roles = watched.index;
    waits.push(watched.ready);
    return createRbacAuthorizer(watched.index);
  });
  return {
    async authorize(attributes): Promise<AuthorizationDecision> {
      if (attributes.user.groups.includes(superGroup)) return { decision: 'allow' };
      const reasons: string[] = [];
      for (const authorizer of chain) {
        const answer = await authorizer.authorize(attributes);
        if (answer.decision !== 'no-opinion') return answer;
        if (answer.reason) reasons.push(answer.reason);
      }
      return { decision: 'no-opinion', reason: reasons.join('\n') };
    },
    rulesFor: (user, namespace) => allRules(options.modes, roles, user, namespace),
    ...(roles ? { roles } : {}),
    ready: async () => {
      await Promise.all(waits.map((wait) => wait()));
    },
  };
}

/** Read once, when the first node asks: the rules of the `system:node` role as the server came with it. */
function nodeRules(): () => PolicyRule[] {
  let rules: PolicyRule[] | undefined;
  return () => {
    if (!rules) {
      const policy = JSON.parse(
        readFileSync(assetPath('apiserver', 'bootstrap-policy.json'), 'utf8'),
      ) as BootstrapPolicy;
      rules = policy.clusterroles.find(({ name }) => name === 'system:node')?.rules ?? [];
    }
    return rules;
  };
}

function allRules(
  modes: AuthorizationMode[],
  roles: RoleIndex | undefined,
  user: UserInfo,
  namespace: string,
): UserRules {
  const everything: UserRules = {
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
    incomplete: false,
    evaluationError: '',
  };
  if (modes.includes('AlwaysAllow') || user.groups.includes(superGroup)) return everything;
  const { rules, errors } = roles ? rulesFor(roles, user, namespace) : { rules: [], errors: [] };
  const incomplete = modes.includes('Node') && user.groups.includes('system:nodes');
  if (incomplete) errors.push('node authorizer does not support user rule resolution');
  return {
    resourceRules: rules
      .filter((rule) => rule.resources?.length)
      .map(({ verbs, apiGroups = [], resources = [], resourceNames }) => ({
        verbs,
        apiGroups,
        resources,
        ...(resourceNames?.length ? { resourceNames } : {}),
      })),
    nonResourceRules: rules
      .filter((rule) => rule.nonResourceURLs?.length)
      .map(({ verbs, nonResourceURLs = [] }) => ({ verbs, nonResourceURLs })),
    incomplete: incomplete || errors.length > 0,
    evaluationError: errors.join(', '),
  };
}
