import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readInventory } from '../../../src/installer/inventory/read-inventory.ts';

const root = join(import.meta.dirname, '../../..');

it('the inventory for Vagrant names the boxes of the Vagrantfile, and the key that Vagrant gives them', async () => {
  const text = await readFile(join(root, 'vagrant/Vagrantfile'), 'utf8');
  const boxes = [...text.matchAll(/\{ name: "([^"]+)",\s+box: "[^"]+", ip: "([^"]+)" \}/g)];
  const { hosts } = await readInventory(join(root, 'inventory/vagrant.yaml'), {});
  expect(hosts.map(({ name, address }) => `${name} ${address}`)).toEqual(
    boxes.map(([, name, address]) => `${name} ${address}`),
  );
  expect(text).toContain('config.ssh.insert_key = false');
  for (const { user, sudo, identityFile, knownHosts } of hosts) {
    expect({ user, sudo, identityFile, knownHosts }).toEqual({
      user: 'vagrant',
      sudo: 'passwordless',
      identityFile: join(homedir(), '.vagrant.d/insecure_private_key'),
      knownHosts: [join(root, 'vagrant/.vagrant/known_hosts')],
    });
  }
});
