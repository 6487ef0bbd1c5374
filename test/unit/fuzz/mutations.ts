/** Texts that are almost right: a valid one, changed at a few places by a seeded source of chance. */

/** mulberry32: the same numbers for the same seed, on every machine. */
export function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Values that parsers stumble over. */
const awkward = [
  '',
  'null',
  '~',
  '0',
  '-1',
  '1e400',
  '99999999999999999999',
  'true',
  '[]',
  '{}',
  '[[[[]]]]',
  '[null, 1, a]',
  '{a: {b: c}}',
  '"\\u0000"',
  "'",
  '"',
  '\t',
  '\r\n',
  '\u0000',
  '\u2028',
  '\ud83d',
  'ä€😀',
  '&a [*a]',
  '*missing',
  '[&a [x, x, x, x, x, x], &b [*a, *a, *a, *a, *a], &c [*b, *b, *b, *b, *b], &d [*c, *c, *c, *c], [*d, *d, *d]]',
  '<<: {a: 1}',
  '!!binary AAAA',
  '!!js/function x',
  '2026-02-30',
  '__proto__',
  'constructor: {}',
  'toString',
  '---',
  '...',
  '%YAML 9.9',
  '- - - -',
  '? ',
  ': ',
  '# ',
  '$' + '{HOME}',
  '$' + '{X:-$' + '{Y}}',
  '::1',
  '10.0.0.0/33',
  'fe80::1%eth0',
  '[::1]:70000',
  'a'.repeat(3000),
  '('.repeat(200),
  '9'.repeat(400),
  'h1m'.repeat(200),
  '{'.repeat(150),
  '- '.repeat(150),
];

export interface Chance {
  next(): number;
  below(limit: number): number;
  one<T>(from: readonly T[]): T;
}

export function chance(seed: number): Chance {
  const next = chanceOf(seed);
  const below = (limit: number) => Math.floor(next() * limit);
  return { next, below, one: (from) => from[below(from.length)]! };
}

type Mutation = (text: string, chance: Chance) => string;

const span = (text: string, { below }: Chance): [number, number] => {
  const start = below(text.length + 1);
  return [start, Math.min(text.length, start + 1 + below(40))];
};

const lines: (work: (all: string[], chance: Chance) => void) => Mutation = (work) => (text, source) => {
  const all = text.split('\n');
  work(all, source);
  return all.join('\n');
};

const mutations: readonly Mutation[] = [
  (text, source) => {
    const [start, end] = span(text, source);
    return text.slice(0, start) + text.slice(end);
  },
  (text, source) => {
    const [start, end] = span(text, source);
    return text.slice(0, end) + text.slice(start, end) + text.slice(end);
  },
  (text, source) => {
    const at = source.below(text.length + 1);
    return text.slice(0, at) + source.one(awkward) + text.slice(at);
  },
  // A value becomes another one: the likeliest mistake of all.
  (text, source) => {
    const found = [...text.matchAll(/[:=][ "]?[^\n,}\]:=]+/g)];
    const chosen = found.length ? source.one(found) : undefined;
    if (!chosen) return text + source.one(awkward);
    return `${text.slice(0, chosen.index)}: ${source.one(awkward)}${text.slice(chosen.index + chosen[0].length)}`;
  },
  (text, source) => {
    const at = source.below(text.length + 1);
    return text.slice(0, at) + String.fromCharCode(source.below(256)) + text.slice(at + 1);
  },
  lines((all, source) => all.splice(source.below(all.length), 1)),
  lines((all, source) => {
    const [a, b] = [source.below(all.length), source.below(all.length)];
    [all[a], all[b]] = [all[b]!, all[a]!];
  }),
  lines((all, source) => {
    const at = source.below(all.length);
    all[at] = ' '.repeat(source.below(6)) + all[at]!.trimStart();
  }),
  lines((all, source) => all.splice(source.below(all.length), 0, source.one(all))),
  (text, source) => text.slice(0, source.below(text.length + 1)),
];

/** One to four changes. */
export function mutate(text: string, source: Chance): string {
  let changed = text;
  for (let left = 1 + source.below(4); left > 0; left--) changed = source.one(mutations)(changed, source);
  return changed;
}
