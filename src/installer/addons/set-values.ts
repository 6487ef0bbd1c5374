/** Values of an add-on from the command line: `--set a.b=1,c=x` over `--values file.yaml`. */
import { readFile } from 'node:fs/promises';
import { type AddonValues, type BuiltInAddon, builtInAddon, valueMistakes } from '../config/addon-values.ts';
import { overlay } from '../config/overlay.ts';
import { formatPlace, invalidConfig } from '../config/read-config.ts';
import { parseYaml } from '../config/yaml.ts';
import { KinitError } from '../errors.ts';

/** What stands behind `=`: numbers, true, false, null, `{a,b}` as a list, and otherwise text. */
function readValue(text: string): unknown {
  const list = /^\{(.*)\}$/.exec(text);
  if (list) return (list[1] ?? '') === '' ? [] : (list[1] ?? '').split(',').map((item) => readValue(item.trim()));
  if (/^-?(0|[1-9]\d*)$/.test(text)) return Number(text);
  if (text === 'null') return null;
  return text === 'true' || text === 'false' ? text === 'true' : text;
}

/** `a=1,b={x,y}` at the commas outside of braces. */
const pairsOf = (text: string): string[] => text.match(/(?:\{[^}]*\}|[^,{])+/g) ?? [];

/** A dot in a name is written `\.`. */
const pathOf = (name: string): string[] => name.split(/(?<!\\)\./).map((part) => part.replaceAll('\\.', '.'));

/**
 * Each pair as a document to lay over the values that are there; null takes a value back.
 * @throws KinitError Usage for a word without `=`
 */
export function parseSet(words: readonly string[]): AddonValues[] {
  return words.flatMap(pairsOf).map((pair) => {
    const [name = '', text] = pair.split(/=(.*)/s);
    if (!/^[^\s=]+$/.test(name) || text === undefined)
      throw new KinitError('Usage', `--set has "${pair}"; it takes <name>=<value>,…`);
    return pathOf(name).reduceRight<unknown>((inner, part) => ({ [part]: inner }), readValue(text)) as AddonValues;
  });
}

/** @throws KinitError Validation with the place of every mistake of the file */
async function readValues(name: BuiltInAddon, path: string): Promise<{ values: AddonValues; text: string }> {
  const text = await readFile(path === '-' ? '/dev/stdin' : path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KinitError('Validation', `cannot read the values ${path}: ${error.code}`, {
      advice: 'check the path given with --values',
    });
  });
  const [document, second] = parseYaml(text, path);
  if (!document) return { values: {}, text };
  const { value } = document;
  if (second || typeof value !== 'object' || Array.isArray(value))
    throw invalidConfig([`${path}: values are one document with a field for each`]);
  const mistakes = valueMistakes(name, value as AddonValues);
  if (mistakes.length)
    throw invalidConfig(
      mistakes.map(({ path: field, message }) => `${formatPlace(path, document, field)}: ${message}`),
    );
  return { values: value as AddonValues, text };
}

/** @throws KinitError Usage with what is wrong */
export function checkValues(name: BuiltInAddon, values: AddonValues): void {
  const [first, ...more] = valueMistakes(name, values).map(({ message }) => message);
  if (first)
    throw new KinitError('Usage', [`add-on ${name}: ${first}`, ...more].join('\n'), { advice: 'nothing was changed' });
}

export interface GivenValues {
  /** Of the file. */
  text?: string;
  /** To be laid over the values that are there. */
  patches: AddonValues[];
}

/** What the command line says of an add-on, checked as far as that goes without its present values. */
export async function givenValues(
  addon: string,
  path: string | undefined,
  words: readonly string[],
): Promise<GivenValues> {
  const patches = parseSet(words);
  const own = builtInAddon(addon);
  if (!own || (path === undefined && !words.length)) return { patches };
  const file = path === undefined ? undefined : await readValues(own, path);
  const all = [...(file ? [file.values] : []), ...patches];
  checkValues(
    own,
    all.reduce<AddonValues>((under, over) => overlay(under, over), {}),
  );
  return { ...(file ? { text: file.text } : {}), patches: all };
}
