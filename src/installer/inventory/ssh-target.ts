/** How to log in to a machine: the inventory's words first, then the user's SSH configuration, then what is usual. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { HostDocument } from './schema.ts';
import type { HostKeyChecking, SshLookup, SshTarget } from './types.ts';

export type Login = Pick<
  HostDocument,
  | 'user'
  | 'port'
  | 'identityFile'
  | 'passphraseFromEnv'
  | 'passwordFromEnv'
  | 'hostKeys'
  | 'knownHosts'
  | 'acceptHostKeys'
  | 'certificateFile'
  | 'hostKeyChecking'
  | 'proxyCommand'
>;

export const listOf = (value: string | string[] | undefined): string[] => (value === undefined ? [] : [value].flat());

/** Paths are relative to the inventory's folder; `~` is the user's home. */
const pathIn = (folder: string, path: string): string =>
  resolve(folder, path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path);

/**
 * @param given the address in the inventory, which may be an alias of the SSH configuration
 * @param seen jumps on the way to which this one belongs: a configuration may send a host through itself
 */
export function targetOf(
  given: string,
  login: Login,
  folder: string,
  ssh: SshLookup,
  seen: readonly string[] = [],
): SshTarget {
  const { passphraseFromEnv, passwordFromEnv } = login;
  const found = ssh(given);
  const identityFile = login.identityFile && pathIn(folder, login.identityFile);
  const ownKnownHosts = listOf(login.knownHosts).map((path) => pathIn(folder, path));
  const usualKnownHosts = [`${homedir()}/.ssh/known_hosts`, '/etc/ssh/ssh_known_hosts'];
  const bastion = jumpOf(found.jump ?? [], folder, ssh, [...seen, given]);
  const address = found.address ?? given;
  const port = login.port ?? found.port ?? 22;
  const user = login.user ?? found.user ?? 'root';
  const ownCertificates = listOf(login.certificateFile).map((path) => pathIn(folder, path));
  const certificateFiles = ownCertificates.length ? ownCertificates : (found.certificateFiles ?? []);
  const proxyCommand = login.proxyCommand ?? found.proxyCommand;
  return {
    address,
    port,
    user,
    ...(identityFile ? { identityFile } : {}),
    ...(!identityFile && found.identityFiles ? { identityFiles: found.identityFiles } : {}),
    ...(certificateFiles.length ? { certificateFiles } : {}),
    ...(found.identitiesOnly ? { identitiesOnly: true } : {}),
    ...(found.agent === undefined ? {} : { agent: found.agent }),
    ...(passphraseFromEnv ? { passphraseFromEnv } : {}),
    ...(passwordFromEnv ? { passwordFromEnv } : {}),
    hostKeys: listOf(login.hostKeys),
    knownHosts: ownKnownHosts.length ? ownKnownHosts : (found.knownHosts ?? usualKnownHosts),
    ...(found.hostKeyAlias ? { hostKeyAlias: found.hostKeyAlias } : {}),
    hostKeyChecking: checkingOf(login) ?? found.hostKeyChecking ?? 'strict',
    ...(found.connectTimeoutMs === undefined ? {} : { connectTimeoutMs: found.connectTimeoutMs }),
    ...(found.aliveIntervalMs === undefined ? {} : { aliveIntervalMs: found.aliveIntervalMs }),
    ...(found.aliveCount === undefined ? {} : { aliveCount: found.aliveCount }),
    ...(proxyCommand ? { proxyCommand: commandFor(proxyCommand, { address, port, user, given }) } : {}),
    ...(found.warnings ? { warnings: found.warnings } : {}),
    ...(bastion ? { bastion } : {}),
  };
}

function checkingOf({ hostKeyChecking, acceptHostKeys }: Login): HostKeyChecking | undefined {
  if (hostKeyChecking || acceptHostKeys === undefined) return hostKeyChecking;
  return acceptHostKeys ? 'accept-new' : 'strict';
}

/** `%h` the address, `%p` the port, `%r` the user there, `%n` the name that was given. */
function commandFor(
  command: string,
  { address, port, user, given }: { address: string; port: number; user: string; given: string },
): string {
  const tokens: Record<string, string> = { '%': '%', h: address, p: String(port), r: user, n: given };
  return command.replace(/%(.)/g, (all, letter: string) => tokens[letter] ?? all);
}

/** The last jump is the one that reaches the host; each is reached through those before it. */
function jumpOf(
  jumps: readonly string[],
  folder: string,
  ssh: SshLookup,
  seen: readonly string[],
): SshTarget | undefined {
  const last = jumps.at(-1);
  if (last === undefined) return undefined;
  const { address, ...login } = parseJump(last);
  if (seen.includes(address)) return undefined;
  const { bastion, ...target } = targetOf(address, login, folder, ssh, seen);
  const through = jumps.length > 1 ? jumpOf(jumps.slice(0, -1), folder, ssh, seen) : bastion;
  return { ...target, ...(through ? { bastion: through } : {}) };
}

/** `[user@]host[:port]` and `ssh://[user@]host[:port]`; an IPv6 address with a port stands in brackets. */
export function parseJump(text: string): { address: string; user?: string; port?: number } {
  const rest = text.replace(/^ssh:\/\//, '');
  const at = rest.lastIndexOf('@');
  const place = rest.slice(at + 1);
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(place) ?? [];
  return {
    address: bracketed ?? plain ?? place,
    ...(at > 0 ? { user: rest.slice(0, at) } : {}),
    ...(port ? { port: Number(port) } : {}),
  };
}
