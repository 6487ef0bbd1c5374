/** The Vagrantfile is one that Vagrant itself accepts, and its machines are those of the inventory beside it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readInventory } from '../../../src/installer/inventory/read-inventory.ts';

const root = join(import.meta.dirname, '../../..');

describe('vagrant/', () => {
  let home: string;
  const vagrant = (...args: string[]) =>
    execa('vagrant', args, {
      cwd: join(root, 'vagrant'),
      reject: false,
      env: { VAGRANT_HOME: home, VAGRANT_CHECKPOINT_DISABLE: '1', VAGRANT_DEFAULT_PROVIDER: 'libvirt' },
    });
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'kinit-vagrant-'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('has a Vagrantfile that `vagrant validate` accepts, for the provider libvirt and whatever the provider', async () => {
    for (const args of [[], ['--ignore-provider']]) {
      const { exitCode, stdout, stderr } = await vagrant('validate', ...args);
      expect([exitCode, stderr]).toEqual([0, '']);
      expect(stdout).toContain('Vagrantfile validated successfully.');
    }
  });

  it('has an inventory with its machines at their addresses', async () => {
    const { stdout } = await vagrant('status', '--machine-readable');
    const machines = new Set([...stdout.matchAll(/^\d+,(\w+),/gm)].map(([, name]) => name));
    const { hosts } = await readInventory(join(root, 'vagrant/inventory.yaml'));
    expect(hosts.map(({ name }) => name)).toEqual([...machines]);
    const { stdout: file } = await execa('cat', [join(root, 'vagrant/Vagrantfile')]);
    for (const { address } of hosts) expect(file).toContain(`ip: "${address}"`);
  });
});
