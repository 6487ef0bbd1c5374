import { describe, expect, it } from 'vitest';
import type { Schema } from '../../../src/components/apiserver/custom-resources/definition.ts';
import { createObjectValidation } from '../../../src/components/apiserver/custom-resources/object-validation.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

const text: Schema = { type: 'string' };
const whole: Schema = { type: 'integer' };

/** The messages about `spec.v`, with the rules evaluated when `old` is given or not. */
function complaints(v: Schema, value: unknown, old?: unknown): string[] {
  const schema: Schema = { type: 'object', properties: { spec: { type: 'object', properties: { v } } } };
  const object = (given: unknown) => ({ spec: given === undefined ? {} : { v: given } }) as unknown as UnknownObject;
  const errors = createObjectValidation(schema)(object(value), old === undefined ? undefined : object(old), '');
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

describe('a value of a custom object', () => {
  const cases: [what: string, schema: Schema, value: unknown, expected: string[]][] = [
    ['of its type', whole, 3, []],
    [
      'of another type',
      whole,
      'three',
      ['spec.v: Invalid value: "string": spec.v in body must be of type integer: "string"'],
    ],
    ['null', text, null, ['spec.v: Invalid value: "null": spec.v in body must be of type string: "null"']],
    ['null where it may be', { ...text, nullable: true }, null, []],
    ['an integer where numbers are wanted', { type: 'number' }, 1, []],
    [
      'a fraction where an integer is wanted',
      whole,
      1.5,
      ['spec.v: Invalid value: "number": spec.v in body must be of type integer: "number"'],
    ],
    ['an integer or string', { 'x-kubernetes-int-or-string': true }, '80%', []],
    [
      'not in the enumeration',
      { ...text, enum: ['a', 'b'] },
      'c',
      ['spec.v: Unsupported value: "c": supported values: "a", "b"'],
    ],
    ['too long', { ...text, maxLength: 2 }, 'abc', ['spec.v: Too long: may not be more than 2 bytes']],
    [
      'too short',
      { ...text, minLength: 2 },
      'a',
      ['spec.v: Invalid value: "a": spec.v in body should be at least 2 chars long'],
    ],
    [
      'not as its pattern',
      { ...text, pattern: '^[[:alpha:]]+$' },
      '1',
      ['spec.v: Invalid value: "1": spec.v in body should match \'^[[:alpha:]]+$\''],
    ],
    ['as its pattern, in another case', { ...text, pattern: '(?i)^abc$' }, 'ABC', []],
    [
      'of another format',
      { ...text, format: 'ipv4' },
      'x',
      ['spec.v: Invalid value: "x": spec.v in body must be of type ipv4: "x"'],
    ],
    [
      'too large',
      { ...whole, maximum: 5 },
      6,
      ['spec.v: Invalid value: 6: spec.v in body should be less than or equal to 5'],
    ],
    [
      'at an exclusive bound',
      { ...whole, minimum: 5, exclusiveMinimum: true },
      5,
      ['spec.v: Invalid value: 5: spec.v in body should be greater than 5'],
    ],
    [
      'no multiple',
      { ...whole, multipleOf: 3 },
      4,
      ['spec.v: Invalid value: 4: spec.v in body should be a multiple of 3'],
    ],
    [
      'with too many items',
      { type: 'array', items: text, maxItems: 1 },
      ['a', 'b'],
      ['spec.v: Too many: 2: must have at most 1 item'],
    ],
    [
      'with too few items',
      { type: 'array', items: text, minItems: 1 },
      [],
      ['spec.v: Invalid value: []: spec.v in body should have at least 1 items'],
    ],
    [
      'with an item twice in a set',
      { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
      ['a', 'a'],
      ['spec.v[1]: Duplicate value: "a"'],
    ],
    [
      'with a key twice in a map list',
      {
        type: 'array',
        items: { type: 'object', properties: { k: text } },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
      },
      [{ k: 'a' }, { k: 'a' }],
      ['spec.v[1]: Duplicate value: {"k":"a"}'],
    ],
    [
      'without what is required',
      { type: 'object', required: ['a'], properties: { a: text } },
      {},
      ['spec.v.a: Required value'],
    ],
    [
      'with a wrong entry of a map',
      { type: 'object', additionalProperties: whole },
      { a: 'x' },
      ['spec.v.a: Invalid value: "string": spec.v.a in body must be of type integer: "string"'],
    ],
    [
      'as none of the alternatives',
      { ...whole, anyOf: [{ minimum: 5 }, { maximum: 1 }] },
      3,
      [
        'spec.v: Invalid value: "": "spec.v" must validate at least one schema (anyOf)',
        'spec.v: Invalid value: 3: spec.v in body should be greater than or equal to 5',
      ],
    ],
    [
      'as two exclusive alternatives',
      { ...whole, oneOf: [{ minimum: 1 }, { minimum: 2 }] },
      3,
      ['spec.v: Invalid value: "": "spec.v" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
    ],
    [
      'as what it must not be',
      { ...whole, not: { minimum: 2 } },
      3,
      ['spec.v: Invalid value: "": "spec.v" must not validate the schema (not)'],
    ],
  ];
  it.each(cases)('%s', (_, schema, value, expected) => {
    expect(complaints(schema, value)).toEqual(expected);
  });

  it('is forgiven when it is as before', () => {
    expect(complaints({ ...whole, maximum: 5 }, 6, 6)).toEqual([]);
    expect(complaints({ ...whole, maximum: 5 }, 7, 6)).toHaveLength(1);
  });
});

describe('a validation rule', () => {
  const ruled = (rule: string, schema: Schema, more: object = {}): Schema => ({
    ...schema,
    'x-kubernetes-validations': [{ rule, ...more }],
  });
  const object = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties });
  const cases: [rule: string, schema: Schema, value: unknown, holds: boolean][] = [
    ['self > 3', whole, 4, true],
    ['self > 3', whole, 3, false],
    ['self.size() <= 2', { type: 'array', items: text }, ['a', 'b', 'c'], false],
    ["self.all(x, x.startsWith('a'))", { type: 'array', items: text }, ['ab', 'ac'], true],
    ['has(self.a) != has(self.b)', object({ a: text, b: text }), { a: 'x', b: 'y' }, false],
    ['self.min <= self.max', object({ min: whole, max: whole }), { min: 1, max: 2 }, true],
    ['self.d >= 0.5', object({ d: { type: 'number' } }), { d: 1 }, true],
    ["self.foo__dash__bar == 'x'", object({ 'foo-bar': text }), { 'foo-bar': 'x' }, true],
    ["self.namespace == 'x'", object({ namespace: text }), { namespace: 'x' }, true],
    ["self.__namespace__ == 'x'", object({ namespace: text }), { namespace: 'x' }, true],
    [
      "self.t < timestamp('2030-01-01T00:00:00Z')",
      object({ t: { ...text, format: 'date-time' } }),
      { t: '2024-01-01T00:00:00Z' },
      true,
    ],
    ["duration(self) >= duration('1m')", text, '30s', false],
    ['self.sum() == 3', { type: 'array', items: whole }, [1, 2], true],
    ['self.isSorted()', { type: 'array', items: whole }, [2, 1], false],
    ["self.find('[0-9]+') == '12'", text, 'a12b', true],
    ["self.matches('(?i)^abc$')", text, 'ABC', true],
    ["quantity(self).isLessThan(quantity('1Gi'))", text, '500Mi', true],
    ["url(self).getHost() == 'example.com:80'", text, 'http://example.com:80/x', false],
    ["'%s of %d'.format([self, 3]) == 'a of 3'", text, 'a', true],
    ['isURL(self)', text, 'https://example.com', true],
    ["self.?a.orValue('none') == 'none'", object({ a: text }), {}, true],
    ["type(self) == int ? self < 10 : self.endsWith('%')", { 'x-kubernetes-int-or-string': true }, '5%', true],
  ];
  it.each(cases)('%s', (rule, schema, value, holds) => {
    const found = complaints(ruled(rule, schema, { message: 'no' }), value);
    expect(found).toEqual(holds ? [] : [`spec.v: Invalid value: ${JSON.stringify(schema.type)}: no`]);
  });

  it('about changes looks at the value before', () => {
    const fixed = ruled('self == oldSelf', text, { message: 'immutable', reason: 'FieldValueForbidden' });
    expect(complaints(fixed, 'a')).toEqual([]);
    expect(complaints(fixed, 'a', 'a')).toEqual([]);
    expect(complaints(fixed, 'b', 'a')).toEqual(['spec.v: Forbidden: immutable']);
  });

  it('words its own message', () => {
    const counted = ruled('self <= 3', whole, { messageExpression: "'must be less than 4, not ' + string(self)" });
    expect(complaints(counted, 5)).toEqual(['spec.v: Invalid value: "integer": must be less than 4, not 5']);
    expect(complaints(ruled('self <= 3', whole), 5)).toEqual([
      'spec.v: Invalid value: "integer": failed rule: self <= 3',
    ]);
  });

  it('is not evaluated on what is of a wrong type', () => {
    expect(complaints(ruled('self > 3', whole), 'x')).toEqual([
      'spec.v: Invalid value: "string": spec.v in body must be of type integer: "string"',
      '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    ]);
  });
});
