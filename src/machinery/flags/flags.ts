/**
 * Command-line flags as upstream's components take them: `--name=value`, `--name value`, `--switch`, repeated or
 * comma-separated lists. A table of flags describes them; an unknown one is an error that names the nearest.
 */

export type FlagKind = 'string' | 'boolean' | 'integer' | 'number' | 'duration' | 'list' | 'map';

export interface FlagSpec {
  kind: FlagKind;
  /** Given as text, as it would be typed. */
  default?: string;
  help: string;
  /** One letter, for example `v`. */
  short?: string;
}

type ValueOf<K extends FlagKind> = K extends 'boolean'
  ? boolean
  : K extends 'integer' | 'number' | 'duration'
    ? number
    : K extends 'list'
      ? string[]
      : K extends 'map'
        ? Record<string, string>
        : string;

/** Values by flag name; durations are milliseconds; flags without default that were not given are absent, lists and maps empty, booleans false. */
export type FlagValues<S extends Record<string, FlagSpec>> = {
  [N in keyof S]: S[N]['kind'] extends 'boolean' | 'list' | 'map'
    ? ValueOf<S[N]['kind']>
    : S[N] extends { default: string }
      ? ValueOf<S[N]['kind']>
      : ValueOf<S[N]['kind']> | undefined;
};

/** A flag that cannot be understood; its message is for the person who typed it. */
export class FlagError extends Error {}

export interface ParsedFlags<S extends Record<string, FlagSpec>> {
  values: FlagValues<S>;
  /** Names of the flags that were given. */
  given: Set<string>;
  positional: string[];
}

export function parseFlags<const S extends Record<string, FlagSpec>>(specs: S, argv: string[]): ParsedFlags<S> {
  const raw = new Map<string, string[]>();
  const positional: string[] = [];
  const shorts = new Map(
    Object.entries(specs).flatMap(([name, spec]) => (spec.short ? [[spec.short, name] as const] : [])),
  );
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const match = /^(?:--([^=]+)|-([a-zA-Z]))(?:=([\s\S]*))?$/.exec(word);
    if (!match || word === '--') {
      positional.push(word);
      continue;
    }
    const name = match[1] ?? shorts.get(match[2] as string) ?? (match[2] as string);
    const spec = specs[name];
    if (!spec) throw new FlagError(unknownFlag(name, Object.keys(specs)));
    let value = match[3];
    if (value === undefined) {
      if (spec.kind === 'boolean') value = 'true';
      else {
        value = argv[++i];
        if (value === undefined) throw new FlagError(`flag needs an argument: --${name}`);
      }
    }
    raw.set(name, [...(raw.get(name) ?? []), value]);
  }
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const texts = raw.get(name) ?? (spec.default === undefined ? undefined : [spec.default]);
    values[name] = texts
      ? convert(name, spec.kind, texts)
      : spec.kind === 'boolean'
        ? false
        : spec.kind === 'list'
          ? []
          : spec.kind === 'map'
            ? {}
            : undefined;
  }
  return { values: values as FlagValues<S>, given: new Set(raw.keys()), positional };
}

function convert(name: string, kind: FlagKind, texts: string[]): unknown {
  const last = texts.at(-1) as string;
  const refuse = (expected: string): never => {
    throw new FlagError(`invalid argument "${last}" for --${name}: expected ${expected}`);
  };
  switch (kind) {
    case 'string':
      return last;
    case 'boolean':
      return last === 'true' || last === '1'
        ? true
        : last === 'false' || last === '0'
          ? false
          : refuse('true or false');
    case 'integer':
      return /^-?\d+$/.test(last) ? Number(last) : refuse('a whole number');
    case 'number':
      return Number.isFinite(Number(last)) && last.trim() ? Number(last) : refuse('a number');
    case 'duration':
      return parseDuration(last) ?? refuse('a duration such as 30s or 1h15m');
    case 'list':
      return texts.flatMap((text) => text.split(',')).filter(Boolean);
    case 'map':
      return Object.fromEntries(
        texts
          .flatMap((text) => text.split(','))
          .filter(Boolean)
          .map((pair) => {
            const at = pair.indexOf('=');
            return at < 0 ? refuse('key=value pairs') : [pair.slice(0, at), pair.slice(at + 1)];
          }),
      );
  }
}

const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A Go duration (`1h15m30.5s`, `0`) in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const match = /^([-+]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (!match) return undefined;
  let total = 0;
  for (const [, amount, unit] of (match[2] as string).matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (unitMs[unit as string] as number);
  return match[1] === '-' ? -total : total;
}

function unknownFlag(name: string, known: string[]): string {
  const near = nearest(name, known);
  return `unknown flag: --${name}${near ? `; did you mean --${near}?` : ''}`;
}

/** The candidate with the smallest edit distance, when it is near enough to be meant. */
export function nearest(word: string, candidates: string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(
        Math.min(
          (next[j - 1] as number) + 1,
          (row[j] as number) + 1,
          (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The text of `--help`. */
export function flagHelp(program: string, about: string, specs: Record<string, FlagSpec>): string {
  const lines = Object.entries(specs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, spec]) => {
      const short = spec.short ? `-${spec.short}, ` : '    ';
      const kind = spec.kind === 'boolean' ? '' : ` ${spec.kind}`;
      return `  ${short}--${name}${kind}\n          ${spec.help}${spec.default === undefined ? '' : ` (default ${spec.default})`}`;
    });
  return `${about}\n\nUsage:\n  ${program} [flags]\n\nFlags:\n${lines.join('\n')}\n`;
}
