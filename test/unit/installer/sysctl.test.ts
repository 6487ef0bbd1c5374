/** Kernel parameters that come, stay, and go again. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { applySettings, assertSettings, settingsPath } from '../../../src/installer/host/sysctl.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

async function hostWith(values: Record<string, string>) {
  const root = scratchRoot();
  roots.push(root);
  const place = (key: string) => join(root, 'proc/sys', key.replaceAll('.', '/'));
  for (const [key, value] of Object.entries(values)) {
    mkdirSync(dirname(place(key)), { recursive: true });
    writeFileSync(place(key), `${value}\n`);
  }
  const host = scratchHost(root);
  return {
    apply: async (given: Record<string, string>, prune = false) => {
      const leftovers: string[] = [];
      const changes = createChanges(host, await openJournal(host));
      const changed = await applySettings(changes, { given, prune, leftover: (what) => leftovers.push(what) });
      return { changed, leftovers };
    },
    value: (key: string) => readFileSync(place(key), 'utf8').trim(),
    file: () => readFileSync(join(root, settingsPath), 'utf8'),
  };
}

const kernel = {
  'net.bridge.bridge-nf-call-iptables': '0',
  'net.bridge.bridge-nf-call-ip6tables': '0',
  'net.ipv4.ip_forward': '0',
  'vm.max_map_count': '65530',
  'net.ipv4.tcp_rmem': '4096\t131072\t6291456',
};

it('what was given once is told and kept, and goes back to what it was when told to', async () => {
  const { apply, value, file } = await hostWith(kernel);
  const given = { 'vm.max_map_count': '262144', 'net.ipv4.tcp_rmem': '4096 87380 6291456' };
  expect(await apply(given)).toEqual({ changed: true, leftovers: [] });
  expect([value('vm.max_map_count'), value('net.ipv4.ip_forward')]).toEqual(['262144', '1']);
  expect(await apply(given)).toEqual({ changed: false, leftovers: [] });
  const some = { 'net.ipv4.tcp_rmem': '4096 87380 6291456' };
  expect(await apply(some)).toEqual({ changed: false, leftovers: ['kernel parameter vm.max_map_count = 262144'] });
  expect(await apply({}, true)).toEqual({ changed: true, leftovers: [] });
  expect([value('vm.max_map_count'), value('net.ipv4.tcp_rmem')]).toEqual(['65530', '4096 131072 6291456']);
  expect(file()).not.toMatch(/max_map_count|tcp_rmem/);
  expect(await apply({})).toEqual({ changed: false, leftovers: [] });
});

it('one that the kernel does not have is told before anything is written', async () => {
  const { apply, file } = await hostWith(kernel);
  await expect(apply({ 'vm.no_such': '1' })).rejects.toThrow('the kernel has no parameter vm.no_such');
  expect(file).toThrow('ENOENT');
});

it.each([
  [{ 'net.ipv4.ip_forward': '0' }, 'net.ipv4.ip_forward is 0, but pods need 1'],
  [{ 'net.ipv4.ip_forward': '1' }, undefined],
])('what pods need is not taken back: %j', (given, message) => {
  const check = () => assertSettings(given);
  if (message) expect(check).toThrow(message);
  else expect(check).not.toThrow();
});
