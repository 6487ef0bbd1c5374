import { describe, expect, it } from 'vitest';
import { limitHosts, parseInventory } from '../../../src/installer/inventory/read-inventory.ts';

const parse = (body: string) =>
  parseInventory(`apiVersion: kinit.local/v1alpha1\nkind: Inventory\n${body}`, '/inv/a.yaml');

const grouped = `
defaults: { user: ops, labels: { region: eu } }
groups:
  masters:
    roles: [control-plane]
    hosts: [{ name: cp1, address: 10.0.0.1 }]
  ssd:
    defaults: { labels: { disk: ssd, zone: a }, settings: { swap: keep } }
    hosts: [w1, w2]
  zone-b:
    roles: [worker]
    defaults: { user: root, labels: { zone: b }, settings: { network: { mtu: 1400 } } }
    hosts: [w2, { name: w3, port: 2222, labels: { zone: c } }]
hosts:
  - { name: w1, roles: [worker], labels: { disk: nvme } }
  - { name: w2 }
`;

describe('groups of an inventory', () => {
  it('give what their hosts do not say themselves; a later group wins over an earlier one', () => {
    const hosts = new Map(parse(grouped).hosts.map((host) => [host.name, host]));
    expect([...hosts.keys()]).toEqual(['w1', 'w2', 'cp1', 'w3']);
    expect(hosts.get('cp1')).toMatchObject({ roles: ['control-plane'], user: 'ops', groups: ['masters'] });
    expect(hosts.get('w1')).toMatchObject({
      groups: ['ssd'],
      user: 'ops',
      labels: { region: 'eu', disk: 'nvme', zone: 'a' },
      settings: { swap: 'keep' },
    });
    expect(hosts.get('w2')).toMatchObject({
      groups: ['ssd', 'zone-b'],
      roles: ['worker'],
      user: 'root',
      labels: { region: 'eu', disk: 'ssd', zone: 'b' },
      settings: { swap: 'keep', network: { mtu: 1400 } },
    });
    expect(hosts.get('w3')).toMatchObject({ port: 2222, user: 'root', labels: { zone: 'c' } });
  });

  it('can be named by --limit', () => {
    const names = (limit: string[]) => limitHosts(parse(grouped), limit).map(({ name }) => name);
    expect(names(['ssd'])).toEqual(['w1', 'w2']);
    expect(names(['zone-b', 'cp1'])).toEqual(['w2', 'cp1', 'w3']);
    expect(() => names(['zone-c'])).toThrow('no host of /inv/a.yaml has this name, role or group');
  });

  it.each([
    [
      'a host that is not there',
      'groups:\n  g: { roles: [control-plane], hosts: [wq] }\nhosts: [{ name: w1, roles: [control-plane] }]',
      '/inv/a.yaml:4:40: no host is named "wq"; did you mean "w1"?',
    ],
    [
      'a host without roles',
      'hosts:\n  - { name: w1 }\n  - { name: cp1, roles: [control-plane] }',
      '/inv/a.yaml:4:5: host "w1" has no roles: control-plane, worker, or both',
    ],
    [
      'a host that stands twice',
      'groups:\n  g: { hosts: [{ name: w1, roles: [worker] }] }\nhosts: [{ name: w1, address: b, roles: [control-plane] }]',
      '/inv/a.yaml:4:18: the name "w1" is also that of host w1\n/inv/a.yaml:4:16: the node name "w1" is also that of host w1',
    ],
    ['no host at all', 'groups: { g: { roles: [worker] } }', '/inv/a.yaml:1:1: Inventory.hosts: names no host'],
  ])('refuses %s', (_, body, message) => {
    expect(() => parse(body)).toThrow(message);
  });
});
