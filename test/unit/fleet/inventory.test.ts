import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KinitError } from '../../../src/installer/errors.ts';
import { limitHosts, parseInventory, readInventory } from '../../../src/installer/inventory/read-inventory.ts';

const head = 'apiVersion: kinit.local/v1alpha1\nkind: Inventory\n';
const parse = (body: string, env = {}) => parseInventory(`${head}${body}`, '/inv/lab.yaml', env);
const mistakes = (body: string): string[] => {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof KinitError) return error.message.split('\n');
    throw error;
  }
  return [];
};

describe('an inventory', () => {
  it('fills in defaults: the shared ones, then the usual ones', () => {
    const { hosts, cluster } = parse(`
cluster: { clusterName: lab }
defaults:
  user: ops
  identityFile: keys/id
  labels: { region: eu }
  settings: { swap: keep, network: { backend: host-gw } }
hosts:
  - { name: cp1, address: 10.0.0.1, roles: [control-plane], labels: { zone: a }, settings: { network: { mtu: 1400 } } }
  - { name: w1, roles: [worker], user: root, identityFile: ~/.ssh/w1, nodeName: worker-1, sudo: { passwordFromEnv: PW } }
  - { name: here, connection: local, roles: [worker] }
`);
    expect(cluster).toEqual({ clusterName: 'lab' });
    expect(hosts[0]).toMatchObject({
      address: '10.0.0.1',
      port: 22,
      user: 'ops',
      sudo: 'passwordless',
      identityFile: '/inv/keys/id',
      labels: { region: 'eu', zone: 'a' },
      nodeName: 'cp1',
      hostKeyChecking: 'strict',
      settings: { swap: 'keep', network: { backend: 'host-gw', mtu: 1400 } },
    });
    expect(hosts[1]).toMatchObject({
      address: 'w1',
      user: 'root',
      sudo: { passwordFromEnv: 'PW' },
      identityFile: `${homedir()}/.ssh/w1`,
      nodeName: 'worker-1',
    });
    expect(hosts[2]).toMatchObject({ address: '127.0.0.1', connection: 'local' });
  });

  it('takes values from the environment', () => {
    const body = `hosts:\n- { name: cp1, address: "\${PREFIX}.1", user: "\${LOGIN:-root}", roles: [control-plane] }`;
    expect(parse(body, { PREFIX: '10.1.1' }).hosts[0]).toMatchObject({ address: '10.1.1.1', user: 'root' });
    expect(parse(body, { PREFIX: '10.1.1', LOGIN: 'ops' }).hosts[0]?.user).toBe('ops');
    expect(mistakes(body)[0]).toBe('/inv/lab.yaml:4:16: the environment variable PREFIX is not set');
  });

  const cp = '- { name: cp1, address: 10.0.0.1, roles: [control-plane] }\n';
  it.each([
    ['broken YAML', 'hosts: [', /^\/inv\/lab\.yaml:\d+:\d+: /],
    [
      'an unknown field',
      `hosts:\n${cp}- { name: w1, adress: 10.0.0.2, roles: [worker] }`,
      '/inv/lab.yaml:5:15: unknown field "adress" in Inventory.hosts[1]; did you mean "address"?',
    ],
    [
      'a role that does not exist',
      'hosts:\n- { name: a, roles: [master] }',
      /must be one of "control-plane", "worker"$/,
    ],
    [
      'two hosts of a name',
      `hosts:\n${cp}- { name: cp1, address: 10.0.0.2, roles: [worker] }`,
      /:5:5: the name "cp1" is also that of host cp1$/,
    ],
    [
      'two hosts at an address',
      `hosts:\n${cp}- { name: w1, address: 10.0.0.1, roles: [worker] }`,
      /:5:15: the address "10.0.0.1" is also that of host cp1$/,
    ],
    [
      'two nodes of a name',
      `hosts:\n${cp}- { name: w1, nodeName: cp1, roles: [worker] }`,
      /the node name "cp1" is also that of host cp1$/,
    ],
    [
      'no control plane',
      'hosts:\n- { name: w1, roles: [worker] }',
      '/inv/lab.yaml:3:1: no host has the role control-plane',
    ],
    [
      'sudo that is none of the three',
      `hosts:\n- { name: cp1, roles: [control-plane], sudo: maybe }`,
      /hosts\[0\]\.sudo: is none, passwordless, or passwordFromEnv/,
    ],
    [
      'a host key in no known form',
      `hosts:\n- { name: cp1, roles: [control-plane], hostKeys: AAAA }`,
      /"AAAA" is no public key/,
    ],
  ])('refuses %s and says where', (_what, body, expected) => {
    expect(mistakes(body)[0]).toMatch(expected);
  });

  it('is limited by names and roles', () => {
    const inventory = parse(`hosts:\n${cp}- { name: w1, roles: [worker] }\n- { name: w2, roles: [worker] }`);
    const names = (limit?: string[]) => limitHosts(inventory, limit).map(({ name }) => name);
    expect(names()).toEqual(['cp1', 'w1', 'w2']);
    expect(names(['worker'])).toEqual(['w1', 'w2']);
    expect(names(['w2', 'control-plane'])).toEqual(['cp1', 'w2']);
    expect(() => names(['wrker'])).toThrow('--limit wrker: no host of /inv/lab.yaml has this name, role or group');
  });

  const examples = join(import.meta.dirname, '../../../inventory');
  it.each(readdirSync(examples))('example %s can be read', async (file) => {
    expect((await readInventory(join(examples, file), {})).hosts.length).toBeGreaterThan(0);
  });
});
