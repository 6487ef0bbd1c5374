import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matchesHost, namedHosts, parseConfigLines } from '../../../src/installer/fleet/ssh/config-file.ts';
import { userSshConfig } from '../../../src/installer/fleet/ssh/user-config.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import { parseJump } from '../../../src/installer/inventory/ssh-target.ts';
import type { SshLookup } from '../../../src/installer/inventory/types.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kinit-ssh-config-'));
  await mkdir(join(home, '.ssh/more.d'), { recursive: true });
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** What a configuration says; further files are included ones, by their names below ~/.ssh. */
async function lookup(config: string, files: Record<string, string> = {}): Promise<SshLookup> {
  const main = join(home, '.ssh/config');
  await writeFile(main, config);
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, '.ssh', name), text);
  return userSshConfig([main, join(home, 'missing')], { home, user: 'me' });
}

describe("the user's SSH configuration", () => {
  it('says how to reach a host: of each keyword the first value, of IdentityFile all', async () => {
    const of = await lookup(`
# comment
Host cp1 cp?.example
    HostName 10.0.0.1
    User=ops
    Port 2222 # not the usual one
    IdentityFile "~/.ssh/with space"
    UserKnownHostsFile ~/.ssh/known_a %d/known_b
Host * !w9
    User other
    IdentityFile %d/keys/%r@%h
    StrictHostKeyChecking accept-new
    HostKeyAlias same
`);
    expect(of('cp1')).toEqual({
      address: '10.0.0.1',
      user: 'ops',
      port: 2222,
      identityFiles: [`${home}/.ssh/with space`, `${home}/keys/ops@10.0.0.1`],
      knownHosts: [`${home}/.ssh/known_a`, `${home}/known_b`, '/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
      hostKeyAlias: 'same',
      hostKeyChecking: 'accept-new',
    });
    expect(of('cp2.example').address).toBe('10.0.0.1');
    expect(of('w1')).toMatchObject({ user: 'other', identityFiles: [`${home}/keys/other@w1`] });
    expect(of('w9')).toEqual({});
  });

  it.each<[string, string, object]>([
    ['%h in HostName is the alias', 'Host w*\n HostName %h.example', { address: 'w1.example' }],
    ['jumps in their order', 'Host w1\n ProxyJump a@one:23,two', { jump: ['a@one:23', 'two'] }],
    ['ProxyJump none', 'Host w1\n ProxyJump none\nHost *\n ProxyJump b', {}],
    ['no agent', 'IdentityAgent none', { agent: '' }],
    ["another agent's socket", 'IdentityAgent ~/agent.sock', { agent: 'HOME/agent.sock' }],
    [
      'only the named keys',
      'IdentitiesOnly yes\nIdentityFile k',
      { identitiesOnly: true, identityFiles: ['HOME/.ssh/k'] },
    ],
    ['Match host judges HostName', 'Host w1\n HostName 10.1.1.1\nMatch host 10.1.*\n User m', { user: 'm' }],
    ['Match originalhost and localuser', 'Match originalhost w1 localuser me\n User m', { user: 'm' }],
    ['a negated criterion', 'Match !host w1\n User m', {}],
    ['Match all', 'Match all\n User m', { user: 'm' }],
    ['Match exec that succeeds', 'Match originalhost w1 exec "test %h = w1"\n User m', { user: 'm' }],
    ['Match exec that fails', 'Match exec "false"\n User m', {}],
    ['Match final, after all else', 'Match final host *.1.1.1\n User m\nHost w1\n HostName 10.1.1.1', { user: 'm' }],
    [
      'criteria that only ssh can judge',
      'Match localnetwork 10.0.0.0/8\n User m',
      { warnings: ['kinit does not know "Match localnetwork"'] },
    ],
    ['a ProxyCommand', 'Host w1\n ProxyCommand nc -x %d %h %p', { proxyCommand: 'nc -x HOME %h %p' }],
    ['ProxyCommand none', 'Host w1\n ProxyCommand none\nHost *\n ProxyCommand nc %h', {}],
    ['a ProxyJump before a ProxyCommand', 'ProxyJump b\nProxyCommand nc %h', { jump: ['b'] }],
    ['certificates', 'CertificateFile ~/a-cert.pub', { certificateFiles: ['HOME/a-cert.pub'] }],
    [
      'times',
      'ConnectTimeout 7\nServerAliveInterval 1m\nServerAliveCountMax 2',
      { connectTimeoutMs: 7000, aliveIntervalMs: 60_000, aliveCount: 2 },
    ],
    ['StrictHostKeyChecking no', 'StrictHostKeyChecking no', { hostKeyChecking: 'off' }],
    ['StrictHostKeyChecking ask', 'StrictHostKeyChecking ask', { hostKeyChecking: 'strict' }],
    [
      'what it does not follow',
      'BindAddress 10.0.0.1\nVerifyHostKeyDNS no',
      { warnings: [expect.stringContaining('BindAddress 10.0.0.1') as string] },
    ],
    ['settings of other hosts', 'Host w2\n User m', {}],
  ])('reads: %s', async (_, config, expected) => {
    const found: unknown = JSON.parse(JSON.stringify((await lookup(config))('w1')).replaceAll(home, 'HOME'));
    expect(found).toEqual(expect.objectContaining(expected));
    if (Object.keys(expected).length === 0) expect((await lookup(config))('w1')).toEqual({});
  });

  it('includes files, sorted, inside the block that names them', async () => {
    const of = await lookup('Include more.d/*.conf missing\nHost w1\n Include inner\n Port 24\nHost *\n User last', {
      'more.d/2.conf': 'Host w1\n User second\n Port 22',
      'more.d/1.conf': 'Host w1\n User first',
      inner: 'Host *\n HostName 10.2.2.2\n',
    });
    expect(of('w1')).toEqual({ user: 'first', port: 22, address: '10.2.2.2' });
    expect(of('w2')).toEqual({ user: 'last' });
  });

  it('refuses files that include each other', async () => {
    await expect(lookup('Include loop', { loop: 'Include loop' })).rejects.toThrow('include each other');
  });
});

describe('names and patterns', () => {
  it.each<[string, boolean]>([
    ['w1', true],
    ['w10', false],
    ['db.example', true],
    ['old.example', false],
  ])('%s', (name, matches) => expect(matchesHost(['w?', '*.example', '!old.*'], name)).toBe(matches));

  it('lists the hosts that are named in full', () => {
    expect(namedHosts(parseConfigLines('Host a b *.x\nHost !c\nHost a\nHostName z'))).toEqual(['a', 'b']);
  });

  it.each<[string, object]>([
    ['one', { address: 'one' }],
    ['me@one:23', { address: 'one', user: 'me', port: 23 }],
    ['ssh://me@[fd00::1]:23', { address: 'fd00::1', user: 'me', port: 23 }],
    ['fd00::1', { address: 'fd00::1' }],
  ])('takes the jump %s apart', (text, expected) => expect(parseJump(text)).toEqual(expected));
});

describe('an inventory beside an SSH configuration', () => {
  const inventory = (hosts: string) => `apiVersion: kinit.local/v1alpha1\nkind: Inventory\nhosts:\n${hosts}`;

  it('has the last word, and leaves the rest to the configuration', async () => {
    const of = await lookup('Host cp1\n HostName 10.0.0.9\n Port 29\n User ops\n IdentityFile k');
    const text = inventory('- { name: cp1, user: root, roles: [control-plane] }');
    expect(parseInventory(text, '/inv/a.yaml', {}, of).hosts[0]).toMatchObject({
      address: '10.0.0.9',
      port: 29,
      user: 'root',
      sudo: 'none',
      identityFiles: [`${home}/.ssh/k`],
    });
    const named = inventory('- { name: cp1, identityFile: mine, roles: [control-plane] }');
    const [host] = parseInventory(named, '/inv/a.yaml', {}, of).hosts;
    expect(host).toMatchObject({ identityFile: '/inv/mine' });
    expect(host).not.toHaveProperty('identityFiles');
  });

  it('reaches hosts through jumps, each with settings of its own', async () => {
    const of = await lookup('Host cp1\n ProxyJump one,me@two:24\nHost one\n HostName 10.0.0.7\n User j');
    const [host] = parseInventory(inventory('- { name: cp1, roles: [control-plane] }'), '/a.yaml', {}, of).hosts;
    expect(host?.bastion).toMatchObject({ address: 'two', user: 'me', port: 24 });
    expect(host?.bastion?.bastion).toMatchObject({ address: '10.0.0.7', user: 'j', port: 22 });
  });

  it('does not go through a jump for ever that every host is sent through', async () => {
    const of = await lookup('Host *\n ProxyJump gate');
    const [host] = parseInventory(inventory('- { name: cp1, roles: [control-plane] }'), '/a.yaml', {}, of).hosts;
    expect(host?.bastion).toMatchObject({ address: 'gate' });
    expect(host?.bastion?.bastion).toBeUndefined();
  });
});
