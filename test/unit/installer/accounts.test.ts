/** System users and groups of a host: made, used when they are there, refused when they do not fit, and removed again. */
import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ensureSystemAccounts } from '../../../src/installer/host/accounts.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { dryRunHost } from '../../../src/installer/host/dry-run.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { undoAll } from '../../../src/installer/host/undo.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

const root0 = 'root:x:0:0:root:/root:/bin/sh\n';
const users = [
  { name: 'one', comment: 'first', groups: ['both'] },
  { name: 'two', comment: 'second', groups: [] },
];

/** A host whose account tools do to the files what the real ones do; `ldap` is listed by the name service alone. */
function accountHost(passwd = root0, group = 'root:x:0:\n', tools = true) {
  const root = scratchRoot({ '/etc/passwd': passwd, '/etc/group': group, '/etc/login.defs': 'SYS_UID_MIN 201\n' });
  roots.push(root);
  const calls: string[] = [];
  const at = (file: string) => join(root, 'etc', file);
  const drop = (file: string, name: string) =>
    writeFileSync(at(file), readFileSync(at(file), 'utf8').replace(new RegExp(`^${name}:.*\n`, 'm'), ''));
  const host = scratchHost(root, (command, args) => {
    const name = args.at(-1)!;
    const value = (flag: string) => args[args.indexOf(flag) + 1]!;
    if (command === 'getent') return { stdout: args[0] === 'passwd' ? 'ldap:*:998:100::/:/bin/sh\n' : '' };
    if (!tools) return { exitCode: 127 };
    calls.push(`${command} ${name}`);
    if (command === 'groupadd') appendFileSync(at('group'), `${name}:x:${value('--gid')}:\n`);
    if (command === 'useradd') {
      appendFileSync(at('passwd'), `${name}:x:${value('--uid')}:${value('--uid')}:::\n`);
      appendFileSync(at('group'), `${name}:x:${value('--uid')}:\n`);
    }
    if (command === 'userdel') for (const file of ['passwd', 'group']) drop(file, name);
    if (command === 'groupdel') drop('group', name);
    return {};
  });
  return { host, calls, at, text: () => readFileSync(at('passwd'), 'utf8') + readFileSync(at('group'), 'utf8') };
}

describe('system accounts', () => {
  it('get numbers that nobody has, once, and go away with the journal', async () => {
    const { host, calls, text } = accountHost();
    const before = text();
    const changes = createChanges(host, await openJournal(host));
    const made = await ensureSystemAccounts(changes, users, ['both']);
    expect([made.changed, made.groups.get('both')?.id, made.users.get('one'), made.users.get('two')?.id]).toEqual([
      true,
      999,
      { name: 'one', id: 997, gid: 997 },
      996,
    ]);
    const again = await ensureSystemAccounts(changes, users, ['both']);
    expect([again.changed, again.users]).toEqual([false, made.users]);
    expect(calls).toEqual(['groupadd both', 'useradd one', 'useradd two']);
    expect((await undoAll(host, (await openJournal(host)).entries)).problems).toEqual([]);
    expect(text()).toBe(before);
  });

  it('that a killed tool has left in one file, its drafts and its lock go; what was there before stays', async () => {
    const { host, at, text } = accountHost();
    const shadow = 'root:*:19000:0:99999:7:::\n';
    writeFileSync(at('shadow'), shadow, { mode: 0o640 });
    // Of somebody else's tool, killed long ago.
    writeFileSync(at('passwd.77'), 'old');
    const before = text();
    await ensureSystemAccounts(createChanges(host, await openJournal(host)), users, ['both']);
    // userdel was killed after the first file that it wrote.
    writeFileSync(at('passwd'), root0);
    appendFileSync(at('shadow'), 'one:!:19000::::::\n');
    writeFileSync(at('shadow.4194999'), 'draft');
    writeFileSync(at('shadow+'), 'draft');
    writeFileSync(at('shadow.lock'), '4194999\0');
    expect((await undoAll(host, (await openJournal(host)).entries)).problems).toEqual([]);
    expect(text()).toBe(before);
    expect(readFileSync(at('shadow'), 'utf8')).toBe(shadow);
    expect(statSync(at('shadow')).mode & 0o777).toBe(0o640);
    expect(readdirSync(at('')).sort()).toEqual(['group', 'login.defs', 'passwd', 'passwd.77', 'shadow']);
  });

  it('that are there are used, and stay', async () => {
    const { host, calls, text } = accountHost(`${root0}one:x:300:301:::\n`, 'root:x:0:\nboth:x:299:\none:x:301:\n');
    const changes = createChanges(host, await openJournal(host));
    const { users: found, groups } = await ensureSystemAccounts(changes, users, ['both']);
    expect([found.get('one'), groups.get('both')?.id]).toEqual([{ name: 'one', id: 300, gid: 301 }, 299]);
    await undoAll(host, (await openJournal(host)).entries);
    expect(calls).toEqual(['useradd two', 'userdel two']);
    expect(text()).toContain('one:x:300:301');
  });

  it.each([
    [
      'a person of that name',
      accountHost.bind(undefined, `${root0}two:x:1500:1500:::\n`),
      'the user two exists and is no system user',
    ],
    [
      'root under another name',
      accountHost.bind(undefined, `${root0}two:x:0:0:::\n`),
      'the user two exists and is no system user',
    ],
    ['a host without tools', accountHost.bind(undefined, root0, '', false), 'groupadd is not installed on this host'],
  ])('are refused for %s', async (_, make, message) => {
    const { host, text } = make();
    const before = text();
    const changes = createChanges(host, await openJournal(host));
    await expect(ensureSystemAccounts(changes, users, ['both'])).rejects.toThrow(message);
    expect(text()).toBe(before);
  });

  it('of a dry run have the numbers that they would get', async () => {
    const { host, calls } = accountHost();
    const dry = dryRunHost(host);
    const { users: found } = await ensureSystemAccounts(createChanges(dry, await openJournal(dry)), users, ['both']);
    expect(found.get('two')?.id).toBe(996);
    expect(calls).toEqual([]);
    expect(dry.planned.map(({ what }) => what.replace(/ .* /, ' … '))).toEqual([
      'groupadd … both',
      'useradd … one',
      'useradd … two',
    ]);
  });
});
