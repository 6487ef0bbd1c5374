/** A real sshd that takes certificates of users and shows certificates of its own; known hosts and their policies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sshTransport } from '../../../src/installer/fleet/ssh/connect.ts';
import { askPassphrases } from '../../../src/installer/fleet/ssh/passphrases.ts';
import { userSshConfig } from '../../../src/installer/fleet/ssh/user-config.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import type { InventoryHost } from '../../../src/installer/inventory/types.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';

let folder: string;
let lab: Lab;
let host: LabHost;
let agent: ChildProcess | undefined;
const at = (name: string) => join(folder, name);
const keygen = (...words: string[]) => execa('ssh-keygen', ['-q', ...words]);
const keyTypes = ['ed25519', 'ecdsa', 'rsa'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-certificates-'));
  lab = await createLab({ name: 'ssh-certificates-test', hosts: [{ name: 'a', flavour: 'debian' }] });
  host = lab.host('a');
  await keygen('-t', 'ed25519', '-N', '', '-f', at('user-ca'));
  await keygen('-t', 'ecdsa', '-N', '', '-f', at('host-ca'));
  for (const type of keyTypes) {
    await keygen('-t', type, '-N', '', '-f', at(type));
    await keygen('-s', at('user-ca'), '-I', `me-${type}`, '-n', 'root', '-V', '-1h:+1h', at(`${type}.pub`));
  }
  const userAuthority = (await readFile(at('user-ca.pub'), 'utf8')).trim();
  await host.must(`ssh-keygen -A; echo '${userAuthority}' > /etc/ssh/user-ca.pub`);
  await configure();
});

afterAll(async () => {
  if (agent && agent.exitCode === null) {
    agent.kill();
    await once(agent, 'exit');
  }
  await lab?.down();
  await rm(folder, { recursive: true, force: true });
});

/** Gives sshd this configuration, and waits until it has it. */
async function configure(...lines: string[]): Promise<void> {
  const text = ['TrustedUserCAKeys /etc/ssh/user-ca.pub', ...lines].join('\n');
  await host.must(`echo '${text}' > /etc/ssh/sshd_config.d/kinit-test.conf`);
  // A quick machine restarts it oftener than systemd lets pass otherwise.
  await host.must('systemctl reset-failed ssh; systemctl restart ssh');
  await host.reachable();
}

/** The host as an inventory says, which says no more than where it is. */
async function target(fields: object = {}, config = ''): Promise<InventoryHost> {
  await writeFile(at('config'), config);
  const document = {
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    hosts: [
      {
        name: 'a',
        address: host.ip,
        roles: ['control-plane'],
        identityFile: lab.sshKeyPath,
        knownHosts: lab.knownHosts,
        ...fields,
      },
    ],
  };
  const ssh = await userSshConfig([at('config')], { home: folder, user: 'me' });
  return parseInventory(JSON.stringify(document), at('inventory.yaml'), {}, ssh).hosts[0]!;
}

async function says(given: InventoryHost, command = 'uname -n', env: NodeJS.ProcessEnv = {}): Promise<string> {
  const transport = await sshTransport(given, AbortSignal.timeout(30_000), env);
  try {
    return (await transport.exec(command)).stdout;
  } finally {
    transport.close();
  }
}

describe("a user's certificate", () => {
  it.each(keyTypes)('beside an %s key logs in', async (type) => {
    expect(await says(await target({ identityFile: at(type) }))).toBe('a\n');
  });

  it('may be elsewhere, as the inventory or the SSH configuration says', async () => {
    await copyFile(at('ed25519'), at('alone'));
    await copyFile(at('ed25519-cert.pub'), at('elsewhere.pub'));
    expect(await says(await target({ identityFile: at('alone'), certificateFile: at('elsewhere.pub') }))).toBe('a\n');
    const config = `IdentityFile ${at('alone')}\nCertificateFile ${at('elsewhere.pub')}`;
    expect(await says(await target({ identityFile: undefined }, config))).toBe('a\n');
    await expect(says(await target({ identityFile: at('alone') }))).rejects.toMatchObject({ code: 'Authentication' });
  });

  it('may be in an agent', async () => {
    const socket = at('agent.sock');
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(agent.stdout!, 'data');
    for (const type of keyTypes) {
      await execa('ssh-add', ['-q', at(type)], { env: { SSH_AUTH_SOCK: socket } });
      expect(await says(await target({ identityFile: undefined }), 'uname -n', { SSH_AUTH_SOCK: socket })).toBe('a\n');
      await execa('ssh-add', ['-q', '-D'], { env: { SSH_AUTH_SOCK: socket } });
    }
  });

  it('that has run out is not tried, and kinit says so', async () => {
    await copyFile(at('ed25519'), at('old'));
    await copyFile(at('ed25519.pub'), at('old.pub'));
    await keygen('-s', at('user-ca'), '-I', 'old', '-n', 'root', '-V', '-2h:-1h', at('old.pub'));
    await expect(says(await target({ identityFile: at('old') }))).rejects.toMatchObject({
      code: 'Authentication',
      details: { seen: expect.stringMatching(/old-cert.pub is not used: it was valid until/) as string },
    });
  });
});

