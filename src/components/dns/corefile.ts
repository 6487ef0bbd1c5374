/** Reads a Corefile: server blocks, each with plugins, each with arguments and a block of properties. */

export interface Directive {
  name: string;
  args: string[];
  properties: { name: string; args: string[] }[];
  line: number;
}

export interface ServerBlock {
  /** Zones as written, without port: `.`, `example.org.` */
  zones: string[];
  port: number;
  directives: Directive[];
}

/** Plugins that the server knows, in the order in which they see a query, whatever their order in the file. */
export const pluginOrder = [
  'reload',
  'errors',
  'log',
  'health',
  'ready',
  'prometheus',
  'loop',
  'loadbalance',
  'cache',
  'hosts',
  'kubernetes',
  'forward',
] as const;
export type PluginName = (typeof pluginOrder)[number];

/** Throws an error with file and line for what it cannot read and for plugins that do not exist. */
export function parseCorefile(text: string, file = 'Corefile'): ServerBlock[] {
  const lines = text.split('\n').map((line, index) => ({ words: wordsOf(line), number: index + 1 }));
  const blocks: ServerBlock[] = [];
  let block: ServerBlock | undefined;
  let directive: Directive | undefined;
  const fail = (number: number, what: string): never => {
    throw new Error(`${file}:${number}: ${what}`);
  };
  for (const { words, number } of lines) {
    if (!words.length) continue;
    const opens = words.at(-1) === '{';
    const content = opens ? words.slice(0, -1) : words;
    if (words[0] === '}') {
      if (directive) directive = undefined;
      else if (block) block = undefined;
      else fail(number, 'unexpected "}"');
    } else if (!block) {
      if (!opens) fail(number, `expected "{" after ${words.join(' ')}`);
      block = { ...addressOf(content, (what) => fail(number, what)), directives: [] };
      blocks.push(block);
    } else if (directive) {
      directive.properties.push({ name: content[0] as string, args: content.slice(1) });
    } else {
      const [name, ...args] = content as [string, ...string[]];
      if (!(pluginOrder as readonly string[]).includes(name)) {
        fail(number, `unknown plugin "${name}"; known: ${[...pluginOrder].sort().join(', ')}`);
      }
      const added: Directive = { name, args, properties: [], line: number };
      block.directives.push(added);
      if (opens) directive = added;
    }
  }
  if (block) fail(lines.length, 'the last block is not closed with "}"');
  if (!blocks.length) fail(1, 'no server block');
  return blocks;
}

function wordsOf(line: string): string[] {
  const words = line.match(/"[^"]*"|\S+/g) ?? [];
  const end = words.findIndex((word) => word.startsWith('#'));
  return (end < 0 ? words : words.slice(0, end)).map((word) => word.replace(/^"(.*)"$/, '$1'));
}

function addressOf(words: string[], fail: (what: string) => never): { zones: string[]; port: number } {
  let port = 53;
  const zones = words.map((word) => {
    const match = /^(?:dns:\/\/)?(.*?)(?::(\d+))?,?$/.exec(word);
    if (!match?.[1]) return fail(`"${word}" is not a zone`);
    if (match[2]) port = Number(match[2]);
    return absolute(match[1]);
  });
  return { zones, port };
}

/** Lower case with a final dot. */
export function absolute(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower : `${lower}.`;
}

/** Seconds of a Go duration such as `5s` or `1m`, or of a plain number. */
export function seconds(text: string | undefined, fallback: number): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text ?? '');
  if (!match) return fallback;
  const unit = { ms: 0.001, s: 1, m: 60, h: 3600 }[match[2] ?? 's'] ?? 1;
  return Number(match[1]) * unit;
}
