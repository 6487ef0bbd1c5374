/** Label and field selectors: their text as in `?labelSelector=`, LabelSelector objects, and matching. */
import { labelValueErrors, qualifiedNameErrors } from './names.ts';
import type { LabelSelector } from './types.ts';

export type Labels = Record<string, string> | undefined;
export type SelectorOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt' | '=' | '==' | '!=';

export interface Requirement {
  key: string;
  operator: SelectorOperator;
  values: string[];
}

/** All requirements must hold; none selects everything. */
export type Selector = Requirement[];

export class SelectorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SelectorError';
  }
}

/** Null selects nothing: what a missing LabelSelector means. */
export type MaybeSelector = Selector | null;

/** Compiles a LabelSelector: undefined selects nothing, an empty one everything. Throws SelectorError. */
export function labelSelectorOf(selector: LabelSelector | undefined | null): MaybeSelector {
  if (!selector) return null;
  const requirements: Selector = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {}))
    requirements.push({ key, operator: '=', values: [value] });
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator))
      throw new SelectorError(`"${operator}" is not a valid label selector operator`);
    requirements.push({ key, operator: operator as SelectorOperator, values: values ?? [] });
  }
  return requirements;
}

/** A selector from a plain map, as in a Service's `spec.selector`. */
export const mapSelector = (labels: Record<string, string>): Selector =>
  Object.entries(labels).map(([key, value]) => ({ key, operator: '=', values: [value] }));

export function matchesRequirement({ key, operator, values }: Requirement, labels: Labels): boolean {
  const present = labels !== undefined && Object.hasOwn(labels, key);
  const value = present ? labels[key] : undefined;
  switch (operator) {
    case 'In':
    case '=':
    case '==':
      return value !== undefined && values.includes(value);
    case 'NotIn':
    case '!=':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return present;
    case 'DoesNotExist':
      return !present;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^[+-]?\d+$/.test(value) || !/^[+-]?\d+$/.test(values[0] ?? '')) return false;
      const [have, want] = [BigInt(value), BigInt(values[0] as string)];
      return operator === 'Gt' ? have > want : have < want;
    }
  }
}

export function matchesSelector(selector: MaybeSelector, labels: Labels): boolean {
  return selector?.every((requirement) => matchesRequirement(requirement, labels)) ?? false;
}

/** Whether an object with these labels is selected by a LabelSelector. */
export const matchesLabelSelector = (selector: LabelSelector | undefined | null, labels: Labels): boolean =>
  matchesSelector(labelSelectorOf(selector), labels);

/** The text form, keys sorted as upstream: `app=web,tier in (a,b),!debug`. */
export function formatSelector(selector: Selector): string {
  return [...selector]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ key, operator, values }) => {
      switch (operator) {
        case 'In':
        case 'NotIn':
          return `${key} ${operator === 'In' ? 'in' : 'notin'} (${[...values].sort().join(',')})`;
        case 'Exists':
          return key;
        case 'DoesNotExist':
          return `!${key}`;
        case 'Gt':
        case 'Lt':
          return `${key}${operator === 'Gt' ? '>' : '<'}${values[0]}`;
        default:
          return `${key}${operator}${values[0] ?? ''}`;
      }
    })
    .join(',');
}

const tokens = /\s*(?:(==|!=|=|!|>|<|,|\(|\))|([^\s=!,()<>]+))/y;

function tokenize(text: string): string[] {
  const found: string[] = [];
  tokens.lastIndex = 0;
  while (tokens.lastIndex < text.length) {
    const start = tokens.lastIndex;
    const match = tokens.exec(text);
    if (!match) {
      if (text.slice(start).trim() === '') break;
      throw new SelectorError(`unable to parse requirement: unexpected character at ${start} in "${text}"`);
    }
    found.push((match[1] ?? match[2]) as string);
  }
  return found;
}

const operatorTokens = new Set(['==', '!=', '=', '!', '>', '<', ',', '(', ')']);

