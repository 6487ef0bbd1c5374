/** The plugin ValidatingAdmissionPolicy: CEL expressions decide about every write that a bound policy is about. */
import { labelSelectorOf, matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { UnknownObject } from '../../../../machinery/api/types.ts';
import { celProblem, compileExpression, untypedValue } from '../../custom-resources/cel-environment.ts';
import { forbidden, StatusError } from '../../errors.ts';
import { loopbackUser } from '../../rest/loopback.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../../types.ts';
import { type AdmissionDeps, findObject, isFor, nameOf } from '../plugin.ts';
import type { Webhook } from '../webhooks/configuration.ts';
import { matchedVersion, matchesRule, matchesSelectors } from '../webhooks/matching.ts';
import { inVersion, reviewRequest } from '../webhooks/review.ts';
import { type BoundPolicy, currentPolicies, type MatchResources, type PolicySpec, type Validation } from './policy.ts';

type Values = Record<string, unknown>;

const codes: Record<string, number> = { Unauthorized: 401, Forbidden: 403, RequestEntityTooLarge: 413, Invalid: 422 };

export function validatingPolicies(deps: AdmissionDeps): AdmissionPlugin {
  const current = currentPolicies(deps.cache);
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: () => true,
    async validate(attributes) {
      if (isFor(attributes, 'admissionregistration.k8s.io', 'validatingadmissionpolicies')) tellLimits(attributes);
      if (attributes.descriptor.group === 'admissionregistration.k8s.io' || attributes.user === loopbackUser) return;
      for (const policy of current()) await evaluate(policy, attributes, deps);
    },
  };
}

/** Expressions that cannot be evaluated are accepted, and have no effect. */
function tellLimits({ object, warn }: AdmissionAttributes): void {
  const { validations = [], variables = [], matchConditions = [] } = (object?.['spec'] ?? {}) as PolicySpec;
  const all = { validations, variables, matchConditions };
  for (const [field, list] of Object.entries(all))
    for (const [index, { expression }] of list.entries()) {
      const problem = problemOf(expression);
      if (problem) warn(`spec.${field}[${index}].expression: the expression is accepted and not evaluated: ${problem}`);
    }
}

function problemOf(expression: string): string | undefined {
  try {
    compileExpression(expression, 'policy');
    return undefined;
  } catch (error) {
    return celProblem(error);
  }
}

/** The version of the resource that is to be looked at, undefined when the policy is about something else. */
async function matchedBy(match: MatchResources | undefined, attributes: AdmissionAttributes, deps: AdmissionDeps) {
  const { resourceRules, excludeResourceRules = [], ...selectors } = match ?? {};
  const name = nameOf(attributes);
  const named = (rule: { resourceNames?: string[] }) =>
    !rule.resourceNames?.length || rule.resourceNames.includes(name);
  if (excludeResourceRules.some((rule) => named(rule) && matchesRule(rule, attributes.descriptor, attributes)))
    return undefined;
  const asked: Webhook = { name: '', clientConfig: {}, ...selectors, rules: (resourceRules ?? []).filter(named) };
  const wanted = resourceRules?.length ? matchedVersion(asked, attributes, deps) : attributes.descriptor;
  return wanted && (await matchesSelectors(asked, attributes, deps)) ? wanted : undefined;
}

async function evaluate(policy: BoundPolicy, attributes: AdmissionAttributes, deps: AdmissionDeps): Promise<void> {
  const { spec, bound } = policy;
  if (!(await matchedBy(bound.matchResources, attributes, deps))) return;
  const wanted = await matchedBy(spec.matchConstraints, attributes, deps);
  if (!wanted) return;
  const { descriptor, namespace, object, oldObject } = attributes;
  const values: Values = {
    object: untypedValue(inVersion(object, descriptor, wanted) ?? null),
    oldObject: untypedValue(inVersion(oldObject, descriptor, wanted) ?? null),
    request: untypedValue(reviewRequest(attributes, wanted)),
    namespaceObject: untypedValue(
      (namespace && (await findObject(deps, { group: '', resource: 'namespaces' }, '', namespace))) || null,
    ),
  };
  for (const params of paramsOf(policy, attributes, deps))
    judge(policy, attributes, { ...values, params: untypedValue(params) });
}

