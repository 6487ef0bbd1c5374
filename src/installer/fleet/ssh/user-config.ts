/** The user's own SSH configuration: `~/.ssh/config`, then `/etc/ssh/ssh_config`, with what they include. */
import { spawnSync } from 'node:child_process';
import { glob, readFile } from 'node:fs/promises';
import { homedir, hostname, userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { KinitError } from '../../errors.ts';
import type { HostKeyChecking, SshLookup, SshSettings } from '../../inventory/types.ts';
import { type ConfigLine, type HostValues, parseConfigLines, replaceTokens, valuesFor } from './config-file.ts';
import { unfollowed } from './unfollowed.ts';

/** As in OpenSSH. */
const maximumDepth = 16;
const matchTimeoutMs = 10_000;

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
  const succeeds = (command: string) =>
    spawnSync('/bin/sh', ['-c', command], { stdio: 'ignore', timeout: matchTimeoutMs }).status === 0;
  return (address) => {
    const unknown = new Set<string>();
    const context = { localUser: place.user, succeeds, unknown: (criterion: string) => unknown.add(criterion) };
    const settings = settingsOf(address, valuesFor(address, lines, context), place);
    // What the machine's own file says is meant for ssh; what the user has written is meant for this host.
    const own = valuesFor(address, lines.slice(0, 1), context);
    const warnings = [...unfollowed(own), ...[...unknown].map((name) => `kinit does not know "Match ${name}"`)];
    return { ...settings, ...(warnings.length ? { warnings } : {}) };
  };
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
export function settingsOf(alias: string, values: HostValues, { home, user: localUser }: ConfigPlace): SshSettings {
  const first = (keyword: string) => values.get(keyword)?.[0];
  const named = first('hostname');
  const address = named === undefined ? alias : replaceTokens(named, { '%': '%', h: alias });
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
      replaceTokens(text, tokens)
        .replace(/^~(?=\/|$)/, home)
        .replace(/\$\{(\w+)\}/g, (_, name: string) => process.env[name] ?? ''),
    );
  const isNone = (text: string) => text.toLowerCase() === 'none';
  const paths = (keyword: string) =>
    values
      .get(keyword)
      ?.filter((text) => !isNone(text))
      .map(path);
  const identityFiles = paths('identityfile');
  const certificateFiles = paths('certificatefile');
  const knownHosts = knownHostsOf(paths('userknownhostsfile'), paths('globalknownhostsfile'), home);
  const agent = first('identityagent');
  const identitiesOnly = first('identitiesonly')?.toLowerCase() === 'yes' && identityFiles?.length;
  const jump = values.get('proxyjump')?.join(' ');
  const command = values.get('proxycommand')?.join(' ');
  const hostKeyAlias = first('hostkeyalias');
  return {
    ...(named === undefined ? {} : { address }),
    ...(Number.isInteger(port) ? { port } : {}),
    ...(user === undefined ? {} : { user }),
    ...(identityFiles ? { identityFiles } : {}),
    ...(certificateFiles?.length ? { certificateFiles } : {}),
    ...(identitiesOnly ? { identitiesOnly: true } : {}),
    ...agentOf(agent, path),
    ...(knownHosts?.length ? { knownHosts } : {}),
    ...(hostKeyAlias === undefined ? {} : { hostKeyAlias }),
    ...checkingOf(first('stricthostkeychecking')),
    ...timesOf(first),
    ...(command && !isNone(command)
      ? { proxyCommand: replaceTokens(command, { d: home, u: localUser, l: hostname(), k: tokens.k }) }
      : {}),
    ...(jump && !isNone(jump) ? { jump: jump.split(',').map((hop) => replaceTokens(hop.trim(), tokens)) } : {}),
  };
}

function agentOf(given: string | undefined, path: (text: string) => string): { agent?: string } {
  if (given === undefined || given === 'SSH_AUTH_SOCK') return {};
  if (given.toLowerCase() === 'none') return { agent: '' };
  return { agent: given.startsWith('$') ? (process.env[given.replace(/^\$\{?|\}$/g, '')] ?? '') : path(given) };
}

const globalKnownHosts = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

/** Undefined when nothing is said of them. */
function knownHostsOf(user: string[] | undefined, machine: string[] | undefined, home: string): string[] | undefined {
  if (!user && !machine) return undefined;
  return [...(user ?? [`${home}/.ssh/known_hosts`, `${home}/.ssh/known_hosts2`]), ...(machine ?? globalKnownHosts)];
}

const checkings: Record<string, HostKeyChecking> = {
  yes: 'strict',
  // There is nobody to ask: many hosts are reached at once.
  ask: 'strict',
  'accept-new': 'accept-new',
  no: 'off',
  off: 'off',
};

function checkingOf(given: string | undefined): { hostKeyChecking?: HostKeyChecking } {
  const found = given === undefined ? undefined : checkings[given.toLowerCase()];
  return found ? { hostKeyChecking: found } : {};
}

/** `30`, `30s`, `5m`, `1h`; undefined for `none` and what is not understood. */
function millisecondsOf(text: string | undefined): number | undefined {
  const [, amount, unit = 's'] = /^(\d+)([smh]?)$/i.exec(text ?? '') ?? [];
  if (amount === undefined) return undefined;
  const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };
  return Number(amount) * (units[unit.toLowerCase() || 's'] ?? 1000);
}

function timesOf(
  first: (keyword: string) => string | undefined,
): Pick<SshSettings, 'connectTimeoutMs' | 'aliveIntervalMs' | 'aliveCount'> {
  const connectTimeoutMs = millisecondsOf(first('connecttimeout'));
  const aliveIntervalMs = millisecondsOf(first('serveraliveinterval'));
  const count = Number(first('serveralivecountmax') ?? Number.NaN);
  return {
    ...(connectTimeoutMs ? { connectTimeoutMs } : {}),
    ...(aliveIntervalMs === undefined ? {} : { aliveIntervalMs }),
    ...(Number.isInteger(count) ? { aliveCount: count } : {}),
  };
}
