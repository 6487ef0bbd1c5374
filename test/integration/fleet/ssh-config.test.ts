/** Real hosts reached as an SSH configuration says: aliases, jumps, locked keys, agents. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sshTransport } from '../../../src/installer/fleet/ssh/connect.ts';
import { userSshConfig } from '../../../src/installer/fleet/ssh/user-config.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import { createLab, type Lab } from '../../lab/lab.ts';

let home: string;
let lab: Lab;
let agent: ChildProcess | undefined;
const passphrase = 'open sesame';

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kinit-ssh-'));
  await mkdir(join(home, '.ssh'), { mode: 0o700 });
  lab = await createLab({
    name: 'ssh-config-test',
    hosts: [
      { name: 'a', flavour: 'debian' },
      { name: 'b', flavour: 'debian' },
    ],
  });
  const locked = join(home, '.ssh/locked');
  await copyFile(lab.sshKeyPath, locked);
  await execa('ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-f', locked]);
});

afterAll(async () => {
  if (agent && agent.exitCode === null) {
    agent.kill();
    await once(agent, 'exit');
  }
  await lab?.down();
  await rm(home, { recursive: true, force: true });
});

/** What a command says on the host `a`, which the inventory knows by the alias `target` only. */
async function onTarget(config: string, host: object = {}, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const file = join(home, '.ssh/config');
  await writeFile(file, `${config}\nHost *\n User root\n UserKnownHostsFile ${lab.knownHosts}\n`);
  const document = {
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    hosts: [{ name: 'a', address: 'target', roles: ['control-plane'], ...host }],
  };
  const ssh = await userSshConfig([file], { home, user: 'me' });
  const [target] = parseInventory(JSON.stringify(document), join(home, 'inventory.yaml'), {}, ssh).hosts;
  const transport = await sshTransport(target!, AbortSignal.timeout(30_000), env);
  try {
    return (await transport.exec('uname -n; echo $SSH_CONNECTION')).stdout;
  } finally {
    transport.close();
  }
}
const alias = () => `Host target\n HostName ${lab.host('a').ip}`;
const key = () => ` IdentityFile ${lab.sshKeyPath}`;
/** The first words of SSH_CONNECTION: who connected. */
const from = (ip: string) => new RegExp(`^a\n${ip.replaceAll('.', '\\.')} `);

describe('an SSH configuration', () => {
  it('says address, user and key of an alias', async () => {
    expect(await onTarget(`${alias()}\n${key()}`)).toMatch(/^a\n/);
  });

  it('sends the connection through another host, which is an alias itself', async () => {
    const b = lab.host('b').ip;
    const config = `${alias()}\n${key()}\n ProxyJump gate\nHost gate\n HostName ${b}\n${key()}`;
    expect(await onTarget(config)).toMatch(from(b));
  });

  it('goes through several hosts in their order', async () => {
    const { ip: a } = lab.host('a');
    const b = lab.host('b').ip;
    const config = `${alias()}\n${key()}\n ProxyJump ${a},gate\nHost ${a} gate\n${key()}\nHost gate\n HostName ${b}`;
    expect(await onTarget(config)).toMatch(from(b));
  });
});

describe('a key with a passphrase', () => {
  it('is opened by the one in the environment', async () => {
    const host = { identityFile: '.ssh/locked', passphraseFromEnv: 'PHRASE' };
    expect(await onTarget(alias(), host, { PHRASE: passphrase })).toMatch(/^a\n/);
    await expect(onTarget(alias(), host, { PHRASE: 'wrong' })).rejects.toMatchObject({ code: 'Authentication' });
  });

  it('is not usable by itself, and kinit says what helps', async () => {
    await expect(onTarget(alias(), { identityFile: '.ssh/locked' })).rejects.toMatchObject({
      code: 'Authentication',
      message: `the key ${home}/.ssh/locked is locked with a passphrase`,
      details: { host: 'a', advice: expect.stringContaining('ssh-add') as string },
    });
  });

  it('may be unlocked in an agent, that of the environment or that of the configuration', async () => {
    const socket = join(home, 'agent.sock');
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(agent.stdout!, 'data');
    await execa('ssh-add', ['-q', lab.sshKeyPath], { env: { SSH_AUTH_SOCK: socket } });
    const host = { identityFile: '.ssh/locked' };
    expect(await onTarget(alias(), host, { SSH_AUTH_SOCK: socket })).toMatch(/^a\n/);
    expect(await onTarget(`${alias()}\n IdentityAgent ${socket}`)).toMatch(/^a\n/);
    const only = `${alias()}\n IdentityFile ~/.ssh/locked\n IdentitiesOnly yes`;
    expect(await onTarget(only, {}, { SSH_AUTH_SOCK: socket })).toMatch(/^a\n/);
    await expect(
      onTarget(`${alias()}\n IdentityAgent none\n IdentityFile ~/.ssh/none`, {}, { SSH_AUTH_SOCK: socket }),
    ).rejects.toMatchObject({ message: 'there is no key to log in with' });
  });
});
