/** What one RBAC policy rule allows, and whether rules cover other rules. Pure; after upstream's rbac.RulesAllow and validation.Covers. */
import type { PolicyRule } from '../../../../machinery/api/types.ts';
import type { AuthorizationAttributes } from '../../types.ts';

const any = '*';

const has = (list: string[] | undefined, wanted: string) =>
  list !== undefined && (list.includes(wanted) || list.includes(any));

export function ruleAllows(rule: PolicyRule, attributes: AuthorizationAttributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (!attributes.resourceRequest)
    return (rule.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, attributes.path));
  return (
    has(rule.apiGroups, attributes.apiGroup) &&
    (rule.resources ?? []).some((resource) => resourceMatches(resource, attributes.resource, attributes.subresource)) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(attributes.name))
  );
}

export const rulesAllow = (rules: PolicyRule[], attributes: AuthorizationAttributes) =>
  rules.some((rule) => ruleAllows(rule, attributes));

/** `*`, `pods`, `pods/log`, and `*` before a slash: that subresource of every resource. */
function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  if (pattern === any) return true;
  if (!subresource) return pattern === resource;
  return pattern === `${resource}/${subresource}` || pattern === `*/${subresource}`;
}

function urlMatches(pattern: string, path: string): boolean {
  if (pattern === any || pattern === path) return true;
  return pattern.endsWith(any) && path.startsWith(pattern.slice(0, -1).replace(/\*+$/, ''));
}

/** The parts of `wanted` that `held` does not cover, each a rule of one verb and one resource or URL. */
export function uncoveredRules(held: PolicyRule[], wanted: PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(atoms).filter((atom) => !held.some((rule) => ruleCovers(rule, atom)));
}

function atoms(rule: PolicyRule): PolicyRule[] {
  const out: PolicyRule[] = [];
  for (const verb of rule.verbs ?? []) {
    for (const apiGroup of rule.apiGroups ?? [])
      for (const resource of rule.resources ?? []) {
        const atom = { apiGroups: [apiGroup], resources: [resource], verbs: [verb] };
        if (!rule.resourceNames?.length) out.push(atom);
        for (const name of rule.resourceNames ?? []) out.push({ ...atom, resourceNames: [name] });
      }
    for (const url of rule.nonResourceURLs ?? []) out.push({ nonResourceURLs: [url], verbs: [verb] });
  }
  return out;
}

function ruleCovers(rule: PolicyRule, atom: PolicyRule): boolean {
  if (!has(rule.verbs, atom.verbs[0] ?? '')) return false;
  const url = atom.nonResourceURLs?.[0];
  if (url !== undefined) return (rule.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, url));
  const [resource = '', subresource = ''] = (atom.resources?.[0] ?? '').split('/');
  return (
    has(rule.apiGroups, atom.apiGroups?.[0] ?? '') &&
    (rule.resources ?? []).some((pattern) => resourceMatches(pattern, resource, subresource)) &&
    (!rule.resourceNames?.length ||
      (atom.resourceNames !== undefined && rule.resourceNames.includes(atom.resourceNames[0] ?? '')))
  );
}

/** Joins one-verb rules about the same thing. */
export function compactRules(rules: PolicyRule[]): PolicyRule[] {
  const joined = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs]);
    const same = joined.get(key);
    if (!same) joined.set(key, { ...rule, verbs: [...rule.verbs] });
    else for (const verb of rule.verbs) if (!same.verbs.includes(verb)) same.verbs.push(verb);
  }
  return [...joined.values()];
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`, as upstream's messages print a rule. */
export function printRule(rule: PolicyRule): string {
  const parts: string[] = [];
  const part = (name: string, values: string[] | undefined) => {
    if (values?.length) parts.push(`${name}:${printList(values)}`);
  };
  part('APIGroups', rule.apiGroups);
  part('Resources', rule.resources);
  part('NonResourceURLs', rule.nonResourceURLs);
  part('ResourceNames', rule.resourceNames);
  part('Verbs', rule.verbs);
  return `{${parts.join(', ')}}`;
}

/** Go's `%q` of a list of strings. */
export const printList = (values: string[]) => `[${values.map((value) => JSON.stringify(value)).join(' ')}]`;
