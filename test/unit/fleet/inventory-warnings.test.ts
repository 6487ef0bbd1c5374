import { homedir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import { inventoryWarnings } from '../../../src/installer/inventory/warnings.ts';

const known = `${homedir()}/.ssh/known_hosts`;
const warnings = (hosts: string, env: NodeJS.ProcessEnv = {}, present: string[] = [known]) => {
  const text = `apiVersion: kinit.local/v1alpha1\nkind: Inventory\nhosts:\n${hosts}`;
  return inventoryWarnings(parseInventory(text, '/w/i.yaml', env), env, (path) => present.includes(path));
};
const cp = '- { name: cp1, roles: [control-plane]';

describe('before a host is reached', () => {
  it.each<[string, string, string[]]>([
    ['nothing is missing', `${cp} }`, []],
    [
      'a key',
      `${cp}, identityFile: k }\n- { name: w1, roles: [worker], identityFile: k }`,
      ['cp1, w1: there is no key /w/k'],
    ],
    [
      'secrets',
      `${cp}, user: u, sudo: { passwordFromEnv: S }, passwordFromEnv: P, passphraseFromEnv: Q }`,
      [
        'cp1: the environment variable S (the password of sudo) is not set',
        'cp1: the environment variable Q (the passphrase of the key) is not set',
        'cp1: the environment variable P (the password of the login) is not set',
      ],
    ],
    ["a bastion's key", `${cp}, bastion: { address: b, identityFile: k } }`, ['cp1: there is no key /w/k']],
    ['host keys', `${cp}, knownHosts: known }`, ['cp1: there is no /w/known to know host keys from']],
    ['nothing for this machine', '- { name: cp1, roles: [control-plane], connection: local, knownHosts: known }', []],
    [
      'a third control plane',
      `${cp} }\n- { name: cp2, roles: [control-plane] }`,
      ['cp1: two control planes have no majority when one fails: one or three are better'],
    ],
  ])('it is told what is missing: %s', (_, hosts, expected) => expect(warnings(hosts)).toEqual(expected));

  it('is silent about what is there', () => {
    const hosts = `${cp}, identityFile: k, passphraseFromEnv: Q }`;
    expect(warnings(hosts, { Q: 'x' }, [known, '/w/k'])).toEqual([]);
  });
});
