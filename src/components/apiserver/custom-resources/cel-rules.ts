/** Evaluates the x-kubernetes-validations of a schema. */
import { isDeepStrictEqual } from 'node:util';
import { Optional } from '@marcbachmann/cel-js';
import { isObject } from '../../../machinery/api/json.ts';
import { at, type FieldError } from '../validation/field-errors.ts';
import { celProblem, compileExpression, type Evaluate } from './cel-environment.ts';
import type { Schema, ValidationRule } from './definition.ts';
import { goPattern } from './formats.ts';
import { correlated, jsonType, memberPath } from './value-validation.ts';

interface CompiledRule {
  rule: ValidationRule;
  /** undefined: the expression is beyond what can be evaluated here. */
  holds: Evaluate | undefined;
  message: Evaluate | undefined;
  transition: boolean;
}

const ruled = new WeakMap<Schema, boolean>();

/** Whether the schema or a part of it has rules. */
export function hasRules(schema: Schema): boolean {
  let found = ruled.get(schema);
  if (found === undefined) {
    found =
      Boolean(schema['x-kubernetes-validations']?.length) ||
      [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties].some(
        (part) => typeof part === 'object' && hasRules(part),
      );
    ruled.set(schema, found);
  }
  return found;
}

const compiled = new WeakMap<Schema, CompiledRule[]>();

function rulesOf(schema: Schema): CompiledRule[] {
  let rules = compiled.get(schema);
  if (!rules) {
    rules = (schema['x-kubernetes-validations'] ?? []).map((rule) => ({
      rule,
      holds: compileOrNothing(rule.rule),
      message: rule.messageExpression ? compileOrNothing(rule.messageExpression) : undefined,
      transition: /\boldSelf\b/.test(rule.rule),
    }));
    compiled.set(schema, rules);
  }
  return rules;
}

function compileOrNothing(expression: string): Evaluate | undefined {
  try {
    return compileExpression(expression);
  } catch {
    return undefined;
  }
}

function isPattern(pattern: string): boolean {
  try {
    goPattern(pattern);
    return true;
  } catch {
    return false;
  }
}

/** What the writer of a definition is told about rules and patterns that are not evaluated. */
export function rulesNotEvaluated(schema: Schema, path: string): string[] {
  const { pattern } = schema;
  const unread = pattern !== undefined && !isPattern(pattern);
  const patterns = unread ? [`${path}.pattern: the pattern is accepted and values are not checked against it`] : [];
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap(({ rule }, index) => {
    try {
      compileExpression(rule);
      return [];
    } catch (error) {
      return [
        `${path}.x-kubernetes-validations[${index}].rule: the rule is accepted and not evaluated: ${celProblem(error)}`,
      ];
    }
  });
  const { items, additionalProperties } = schema;
  return [
    ...patterns,
    ...own,
    ...Object.entries(schema.properties ?? {}).flatMap(([name, part]) =>
      rulesNotEvaluated(part, `${path}.properties[${name}]`),
    ),
    ...(items ? rulesNotEvaluated(items, `${path}.items`) : []),
    ...(typeof additionalProperties === 'object'
      ? rulesNotEvaluated(additionalProperties, `${path}.additionalProperties`)
      : []),
  ];
}

/** `old` is undefined on create, and where a value has no predecessor. */
export function ruleErrors(schema: Schema, value: unknown, old: unknown, path = ''): FieldError[] {
  if (!hasRules(schema) || value === undefined || value === null) return [];
  const errors = ownErrors(schema, value, old, path);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return errors;
    const match = correlated(schema, old);
    for (const [index, item] of value.entries()) errors.push(...ruleErrors(items, item, match(item), at(path, index)));
  } else if (isObject(value)) {
    const before = isObject(old) ? old : undefined;
    for (const [name, member] of Object.entries(value)) {
      const part = partOf(schema, name);
      if (part) errors.push(...ruleErrors(part, member, before?.[name], memberPath(path, name)));
    }
  }
  return errors;
}