describe('a passphrase that somebody types', () => {
  it('is asked for once, again when it was wrong, and opens the key', async () => {
    await copyFile(at('ecdsa'), at('locked'));
    await copyFile(at('ecdsa-cert.pub'), at('locked-cert.pub'));
    await keygen('-p', '-P', '', '-N', 'sesame', '-f', at('locked'));
    const given = await target({ identityFile: at('locked') });
    await expect(says(given)).rejects.toMatchObject({ message: `the key ${at('locked')} is locked with a passphrase` });
    const asked: boolean[] = [];
    await askPassphrases([given, given], {}, async (_path, wrongBefore) => {
      asked.push(wrongBefore);
      return wrongBefore ? 'sesame' : 'wrong';
    });
    expect(asked).toEqual([false, true]);
    expect(await says(given)).toBe('a\n');
  });
});

describe("a host's certificate", () => {
  /** Makes the host show a certificate of its key of this type. */
  async function show(type: string, ...words: string[]): Promise<void> {
    const name = `ssh_host_${type}_key`;
    await writeFile(at(`${name}.pub`), await host.must(`cat /etc/ssh/${name}.pub`));
    await keygen('-s', at('host-ca'), '-h', '-I', `host-${type}`, ...words, at(`${name}.pub`));
    const certificate = (await readFile(at(`${name}-cert.pub`), 'utf8')).trim();
    await host.must(`echo '${certificate}' > /etc/ssh/${name}-cert.pub`);
    await configure(`HostKey /etc/ssh/${name}`, `HostCertificate /etc/ssh/${name}-cert.pub`);
  }
  const authority = async () => (await readFile(at('host-ca.pub'), 'utf8')).trim();
  const known = async (text: string): Promise<string> => {
    await writeFile(at('known'), text);
    return at('known');
  };

  it.each(keyTypes)('of an %s key is believed when its authority is', async (type) => {
    await show(type, '-n', host.ip, '-V', '-1h:+1h');
    const knownHosts = await known(`@cert-authority 10.* ${await authority()}\n`);
    expect(await says(await target({ knownHosts }))).toBe('a\n');
    expect(await says(await target({ knownHosts, hostKeys: `@cert-authority ${await authority()}` }))).toBe('a\n');
    await expect(says(await target({ knownHosts: await known('') }))).rejects.toMatchObject({
      message: `the host key of ${host.ip} is not known`,
    });
  });

  it.each([
    ['is for other hosts', ['-n', 'other.example', '-V', '-1h:+1h'], /it is for other.example/],
    ['has run out', ['-n', '10.*', '-V', '-2h:-1h'], /it was valid until/],
  ])('does not count when it %s', async (_what, words, seen) => {
    await show('ed25519', ...words);
    const knownHosts = await known(`@cert-authority * ${await authority()}\n`);
    await expect(says(await target({ knownHosts }))).rejects.toMatchObject({
      code: 'Authentication',
      details: { seen: expect.stringMatching(seen) as string },
    });
    // The key in it may be known by itself.
    const plain = (await readFile(at('ssh_host_ed25519_key.pub'), 'utf8')).trim();
    const both = await known(`@cert-authority * ${await authority()}\n${host.ip} ${plain}\n`);
    expect(await says(await target({ knownHosts: both }))).toBe('a\n');
  });

  it('is not taken when the authority or the key is revoked, whatever the policy', async () => {
    await show('ed25519', '-n', host.ip, '-V', '-1h:+1h');
    const line = await authority();
    const key = (await readFile(at('ssh_host_ed25519_key.pub'), 'utf8')).trim();
    for (const revoked of [line, key]) {
      const knownHosts = await known(`@cert-authority * ${line}\n@revoked * ${revoked}\n`);
      for (const hostKeyChecking of ['strict', 'accept-new', 'off']) {
        await expect(says(await target({ knownHosts, hostKeyChecking }))).rejects.toMatchObject({
          message: `the host key of ${host.ip} is revoked`,
        });
      }
    }
  });
});

describe('host keys', () => {
  it('are taken and remembered, hashed ones are recognized, and changed ones refused unless checking is off', async () => {
    const knownHosts = at('remembered');
    await expect(says(await target({ knownHosts }))).rejects.toMatchObject({ code: 'Authentication' });
    expect(await says(await target({ knownHosts, hostKeyChecking: 'accept-new' }))).toBe('a\n');
    await keygen('-H', '-f', knownHosts);
    expect(await readFile(knownHosts, 'utf8')).toMatch(/^\|1\|/);
    expect(await says(await target({ knownHosts }))).toBe('a\n');
    const stranger = (await readFile(at('ed25519.pub'), 'utf8')).trim();
    await writeFile(knownHosts, `${host.ip} ${stranger}\n`);
    await expect(says(await target({ knownHosts, hostKeyChecking: 'accept-new' }))).rejects.toMatchObject({
      message: expect.stringContaining('is not the one that is known') as string,
    });
    expect(await says(await target({ knownHosts, hostKeyChecking: 'off' }))).toBe('a\n');
  });
});

describe('a ProxyCommand', () => {
  const gate = () => `ssh -i ${lab.sshKeyPath} -o UserKnownHostsFile=${lab.knownHosts} -W %h:%p root@${host.ip}`;

  it('carries the connection', async () => {
    const connected = await says(await target({}, `ProxyCommand ${gate()}`), 'echo $SSH_CONNECTION');
    expect(connected).toMatch(new RegExp(`^${host.ip.replaceAll('.', '\\.')} `));
    expect(await says(await target({ proxyCommand: gate() }))).toBe('a\n');
  });

  it('that fails says why', async () => {
    await expect(says(await target({ proxyCommand: 'cat /no/way' }))).rejects.toMatchObject({
      code: 'Connection',
      details: { seen: expect.stringContaining('/no/way') as string },
    });
  });
});
