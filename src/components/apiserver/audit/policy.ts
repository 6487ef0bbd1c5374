/** audit.k8s.io/v1 Policy: which requests are written down, and how much of them. The first rule that matches decides. */
import { CORE_SCHEMA, load } from 'js-yaml';
import { isObject, type JsonObject } from '../../../machinery/api/json.ts';
import type { RequestInfo, UserInfo } from '../types.ts';

export const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type Level = (typeof levels)[number];
export const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type Stage = (typeof stages)[number];

export interface GroupResources {
  group: string;
  resources: string[];
  resourceNames: string[];
}

export interface Rule {
  level: Level;
  users: string[];
  userGroups: string[];
  verbs: string[];
  resources: GroupResources[];
  namespaces: string[];
  nonResourceURLs: string[];
  omitStages: Stage[];
  omitManagedFields?: boolean;
}

export interface Policy {
  rules: Rule[];
  omitStages: Stage[];
  omitManagedFields: boolean;
}

/** What is to be done with a request. */
export interface Decision {
  level: Level;
  omitStages: ReadonlySet<Stage>;
  omitManagedFields: boolean;
}

const ruleFields = new Set([
  'level',
  'users',
  'userGroups',
  'verbs',
  'resources',
  'namespaces',
  'nonResourceURLs',
  'omitStages',
  'omitManagedFields',
]);

/** @throws Error with the field that is wrong */
export function parsePolicy(text: string): Policy {
  const document: unknown = load(text, { schema: CORE_SCHEMA });
  if (!isObject(document) || document['kind'] !== 'Policy' || document['apiVersion'] !== 'audit.k8s.io/v1')
    throw new Error('it is no Policy of audit.k8s.io/v1');
  const { rules } = document;
  if (!Array.isArray(rules) || !rules.length) throw new Error('loaded illegal policy with 0 rules');
  return {
    rules: rules.map((rule: unknown, i) => parseRule(rule, `rules[${i}]`)),
    omitStages: stagesOf(document, 'omitStages', ''),
    omitManagedFields: document['omitManagedFields'] === true,
  };
}

function parseRule(rule: unknown, at: string): Rule {
  if (!isObject(rule)) throw new Error(`${at}: it is no object`);
  const unknown = Object.keys(rule).find((field) => !ruleFields.has(field));
  if (unknown) throw new Error(`${at}.${unknown}: unknown field`);
  const level = levels.find((each) => each === rule['level']);
  if (!level)
    throw new Error(
      `${at}.level: Unsupported value: ${JSON.stringify(rule['level'] ?? '')}: supported values: ${levels.map((each) => `"${each}"`).join(', ')}`,
    );
  const parsed: Rule = {
    level,
    users: texts(rule, 'users', at),
    userGroups: texts(rule, 'userGroups', at),
    verbs: texts(rule, 'verbs', at),
    resources: listOf(rule, 'resources', at).map((entry, i) => groupResources(entry, `${at}.resources[${i}]`)),
    namespaces: texts(rule, 'namespaces', at),
    nonResourceURLs: texts(rule, 'nonResourceURLs', at),
    omitStages: stagesOf(rule, 'omitStages', `${at}.`),
    ...(typeof rule['omitManagedFields'] === 'boolean' ? { omitManagedFields: rule['omitManagedFields'] } : {}),
  };
  if (parsed.nonResourceURLs.length && (parsed.resources.length || parsed.namespaces.length))
    throw new Error(
      `${at}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs`,
    );
  for (const [i, url] of parsed.nonResourceURLs.entries()) {
    if (url === '*' || (url.startsWith('/') && !url.slice(0, -1).includes('*'))) continue;
    throw new Error(
      `${at}.nonResourceURLs[${i}]: Invalid value: ${JSON.stringify(url)}: it begins with a slash, and an asterisk stands only at its end`,
    );
  }
  return parsed;
}

function groupResources(entry: unknown, at: string): GroupResources {
  if (!isObject(entry)) throw new Error(`${at}: it is no object`);
  const { group = '' } = entry;
  if (typeof group !== 'string' || group.startsWith('/') || /\/v\d/.test(group))
    throw new Error(`${at}.group: Invalid value: ${JSON.stringify(group)}: a group has no version`);
  const found = { group, resources: texts(entry, 'resources', at), resourceNames: texts(entry, 'resourceNames', at) };
  if (found.resourceNames.length && !found.resources.length)
    throw new Error(`${at}.resourceNames: Invalid value: using resourceNames requires at least one resource`);
  return found;
}

function listOf(owner: JsonObject, field: string, at: string): unknown[] {
  const value = owner[field] ?? [];
  if (!Array.isArray(value)) throw new Error(`${at}.${field}: it is no list`);
  return value;
}

function texts(owner: JsonObject, field: string, at: string): string[] {
  return listOf(owner, field, at).map((value, i) => {
    if (typeof value !== 'string') throw new Error(`${at}.${field}[${i}]: it is no text`);
    return value;
  });
}

function stagesOf(owner: JsonObject, field: string, at: string): Stage[] {
  return listOf(owner, field, at).map((value, i) => {
    const stage = stages.find((each) => each === value);
    if (!stage)
      throw new Error(
        `${at}${field}[${i}]: Invalid value: ${JSON.stringify(value)}: allowed stages are ${stages.join(',')}`,
      );
    return stage;
  });
}

export function decide(policy: Policy, info: RequestInfo, user: UserInfo | undefined): Decision {
  const rule = policy.rules.find((each) => matches(each, info, user));
  return {
    level: rule?.level ?? 'None',
    omitStages: new Set([...policy.omitStages, ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields,
  };
}

function matches(rule: Rule, info: RequestInfo, user: UserInfo | undefined): boolean {
  if (rule.users.length && !(user && rule.users.includes(user.name))) return false;
  if (rule.userGroups.length && !user?.groups.some((group) => rule.userGroups.includes(group))) return false;
  if (rule.verbs.length && !rule.verbs.includes(info.verb)) return false;
  if (rule.namespaces.length || rule.resources.length) return info.isResourceRequest && matchesResource(rule, info);
  if (rule.nonResourceURLs.length)
    return !info.isResourceRequest && rule.nonResourceURLs.some((url) => matchesPath(url, info.path));
  return true;
}

function matchesResource({ namespaces, resources }: Rule, info: RequestInfo): boolean {
  if (namespaces.length && !namespaces.includes(info.namespace)) return false;
  if (!resources.length) return true;
  const combined = info.subresource ? `${info.resource}/${info.subresource}` : info.resource;
  return resources.some(
    (each) =>
      each.group === info.apiGroup &&
      (!each.resources.length ||
        ((!each.resourceNames.length || each.resourceNames.includes(info.name)) &&
          each.resources.some(
            (name) =>
              name === '*' ||
              name === combined ||
              (info.subresource !== '' && name === `*/${info.subresource}`) ||
              name === `${info.resource}/*`,
          ))),
  );
}

const matchesPath = (url: string, path: string): boolean =>
  url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)));
