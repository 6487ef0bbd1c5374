/** System users and groups of the host, as its own files have them; made with its own tools, and recorded. */
import { KinitError } from '../errors.ts';
import { noteLeftovers, removeLeftovers, removeShadow } from './account-leftovers.ts';
import type { Changes } from './changes.ts';
import { type Host, readText } from './host.ts';

export interface Account {
  name: string;
  id: number;
  /** Of a user: its first group. */
  gid: number;
}

export interface AccountFiles {
  users: Account[];
  groups: Account[];
}

export interface WantedUser {
  name: string;
  comment: string;
  /** Beside the group of its own name. */
  groups: readonly string[];
}

/** Lines of passwd(5) or group(5); others are left out. */
export function parseAccounts(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name, , id, gid] = line.split(':');
    return name && /^\d+$/.test(id ?? '') ? [{ name, id: Number(id), gid: Number(gid) }] : [];
  });
}

export async function readAccounts(host: Host): Promise<AccountFiles> {
  const [users, groups] = await Promise.all(['/etc/passwd', '/etc/group'].map((path) => readText(host, path)));
  return { users: parseAccounts(users ?? ''), groups: parseAccounts(groups ?? '') };
}

export interface IdRange {
  min: number;
  max: number;
}

/** Numbers of system accounts, as login.defs(5) has them. */
export function systemRange(loginDefs: string): IdRange {
  const number = (name: string) => {
    const found = new RegExp(`^\\s*${name}\\s+(\\d+)`, 'm').exec(loginDefs)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  return { min: number('SYS_UID_MIN') ?? 101, max: number('SYS_UID_MAX') ?? (number('UID_MIN') ?? 1000) - 1 };
}

/** The highest numbers that are neither a user's nor a group's, as useradd takes them. */
export function freeIds(count: number, { min, max }: IdRange, taken: ReadonlySet<number>): number[] {
  const free: number[] = [];
  for (let id = max; id >= min && free.length < count; id--) if (!taken.has(id)) free.push(id);
  return free;
}

/** Also those of a directory service, as far as it lists them. */
async function takenIds(host: Host, { users, groups }: AccountFiles): Promise<Set<number>> {
  const listed = await Promise.all(
    ['passwd', 'group'].map(async (database) => (await host.run('getent', [database], { observe: true })).stdout),
  );
  const all = [...users, ...groups, ...listed.flatMap(parseAccounts)];
  return new Set(all.map(({ id }) => id));
}

/** Why accounts cannot be made or used on this host. */
export class AccountProblem extends KinitError {}

function assertUsable(kind: 'user' | 'group', { name, id }: Account, { min, max }: IdRange): void {
  if (id >= min && id <= max) return;
  throw new AccountProblem('Preflight', `the ${kind} ${name} exists and is no system ${kind}`, {
    seen: `its number is ${id}, those of system ${kind}s are ${min} to ${max} (/etc/login.defs)`,
    advice: `rename or remove it, or give it a number between ${min} and ${max}`,
  });
}

/**
 * Users of the system with a group of their own each, and groups that several share; those that are there are used as they are.
 * @returns by name; of a dry run with the numbers that they would get
 * @throws AccountProblem when one that is there does not fit, or the host has no tools for it
 */
export async function ensureSystemAccounts(
  changes: Changes,
  users: readonly WantedUser[],
  groups: readonly string[],
): Promise<{ users: Map<string, Account>; groups: Map<string, Account>; changed: boolean }> {
  const { host, journal } = changes;
  await removeLeftovers(host, journal.entries);
  const present = await readAccounts(host);
  const find = (accounts: Account[], name: string) => accounts.find((account) => account.name === name);
  const range = systemRange((await readText(host, '/etc/login.defs')) ?? '');
  const missingGroups = groups.filter((name) => !find(present.groups, name));
  const missingUsers = users.filter(({ name }) => !find(present.users, name));
  for (const name of groups) {
    const group = find(present.groups, name);
    if (group) assertUsable('group', group, range);
  }
  for (const { name } of users) {
    const user = find(present.users, name);
    if (user) assertUsable('user', user, range);
  }
  const count = missingGroups.length + missingUsers.length;
  const ids = count ? freeIds(count, range, await takenIds(host, present)) : [];
  if (ids.length < count)
    throw new AccountProblem('Preflight', `there are no ${count} free numbers for system users`, {
      seen: `${range.min} to ${range.max} (/etc/login.defs)`,
      advice: 'widen the range, or remove system users that are not needed',
    });
  const made: AccountFiles = { users: [], groups: [] };
  const run = async (tool: string, args: string[]) => {
    const { exitCode, stderr } = await host.run(tool, args);
    if (exitCode === 0) return;
    if (exitCode === 127)
      throw new AccountProblem('Preflight', `${tool} is not installed on this host`, { advice: 'install it' });
    throw new KinitError('Command', `\`${tool} ${args.at(-1)}\` failed`, {
      seen: [`exit code ${exitCode}`, stderr.trim()].filter(Boolean).join('\n'),
      advice: 'when another program has locked /etc/passwd, run the command again',
    });
  };
  if (count) await noteLeftovers(host, journal);
  for (const name of missingGroups) {
    const id = ids.shift()!;
    await journal.record({ kind: 'group', name });
    await run('groupadd', ['--system', '--gid', String(id), name]);
    made.groups.push({ name, id, gid: id });
  }
  for (const { name, comment, groups: others } of missingUsers) {
    const id = ids.shift()!;
    const own = find(present.groups, name);
    // userdel removes both, unless it is killed in between.
    if (!own) await journal.record({ kind: 'group', name });
    await journal.record({ kind: 'user', name });
    const membership = others.length ? ['--groups', others.join(',')] : [];
    const group = own ? ['--gid', name] : ['--user-group'];
    const nobody = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/bin/false', '--no-log-init'];
    const known = ['--system', '--uid', String(id), ...group, ...membership];
    await run('useradd', [...known, ...nobody, '--comment', comment, name]);
    made.users.push({ name, id, gid: own?.id ?? id });
  }
  const now = host.dryRun
    ? { users: [...present.users, ...made.users], groups: [...present.groups, ...made.groups] }
    : await readAccounts(host);
  return {
    users: chosen(
      now.users,
      users.map(({ name }) => name),
      '/etc/passwd',
    ),
    groups: chosen(now.groups, groups, '/etc/group'),
    changed: count > 0,
  };
}

function chosen(accounts: readonly Account[], names: readonly string[], path: string): Map<string, Account> {
  const found = new Map(accounts.filter(({ name }) => names.includes(name)).map((account) => [account.name, account]));
  const missing = names.filter((name) => !found.has(name));
  if (missing.length) throw new AccountProblem('Command', `${path} has no ${missing.join(', ')} after they were added`);
  return found;
}

/** Removes an account that kinit has made; one that is gone already is fine. @returns why it stays */
export async function removeAccount(host: Host, kind: 'user' | 'group', name: string): Promise<string | undefined> {
  const accounts = await readAccounts(host);
  if (!accounts[kind === 'user' ? 'users' : 'groups'].some((account) => account.name === name)) {
    await removeShadow(host, kind, name);
    return undefined;
  }
  const { exitCode, stderr } = await host.run(kind === 'user' ? 'userdel' : 'groupdel', [name]);
  return exitCode === 0 ? undefined : stderr.trim() || `exit code ${exitCode}`;
}