function partOf({ properties, additionalProperties }: Schema, name: string): Schema | undefined {
  if (properties && Object.hasOwn(properties, name)) return properties[name];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

function ownErrors(schema: Schema, value: unknown, old: unknown, path: string): FieldError[] {
  const rules = rulesOf(schema);
  if (!rules.length) return [];
  // A rule that a part broke before and that did not change is forgiven.
  const unchanged = old !== undefined && isDeepStrictEqual(value, old);
  const self = celValue(schema, value);
  const before = old === undefined || old === null ? undefined : celValue(schema, old);
  return rules.flatMap((rule) => {
    if (unchanged || !rule.holds) return [];
    if (rule.transition && before === undefined && !rule.rule.optionalOldSelf) return [];
    const oldSelf = rule.rule.optionalOldSelf ? (before === undefined ? Optional.none() : Optional.of(before)) : before;
    return outcome(rule, schema, value, path, { self, oldSelf });
  });
}

function outcome(
  { rule, holds, message }: CompiledRule,
  schema: Schema,
  value: unknown,
  path: string,
  context: Record<string, unknown>,
): FieldError[] {
  try {
    if (holds?.(context) === true) return [];
  } catch (error) {
    const why = `rule evaluation error: ${celProblem(error)}`;
    return [
      fieldError({ ...rule, reason: 'FieldValueInvalid' }, schema, value, path, `${why} evaluating rule: ${rule.rule}`),
    ];
  }
  return [fieldError(rule, schema, value, path, text(rule, message, context))];
}

function text(rule: ValidationRule, message: Evaluate | undefined, context: Record<string, unknown>): string {
  const fallback = rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
  try {
    const made = message?.(context);
    return typeof made === 'string' && made.trim() && !made.includes('\n') ? made : fallback;
  } catch {
    return fallback;
  }
}

function fieldError(rule: ValidationRule, schema: Schema, value: unknown, path: string, detail: string): FieldError {
  const field = `${path}${rule.fieldPath ?? ''}`.replace(/^\./, '') || '<nil>';
  const shown = JSON.stringify(schema.type ?? jsonType(value));
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return { type: rule.reason, field, message: `Forbidden: ${detail}` };
    case 'FieldValueRequired':
      return { type: rule.reason, field, message: `Required value: ${detail}` };
    case 'FieldValueDuplicate':
      return { type: rule.reason, field, message: `Duplicate value: ${shown}` };
    default:
      return { type: 'FieldValueInvalid', field, message: `Invalid value: ${shown}: ${detail}` };
  }
}

/** JSON as CEL's types: integers are bigint, times are Dates; names of members are escaped as rules write them. */
function celValue(schema: Schema | undefined, value: unknown): unknown {
  if (value === null || value === undefined) return value;
  if (typeof value === 'number') {
    return schema?.type === 'number' || !Number.isSafeInteger(value) ? value : BigInt(value);
  }
  if (typeof value === 'string') return schema?.format === 'date-time' ? new Date(value) : value;
  if (Array.isArray(value)) return value.map((item) => celValue(schema?.items, item));
  if (!isObject(value)) return value;
  const isStruct = schema?.properties !== undefined;
  const members: [string, unknown][] = [];
  for (const [name, member] of Object.entries(value)) {
    const part = schema ? partOf(schema, name) : undefined;
    // null is as good as absent where it is no value of its own.
    if (member === null && isStruct && !part?.nullable) continue;
    const converted = celValue(part, member);
    members.push([name, converted]);
    if (isStruct && escaped(name) !== name) members.push([escaped(name), converted]);
  }
  return Object.fromEntries(members);
}

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

function escaped(name: string): string {
  if (reserved.has(name)) return `__${name}__`;
  if (/^[A-Za-z_]\w*$/.test(name) && !name.includes('__')) return name;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}
