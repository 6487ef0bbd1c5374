/** The fields that an apply configuration sets, and what is wrong with its types. */

import { isObject } from '../../../machinery/api/json.ts';
import type { FieldSchema, TypeSchema } from '../../../machinery/api/schema/types.ts';
import { type FieldSet, insertPath, isEmptySet, isMember, pathText } from './field-set.ts';
import { itemElement, memberField, namedField, rootField, shapeOf } from './shapes.ts';

export interface DeclaredFields {
  set: FieldSet;
  /** For example `.spec.foo: field not declared in schema`. */
  errors: string[];
}

/** Leaves, list items and map keys are members; structs are only when they are empty. */
export function fieldsOf(schema: TypeSchema, object: unknown): DeclaredFields {
  const set: FieldSet = {};
  const errors: string[] = [];
  visit(rootField(schema), object, []);
  return { set, errors };

  function visit(field: FieldSchema, value: unknown, path: string[]): void {
    const problem = typeProblem(field, value);
    if (problem) {
      errors.push(`${pathText(path)}: ${problem}`);
      return;
    }
    const shape = shapeOf(field, value);
    if (shape === 'members' && isObject(value)) {
      for (const [name, member] of Object.entries(value)) {
        const here = [...path, `f:${name}`];
        const type = memberField(field, name);
        if (!type) {
          errors.push(`${pathText(here)}: field not declared in schema`);
          continue;
        }
        visit(type, member, here);
        const empty = member === null || (isObject(member) && isEmptySet(member as FieldSet));
        if (empty || !namedField(field, name)) insertPath(set, here);
      }
    } else if (shape === 'items' && Array.isArray(value)) {
      const seen = new Set<string>();
      value.forEach((item, index) => {
        const element = itemElement(field, item);
        if (element === undefined) {
          const keys = (field.listMapKeys ?? []).map((key) => JSON.stringify(key)).join(' ');
          const why = `associative list with keys has an element that omits all key fields [${keys}] (and doesn't have default values for any key fields)`;
          errors.push(`${pathText(path)}: element ${index}: ${why}`);
          return;
        }
        const here = [...path, element];
        if (seen.has(element)) {
          const text = pathText([element]).slice(1, -1);
          errors.push(`${pathText(path)}: duplicate entries for key [${text}]`);
        }
        seen.add(element);
        visit(field.items ?? { type: 'any' }, item, here);
        insertPath(set, here);
      });
    } else if (shape === 'leaf' && value !== undefined) {
      if (field.type === 'object') checkLeaf(field, value, path);
      if (path.length) insertPath(set, path);
    }
  }

  /** Atomic structs have fields of known types too. */
  function checkLeaf(field: FieldSchema, value: unknown, path: string[]): void {
    if (!isObject(value)) return;
    for (const [name, member] of Object.entries(value)) {
      const type = memberField(field, name);
      const problem = type ? typeProblem(type, member) : 'field not declared in schema';
      if (problem) errors.push(`${pathText([...path, `f:${name}`])}: ${problem}`);
    }
  }
}

function typeProblem(field: FieldSchema, value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  const got = () => (typeof value === 'object' ? goValue(value) : String(value));
  switch (field.type) {
    case 'object':
    case 'map':
      return isObject(value) ? undefined : `expected map, got &{${got()}}`;
    case 'array':
      return Array.isArray(value) ? undefined : `expected list, got &{${got()}}`;
    case 'string':
    case 'bytes':
      return typeof value === 'string' ? undefined : `expected string, got &value.valueUnstructured{Value:${got()}}`;
    case 'boolean':
      return typeof value === 'boolean'
        ? undefined
        : `expected boolean, got &value.valueUnstructured{Value:${goText(value)}}`;
    case 'integer':
    case 'number':
      return typeof value === 'number'
        ? undefined
        : `expected numeric (int or float), got &value.valueUnstructured{Value:${goText(value)}}`;
    default:
      return undefined;
  }
}

const goText = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : goValue(value));

/** Go's `%v` of a decoded value. */
function goValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  if (!isObject(value)) return value === null ? '<nil>' : String(value);
  const members = Object.keys(value).sort();
  return `map[${members.map((name) => `${name}:${goValue(value[name])}`).join(' ')}]`;
}

/** The set with every declared struct field on the way to a member made a member too; map keys and list items are not. */
export function withNamedFields(schema: TypeSchema, set: FieldSet): FieldSet {
  return extend(rootField(schema), set);

  function extend(field: FieldSchema | undefined, node: FieldSet): FieldSet {
    const result: FieldSet = {};
    for (const [element, child] of Object.entries(node)) {
      if (element === '.') {
        result['.'] = {};
        continue;
      }
      const name = element.startsWith('f:') ? element.slice(2) : undefined;
      const named = field && name !== undefined ? namedField(field, name) : undefined;
      const type = name === undefined ? field?.items : field && memberField(field, name);
      const extended = extend(type, child);
      result[element] = named && !isMember(extended) ? { '.': {}, ...extended } : extended;
    }
    return result;
  }
}