/** One evaluation per parameter object; a single one with null for policies without. */
function paramsOf(policy: BoundPolicy, attributes: AdmissionAttributes, deps: AdmissionDeps): (UnknownObject | null)[] {
  const { paramKind } = policy.spec;
  const { paramRef } = policy.bound;
  if (!paramKind || !paramRef) return [null];
  const [version = '', group = ''] = paramKind.apiVersion.split('/').reverse();
  const kind = deps.registry?.findKind(group, version, paramKind.kind);
  const namespace = kind?.namespaced ? (paramRef.namespace ?? attributes.namespace) : '';
  const found = !kind
    ? []
    : paramRef.name
      ? [deps.cache.get(kind, namespace, paramRef.name)].filter((one) => one !== undefined)
      : deps.cache
          .list(kind, namespace || undefined)
          .filter(({ metadata }) => matchesSelector(labelSelectorOf(paramRef.selector), metadata?.labels));
  if (!found.length && paramRef.parameterNotFoundAction === 'Deny')
    refuse(policy, attributes, 'no params found for policy binding with `Deny` parameterNotFoundAction');
  return found;
}

/** The value of an expression; undefined for one that is beyond what can be evaluated. Throws what CEL throws. */
function evaluated(expression: string, values: Values): unknown {
  return problemOf(expression) === undefined ? compileExpression(expression, 'policy')(values) : undefined;
}

function judge(policy: BoundPolicy, attributes: AdmissionAttributes, given: Values): void {
  const { spec } = policy;
  const variables: Values = {};
  const values = { ...given, variables };
  const failed = (expression: string, error: unknown) => {
    if (spec.failurePolicy === 'Ignore') return;
    complain(policy, attributes, {}, `expression '${expression}' resulted in error: ${celProblem(error)}`);
  };
  for (const { expression } of spec.matchConditions ?? []) {
    try {
      if (evaluated(expression, values) === false) return;
    } catch (error) {
      failed(expression, error);
      return;
    }
  }
  for (const { name, expression } of spec.variables ?? []) {
    try {
      variables[name] = evaluated(expression, values);
    } catch {
      // Whoever needs it fails for want of it.
      delete variables[name];
    }
  }
  for (const validation of spec.validations ?? []) {
    let holds: unknown;
    try {
      holds = evaluated(validation.expression, values);
    } catch (error) {
      failed(validation.expression, error);
      continue;
    }
    if (holds === false) complain(policy, attributes, validation, messageOf(validation, values));
  }
}

function messageOf({ expression, message, messageExpression }: Validation, values: Values): string {
  const fallback = message || `failed expression: ${expression.trim()}`;
  if (!messageExpression) return fallback;
  try {
    const made = evaluated(messageExpression, values);
    return typeof made === 'string' && made.trim() ? made : fallback;
  } catch {
    return fallback;
  }
}

/** As the binding's actions say. */
function complain(
  policy: BoundPolicy,
  attributes: AdmissionAttributes,
  { reason }: Partial<Validation>,
  message: string,
): void {
  const actions = policy.bound.validationActions ?? ['Deny'];
  if (actions.includes('Warn'))
    attributes.warn(
      `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${policy.binding}': ${message}`,
    );
  if (actions.includes('Deny')) refuse(policy, attributes, message, reason);
}

function refuse(policy: BoundPolicy, attributes: AdmissionAttributes, message: string, reason = 'Invalid'): never {
  const { group, resource } = attributes.descriptor;
  const why = `ValidatingAdmissionPolicy '${policy.name}' with binding '${policy.binding}' denied request: ${message}`;
  const { status } = forbidden(group, resource, nameOf(attributes), why);
  throw new StatusError({
    ...status,
    reason,
    code: codes[reason] ?? 422,
    details: { ...status.details, causes: [{ message: why }] },
  });
}
