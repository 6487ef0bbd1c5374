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

/** `Match` with the criteria that can be judged beforehand; a block with any other (exec, canonical, …) is passed over. */
function matchesCriteria(words: readonly string[], host: string, values: HostValues, localUser: string): boolean {
  const hostname = values.get('hostname')?.[0]?.replaceAll('%h', host) ?? host;
  const user = values.get('user')?.[0] ?? localUser;
  const subjects: Record<string, string> = { host: hostname, originalhost: host, user, localuser: localUser };
  for (let index = 0; index < words.length; index += 2) {
    const word = words[index]!.toLowerCase();
    if (word === 'all') return words.length === 1;
    const negated = word.startsWith('!');
    const subject = subjects[negated ? word.slice(1) : word];
    const patterns = words[index + 1];
    if (subject === undefined || patterns === undefined) return false;
    if (matchesHost(patterns.split(','), subject) === negated) return false;
  }
  return words.length > 0;
}

/** Hosts that are named in full, in the order of the file: those a person would list. */
export function namedHosts(lines: readonly ConfigLine[]): string[] {
  const namesIn = ({ keyword, words, included }: ConfigLine): string[] =>
    included ? included.flatMap(namesIn) : keyword === 'host' ? words : [];
  const names = lines.flatMap(namesIn);
  return [...new Set(names.filter((name) => !/[*?!]/.test(name)))];
}

export function valuesFor(host: string, lines: readonly ConfigLine[], localUser = ''): HostValues {
  const values: HostValues = new Map();
  const collect = (some: readonly ConfigLine[]) => {
    let applies = true;
    for (const { keyword, words, included } of some) {
      if (keyword === 'host') applies = matchesHost(words, host);
      else if (keyword === 'match') applies = matchesCriteria(words, host, values, localUser);
      else if (!applies || !words.length) continue;
      else if (included) collect(included);
      else if (keyword === 'identityfile') values.set(keyword, [...(values.get(keyword) ?? []), words.join(' ')]);
      else if (!values.has(keyword)) values.set(keyword, words);
    }
  };
  collect(lines);
  return values;
}
