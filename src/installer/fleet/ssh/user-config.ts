/** The user's own SSH configuration: `~/.ssh/config`, then `/etc/ssh/ssh_config`, with what they include. */
import { glob, readFile } from 'node:fs/promises';
import { homedir, hostname, userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { KinitError } from '../../errors.ts';
import type { SshLookup, SshSettings } from '../../inventory/types.ts';
import { type ConfigLine, type HostValues, parseConfigLines, valuesFor } from './config-file.ts';

/** As in OpenSSH. */
const maximumDepth = 16;

export interface ConfigPlace {
  home: string;
  user: string;
}

const ownPlace = (): ConfigPlace => ({ home: homedir(), user: userInfo().username });

/** Both files as one lookup. Files that are not there say nothing. */
export async function userSshConfig(
  files: readonly string[] = [`${homedir()}/.ssh/config`, '/etc/ssh/ssh_config'],
  place: ConfigPlace = ownPlace(),
): Promise<SshLookup> {
  // A file begins outside of every block of the file before it: each stands by itself, as if included.
  const lines = await Promise.all(
    files.map(async (file) => ({ keyword: 'include', words: [file], included: await readLines(file, place.home) })),
  );
  return (address) => settingsOf(address, valuesFor(address, lines, place.user), place);
}

async function readLines(file: string, home: string, depth = 0): Promise<ConfigLine[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw new KinitError('Validation', `cannot read the SSH configuration ${file}: ${error.code}`);
  });
  const lines: ConfigLine[] = [];
  for (const line of parseConfigLines(text)) {
    lines.push(line);
    if (line.keyword !== 'include') continue;
    if (depth >= maximumDepth) throw new KinitError('Validation', `${file}: SSH configurations include each other`);
    line.included = [];
    for (const pattern of line.words) {
      const below = file.startsWith('/etc/') ? dirname(file) : `${home}/.ssh`;
      const found: string[] = [];
      for await (const name of glob(resolve(below, pattern.replace(/^~(?=\/)/, home)))) found.push(name);
      for (const name of found.sort()) line.included.push(...(await includedLines(name, home, depth + 1)));
    }
  }
  return lines;
}

/** A block of one file ends with it. */
async function includedLines(file: string, home: string, depth: number): Promise<ConfigLine[]> {
  return [{ keyword: 'include', words: [file], included: await readLines(file, home, depth) }];
}

/** `%h` the host's name or alias, `%n` the alias, `%d` home, `%u` the local user, `%r` the remote one, `%p` the port, `%l` this machine. */
function expandTokens(text: string, tokens: Record<string, string>): string {
  return text.replace(/%(.)/g, (all, letter: string) => tokens[letter] ?? all);
}

export function settingsOf(alias: string, values: HostValues, { home, user: localUser }: ConfigPlace): SshSettings {
  const first = (keyword: string) => values.get(keyword)?.[0];
  const named = first('hostname');
  const address = named === undefined ? alias : expandTokens(named, { '%': '%', h: alias });
  const user = first('user');
  const port = Number(first('port') ?? Number.NaN);
  const tokens = {
    '%': '%',
    h: address,
    n: alias,
    d: home,
    u: localUser,
    r: user ?? localUser,
    p: String(Number.isInteger(port) ? port : 22),
    l: hostname(),
    k: first('hostkeyalias') ?? alias,
  };
  const path = (text: string) =>
    resolve(
      `${home}/.ssh`,
      expandTokens(text, tokens)
        .replace(/^~(?=\/|$)/, home)
        .replace(/\$\{(\w+)\}/g, (_, name: string) => process.env[name] ?? ''),
    );
  const isNone = (text: string) => text.toLowerCase() === 'none';
  const identityFiles = values
    .get('identityfile')
    ?.filter((text) => !isNone(text))
    .map(path);
  const knownHosts = values
    .get('userknownhostsfile')
    ?.filter((text) => !isNone(text))
    .map(path);
  const agent = first('identityagent');
  const identitiesOnly = first('identitiesonly')?.toLowerCase() === 'yes' && identityFiles?.length;
  const strict = first('stricthostkeychecking')?.toLowerCase();
  const jump = values.get('proxyjump')?.join(' ');
  const hostKeyAlias = first('hostkeyalias');
  return {
    ...(named === undefined ? {} : { address }),
    ...(Number.isInteger(port) ? { port } : {}),
    ...(user === undefined ? {} : { user }),
    ...(identityFiles ? { identityFiles } : {}),
    ...(identitiesOnly ? { identitiesOnly: true } : {}),
    ...agentOf(agent, path),
    ...(knownHosts?.length ? { knownHosts } : {}),
    ...(hostKeyAlias === undefined ? {} : { hostKeyAlias }),
    ...(strict === 'no' || strict === 'off' || strict === 'accept-new' ? { acceptHostKeys: true } : {}),
    ...(jump && !isNone(jump) ? { jump: jump.split(',').map((hop) => expandTokens(hop.trim(), tokens)) } : {}),
  };
}

function agentOf(given: string | undefined, path: (text: string) => string): { agent?: string } {
  if (given === undefined || given === 'SSH_AUTH_SOCK') return {};
  if (given.toLowerCase() === 'none') return { agent: '' };
  return { agent: given.startsWith('$') ? (process.env[given.replace(/^\$\{?|\}$/g, '')] ?? '') : path(given) };
}
