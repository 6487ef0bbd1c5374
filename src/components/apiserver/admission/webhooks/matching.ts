/** Which requests a webhook is called for. */
import { labelSelectorOf, matchesSelector } from '../../../../machinery/api/selectors.ts';
import type { LabelSelector, UnknownObject } from '../../../../machinery/api/types.ts';
import { celProblem, compileExpression, untypedValue } from '../../custom-resources/cel-environment.ts';
import type { AdmissionAttributes, ResourceDescriptor } from '../../types.ts';
import { type AdmissionDeps, findObject } from '../plugin.ts';
import type { Rule, Webhook } from './configuration.ts';

const has = (list: string[] | undefined, wanted: string): boolean =>
  list?.includes('*') === true || list?.includes(wanted) === true;

/** A resource, `pods/status`, or a star for either part; a resource alone means no subresource. */
function hasResource(list: string[] | undefined, resource: string, subresource: string): boolean {
  return (list ?? []).some((pattern) => {
    const [wanted = '', sub = ''] = pattern.split('/');
    return (wanted === '*' || wanted === resource) && (sub === '*' || sub === subresource);
  });
}

/** `descriptor` is the served version that is looked at. */
export function matchesRule(rule: Rule, descriptor: ResourceDescriptor, attributes: AdmissionAttributes): boolean {
  const scope = rule.scope ?? '*';
  const isNamespaced = descriptor.namespaced;
  return (
    (scope === '*' || (scope === 'Namespaced') === isNamespaced) &&
    has(rule.operations, attributes.operation) &&
    has(rule.apiGroups, descriptor.group) &&
    has(rule.apiVersions, descriptor.version) &&
    hasResource(rule.resources, descriptor.resource, attributes.subresource)
  );
}

/** The version of the resource that the webhook wants to hear of, undefined when it is not about it. */
export function matchedVersion(
  { rules = [], matchPolicy = 'Equivalent' }: Webhook,
  attributes: AdmissionAttributes,
  { registry }: AdmissionDeps,
): ResourceDescriptor | undefined {
  const { descriptor } = attributes;
  const matches = (served: ResourceDescriptor) => rules.some((rule) => matchesRule(rule, served, attributes));
  if (matches(descriptor)) return descriptor;
  if (matchPolicy !== 'Equivalent' || attributes.subresource) return undefined;
  return registry
    ?.all()
    .find((other) => other.group === descriptor.group && other.resource === descriptor.resource && matches(other));
}

const isEmpty = (selector: LabelSelector | undefined): boolean =>
  !selector || (!Object.keys(selector.matchLabels ?? {}).length && !selector.matchExpressions?.length);

/** Namespaces are selected by their own labels, other objects without a namespace always. */
async function matchesNamespace(
  { namespaceSelector }: Webhook,
  { descriptor, namespace, name, object, oldObject }: AdmissionAttributes,
  deps: AdmissionDeps,
): Promise<boolean> {
  if (isEmpty(namespaceSelector)) return true;
  const isNamespace = descriptor.group === '' && descriptor.resource === 'namespaces';
  if (!isNamespace && !namespace) return true;
  const found =
    (isNamespace ? (object ?? oldObject) : undefined) ??
    (await findObject(deps, { group: '', resource: 'namespaces' }, '', isNamespace ? name : namespace));
  return matchesSelector(labelSelectorOf(namespaceSelector), found?.metadata?.labels);
}

function matchesObject({ objectSelector }: Webhook, { object, oldObject }: AdmissionAttributes): boolean {
  if (isEmpty(objectSelector)) return true;
  const selector = labelSelectorOf(objectSelector);
  return [object, oldObject].some((one) => one !== undefined && matchesSelector(selector, one.metadata?.labels));
}

export async function matchesSelectors(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  deps: AdmissionDeps,
): Promise<boolean> {
  return matchesObject(webhook, attributes) && (await matchesNamespace(webhook, attributes, deps));
}

/** Throws an Error for a condition that cannot be evaluated while no other one is false. */
export function meetsConditions(
  { matchConditions = [] }: Webhook,
  request: Record<string, unknown>,
  { object, oldObject }: { object?: UnknownObject | undefined; oldObject?: UnknownObject | undefined },
): boolean {
  let problem: string | undefined;
  for (const { name, expression } of matchConditions) {
    try {
      const holds = compileExpression(
        expression,
        'request',
      )({
        object: untypedValue(object ?? null),
        oldObject: untypedValue(oldObject ?? null),
        request: untypedValue(request),
      });
      if (holds !== true) return false;
    } catch (error) {
      problem ??= `${name}: ${celProblem(error)}`;
    }
  }
  if (problem) throw new Error(problem);
  return true;
}
