/** Templates of `-o jsonpath=…`. */
import { describe, expect, it } from 'vitest';
import { formatObject } from '../../../src/cli/render/object-output.ts';

const images = { kind: 'Images', images: ['a:1', 'b:2'], tokens: [{ id: 'x', usages: ['signing'] }, { id: 'y' }] };
const print = (output: string) =>
  formatObject(
    { output },
    () => images,
    () => 'text',
  );

describe('a JSONPath template', () => {
  it.each<[string, string]>([
    ['jsonpath={.images[*]}', 'a:1 b:2'],
    ['jsonpath={.images[0]}', 'a:1'],
    ['jsonpath=.kind', 'Images'],
    ['jsonpath={range .images[*]}{@}{"\\n"}{end}', 'a:1\nb:2\n'],
    ["jsonpath=first: {.images[0]}, {'{}'}", 'first: a:1, {}'],
    ['jsonpath={.tokens[?(@.id=="x")].usages}', '["signing"]'],
    ['jsonpath={range .tokens[*]}{.id}={.usages[0]};{end}', 'x=signing;y=;'],
    ['jsonpath={.missing}', ''],
    ['jsonpath-as-json={.images[1]}', '[\n    "b:2"\n]\n'],
    ['text', 'text'],
    ['yaml', 'images:\n- a:1\n- b:2\nkind: Images\ntokens:\n- id: x\n  usages:\n  - signing\n- id: "y"\n'],
  ])('%s', async (output, text) => expect(await print(output)).toBe(text));

  it.each([
    ['jsonpath={.images', 'a brace is not closed'],
    ['jsonpath={range .images[*]}{@}', '{range} without {end}'],
    ['jsonpath={end}', '{end} without {range}'],
    ['go-template={{.kind}}', 'Go templates are not supported'],
    ['yml', '--output is "yml"; it takes text, json, yaml, jsonpath=…'],
    ['jsonpath-file=/nowhere/t', 'cannot read the template /nowhere/t: ENOENT'],
  ])('that is wrong is told: %s', (output, message) => expect(print(output)).rejects.toThrow(message));
});