/** Parses `a=b,c in (d,e),!f,g>1`. Throws SelectorError. */
export function parseSelector(text: string): Selector {
  const list = tokenize(text);
  const selector: Selector = [];
  let at = 0;
  const next = () => list[at++];
  const name = (what: string): string => {
    const token = next();
    if (token === undefined || operatorTokens.has(token))
      throw new SelectorError(`unable to parse requirement: found '${token ?? ''}', expected: ${what}`);
    return token;
  };
  const key = (): string => {
    const found = name('identifier');
    const errors = qualifiedNameErrors(found);
    if (errors.length > 0)
      throw new SelectorError(`unable to parse requirement: <nil>: Invalid value: "${found}": ${errors.join('; ')}`);
    return found;
  };
  const values = (): string[] => {
    if (next() !== '(')
      throw new SelectorError(`unable to parse requirement: found '${list[at - 1] ?? ''}', expected: '('`);
    const found: string[] = [];
    for (;;) {
      const token = list[at];
      if (token === undefined) throw new SelectorError("unable to parse requirement: found '', expected: ',', or ')'");
      if (token === ')' || token === ',') {
        found.push('');
        at += 1;
        if (token === ')') return found;
        continue;
      }
      found.push(name('identifier'));
      const separator = next();
      if (separator === ')') return found;
      if (separator !== ',')
        throw new SelectorError(`unable to parse requirement: found '${separator ?? ''}', expected: ',' or ')'`);
      if (list[at] === ')') {
        at += 1;
        found.push('');
        return found;
      }
    }
  };
  const checked = (requirement: Requirement): Requirement => {
    for (const value of requirement.values) {
      const errors = requirement.operator === 'Gt' || requirement.operator === 'Lt' ? [] : labelValueErrors(value);
      if (errors.length > 0)
        throw new SelectorError(
          `unable to parse requirement: values[0][${requirement.key}]: Invalid value: "${value}": ${errors.join('; ')}`,
        );
    }
    return requirement;
  };
  while (at < list.length) {
    if (list[at] === '!') {
      at += 1;
      selector.push({ key: key(), operator: 'DoesNotExist', values: [] });
    } else {
      const found = key();
      const operator = list[at];
      if (operator === undefined || operator === ',') selector.push({ key: found, operator: 'Exists', values: [] });
      else {
        at += 1;
        if (operator === 'in' || operator === 'notin')
          selector.push(checked({ key: found, operator: operator === 'in' ? 'In' : 'NotIn', values: values() }));
        else if (operator === '=' || operator === '==' || operator === '!=') {
          const value = list[at] === undefined || list[at] === ',' ? '' : name('identifier');
          selector.push(checked({ key: found, operator, values: [value] }));
        } else if (operator === '>' || operator === '<') {
          const value = name('identifier');
          if (!/^-?\d+$/.test(value))
            throw new SelectorError(
              `unable to parse requirement: values[0][${found}]: Invalid value: "${value}": for 'Gt', 'Lt' operators, the value must be an integer`,
            );
          selector.push({ key: found, operator: operator === '>' ? 'Gt' : 'Lt', values: [value] });
        } else
          throw new SelectorError(
            `unable to parse requirement: found '${operator}', expected: in, notin, =, ==, !=, gt, lt`,
          );
      }
    }
    if (at < list.length && next() !== ',')
      throw new SelectorError(`unable to parse requirement: found '${list[at - 1]}', expected: ',' or 'end of string'`);
    if (at === list.length && list[at - 1] === ',')
      throw new SelectorError("unable to parse requirement: found '', expected: identifier after ','");
  }
  return selector;
}

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

/** Splits at commas that are not escaped. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let term = '';
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i] as string;
    if (char === '\\' && i + 1 < text.length) {
      term += char + text[i + 1];
      i += 1;
    } else if (char === ',') {
      terms.push(term);
      term = '';
    } else term += char;
  }
  terms.push(term);
  return terms;
}

/** Parses `metadata.name=a,status.phase!=Running`; `\,`, `\=` and `\\` are escapes. Throws SelectorError. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    if (term === '') continue;
    const match = /^([^=!]*?)(==|!=|=)((?:\\.|[^\\=])*)$/s.exec(term);
    if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    requirements.push({
      field: match[1] as string,
      operator: match[2] === '!=' ? '!=' : '=',
      value: (match[3] as string).replace(/\\(.)/gs, '$1'),
    });
  }
  return requirements;
}

export const escapeFieldValue = (value: string): string => value.replace(/[\\,=]/g, (char) => `\\${char}`);
export const formatFieldSelector = (requirements: FieldRequirement[]): string =>
  requirements.map(({ field, operator, value }) => `${field}${operator}${escapeFieldValue(value)}`).join(',');

/** `fieldValue` answers a field's value; one the object does not have is the empty string. */
export const matchesFields = (
  requirements: FieldRequirement[],
  fieldValue: (field: string) => string | undefined,
): boolean =>
  requirements.every(({ field, operator, value }) => ((fieldValue(field) ?? '') === value) === (operator === '='));
