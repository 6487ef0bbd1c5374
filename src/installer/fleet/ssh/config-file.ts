/**
 * ssh_config(5), as far as it says how to reach a host: `Host` and `Match` blocks in order, the first value of a keyword
 * wins, `Include` is put in its place. Pure: whoever calls reads the files.
 */
import { matchesPattern } from './known-hosts.ts';

/** One line: a keyword in lower case and its words; of an `Include` also what the files say. */
export interface ConfigLine {
  keyword: string;
  words: string[];
  included?: ConfigLine[];
}

/** Values of a host: of each keyword the first block's; `identityfile` collects those of all blocks. */
export type HostValues = Map<string, string[]>;

/** `Keyword value`, `Keyword=value`, values in double quotes, `#` comments. */
export function parseConfigLines(text: string): ConfigLine[] {
  return text.split(/\r?\n/).flatMap((line): ConfigLine[] => {
    const [, keyword, rest = ''] = /^\s*([A-Za-z][\w-]*)(?:\s*=\s*|\s+|$)(.*)$/.exec(line) ?? [];
    if (!keyword) return [];
    const words: string[] = [];
    for (const [word, quoted] of rest.matchAll(/"([^"]*)"|[^\s"]+/g)) {
      if (word.startsWith('#')) break;
      words.push(quoted ?? word);
    }
    return [{ keyword: keyword.toLowerCase(), words }];
  });
}

/** `*`, `?` and `!not`, as in Host lines: one must match and none of the negated. */
export function matchesHost(patterns: readonly string[], name: string): boolean {
  const negated = patterns.some((pattern) => pattern.startsWith('!') && matchesPattern(pattern.slice(1), name));
  return !negated && patterns.some((pattern) => !pattern.startsWith('!') && matchesPattern(pattern, name));
}

/** What `Match` lines ask of the surroundings. */
export interface MatchContext {
  localUser: string;
  /** Whether a command of `Match exec` succeeds. */
  succeeds(command: string): boolean;
  /** Told of each criterion that cannot be judged; its block is passed over. */
  unknown(criterion: string): void;
}

export const noContext: MatchContext = { localUser: '', succeeds: () => false, unknown: () => undefined };

function matchesCriteria(
  words: readonly string[],
  host: string,
  values: HostValues,
  context: MatchContext,
  final: boolean,
): boolean {
  const hostname = values.get('hostname')?.[0]?.replaceAll('%h', host) ?? host;
  const user = values.get('user')?.[0] ?? context.localUser;
  const subjects: Record<string, string> = { host: hostname, originalhost: host, user, localuser: context.localUser };
  const alone: Record<string, boolean> = { all: true, final, canonical: final };
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const negated = word.startsWith('!');
    const criterion = (negated ? word.slice(1) : word).toLowerCase();
    const fixed = alone[criterion];
    if (fixed !== undefined) {
      if (fixed === negated) return false;
      continue;
    }
    const argument = rest.shift();
    if (argument === undefined) return false;
    const subject = subjects[criterion];
    if (subject === undefined && criterion !== 'exec') {
      context.unknown(criterion);
      return false;
    }
    const holds =
      subject === undefined
        ? context.succeeds(replaceTokens(argument, { '%': '%', h: hostname, n: host, r: user, u: context.localUser }))
        : matchesHost(argument.split(','), subject);
    if (holds === negated) return false;
  }
  return words.length > 0;
}

/** `%h` and the like; letters that are not given stay. */
export const replaceTokens = (text: string, tokens: Record<string, string>): string =>
  text.replace(/%(.)/g, (all, letter: string) => tokens[letter] ?? all);

/** Hosts that are named in full, in the order of the file: those a person would list. */
export function namedHosts(lines: readonly ConfigLine[]): string[] {
  const namesIn = ({ keyword, words, included }: ConfigLine): string[] =>
    included ? included.flatMap(namesIn) : keyword === 'host' ? words : [];
  const names = lines.flatMap(namesIn);
  return [...new Set(names.filter((name) => !/[*?!]/.test(name)))];
}

const hasFinal = (lines: readonly ConfigLine[]): boolean =>
  lines.some(
    ({ keyword, words, included }) =>
      (keyword === 'match' && words.some((word) => /^!?(final|canonical)$/i.test(word))) || hasFinal(included ?? []),
  );

/** Keywords whose lines add up. */
const collected = new Set(['identityfile', 'certificatefile']);

export function valuesFor(host: string, lines: readonly ConfigLine[], context: MatchContext = noContext): HostValues {
  const values: HostValues = new Map();
  const collect = (some: readonly ConfigLine[], name: string, final: boolean) => {
    let applies = true;
    for (const { keyword, words, included } of some) {
      if (keyword === 'host') applies = matchesHost(words, name);
      else if (keyword === 'match') applies = matchesCriteria(words, name, values, context, final);
      else if (!applies || !words.length) continue;
      else if (included) collect(included, name, final);
      else if (collected.has(keyword))
        values.set(keyword, [...new Set([...(values.get(keyword) ?? []), words.join(' ')])]);
      else if (!values.has(keyword)) values.set(keyword, words);
      // Whichever stands first says how to get there.
      if (applies && keyword === 'proxyjump' && !values.has('proxycommand')) values.set('proxycommand', ['none']);
      if (applies && keyword === 'proxycommand' && !values.has('proxyjump')) values.set('proxyjump', ['none']);
    }
  };
  collect(lines, host, false);
  // `Match final` is judged when all else is known, and `Host` by the name that came of it.
  if (hasFinal(lines)) collect(lines, values.get('hostname')?.[0]?.replaceAll('%h', host) ?? host, true);
  return values;
}
