/** Webhook configurations. */
import { dns1123SubdomainErrors, qualifiedNameErrors } from '../../../machinery/api/names.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Rule, Webhook } from '../admission/webhooks/configuration.ts';
import { celProblem, compileExpression } from '../custom-resources/cel-environment.ts';
import {
  at,
  duplicate,
  eachInvalid,
  type FieldError,
  invalidValue,
  required,
  tooMany,
  unsupported,
} from './field-errors.ts';

const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT', '*'];

export function webhookConfigurationErrors(object: UnknownObject): FieldError[] {
  const hooks = (object['webhooks'] as Webhook[] | null | undefined) ?? [];
  const seen = new Set<string>();
  return hooks.flatMap((hook, index) => {
    const path = at('webhooks', index);
    const errors = webhookErrors(hook, path);
    if (seen.has(hook.name)) errors.push(duplicate(`${path}.name`, hook.name));
    seen.add(hook.name);
    return errors;
  });
}

function webhookErrors(hook: Webhook, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!hook.name) errors.push(required(`${path}.name`));
  else if (hook.name.split('.').length < 3)
    errors.push(
      invalidValue(`${path}.name`, hook.name, 'should be a domain with at least three segments separated by dots'),
    );
  else errors.push(...eachInvalid(`${path}.name`, hook.name, dns1123SubdomainErrors(hook.name)));
  for (const [index, rule] of (hook.rules ?? []).entries()) errors.push(...ruleErrors(rule, `${path}.rules[${index}]`));
  if (hook.failurePolicy && !['Fail', 'Ignore'].includes(hook.failurePolicy))
    errors.push(unsupported(`${path}.failurePolicy`, hook.failurePolicy, ['Fail', 'Ignore']));
  if (hook.matchPolicy && !['Equivalent', 'Exact'].includes(hook.matchPolicy))
    errors.push(unsupported(`${path}.matchPolicy`, hook.matchPolicy, ['Equivalent', 'Exact']));
  if (!hook.sideEffects) errors.push(required(`${path}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
  else if (!['None', 'NoneOnDryRun'].includes(hook.sideEffects))
    errors.push(unsupported(`${path}.sideEffects`, hook.sideEffects, ['None', 'NoneOnDryRun']));
  const seconds = hook.timeoutSeconds;
  if (seconds !== undefined && (seconds > 30 || seconds < 1))
    errors.push(invalidValue(`${path}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'));
  return [
    ...errors,
    ...versionErrors(hook, path),
    ...clientErrors(hook, `${path}.clientConfig`),
    ...conditionErrors(hook, `${path}.matchConditions`),
  ];
}

const maxConditions = 64;

function conditionErrors({ matchConditions = [] }: Webhook, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (matchConditions.length > maxConditions) errors.push(tooMany(path, matchConditions.length, maxConditions));
  const seen = new Set<string>();
  for (const [index, { name, expression }] of matchConditions.entries()) {
    const here = at(path, index);
    if (!name) errors.push(required(`${here}.name`));
    else errors.push(...eachInvalid(`${here}.name`, name, qualifiedNameErrors(name)));
    if (seen.has(name)) errors.push(duplicate(`${here}.name`, name));
    seen.add(name);
    if (!expression?.trim()) errors.push(required(`${here}.expression`));
    else {
      const problem = expressionProblem(expression);
      if (problem) errors.push(invalidValue(`${here}.expression`, expression, `compilation failed: ${problem}`));
    }
  }
  return errors;
}

function expressionProblem(expression: string): string | undefined {
  try {
    compileExpression(expression, 'request');
    return undefined;
  } catch (error) {
    return celProblem(error);
  }
}

function versionErrors({ admissionReviewVersions: versions = [] }: Webhook, path: string): FieldError[] {
  const field = `${path}.admissionReviewVersions`;
  if (!versions.length) return [required(field, 'must specify one of v1, v1beta1')];
  if (versions.some((version) => version === 'v1' || version === 'v1beta1')) return [];
  return [invalidValue(field, versions, 'must include at least one of v1, v1beta1')];
}

function clientErrors({ clientConfig: { url, service } = {} }: Webhook, path: string): FieldError[] {
  if ((url === undefined) === (service === undefined))
    return [required(path, 'exactly one of url or service is required')];
  if (url !== undefined) {
    const here = `${path}.url`;
    if (!URL.canParse(url))
      return [required(here, `url must be a valid URL: ${url}; desired format: https://host[/path]`)];
    if (!url.startsWith('https://'))
      return [
        invalidValue(
          here,
          new URL(url).protocol.slice(0, -1),
          `'https' is the only allowed URL scheme; desired format: https://host[/path]`,
        ),
      ];
    return [];
  }
  return [
    ...(service?.name ? [] : [required(`${path}.service.name`, 'service name is required')]),
    ...(service?.namespace ? [] : [required(`${path}.service.namespace`, 'service namespace is required')]),
  ];
}

function ruleErrors(rule: Rule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const list = (field: 'operations' | 'apiGroups' | 'apiVersions' | 'resources') => {
    const values = rule[field] ?? [];
    if (!values.length) errors.push(required(`${path}.${field}`));
    // A star stands for itself and everything: nothing may stand beside it.
    if (field !== 'resources' && values.length > 1 && values.includes('*'))
      errors.push(
        invalidValue(
          `${path}.${field}`,
          values,
          `if '*' is present, must not specify other ${field === 'apiGroups' ? 'API groups' : field === 'apiVersions' ? 'API versions' : field}`,
        ),
      );
  };
  list('operations');
  for (const [index, operation] of (rule.operations ?? []).entries())
    if (!operations.includes(operation))
      errors.push(unsupported(`${path}.operations[${index}]`, operation, operations));
  list('apiGroups');
  list('apiVersions');
  list('resources');
  return errors;
}
