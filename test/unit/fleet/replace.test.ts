/** Who takes the place of a node, what it takes over, what etcd bears, and what becomes of the inventory. */
import { describe, expect, it } from 'vitest';
import { marksOf, replacementOf, withMarks } from '../../../src/installer/fleet/replacement.ts';
import { lossOf } from '../../../src/installer/fleet/take-out.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import { editHost } from '../../../src/installer/inventory/rewrite.ts';

const text = `apiVersion: kinit.local/v1alpha1
kind: Inventory
defaults: { user: admin }
hosts:
  - { name: m1, address: 10.0.0.1, roles: [control-plane] }
  # the old one
  - name: m2 # rack 7
    address: "10.0.0.2"
    hostKeys:
      - SHA256:abc
    nodeName: master-2
    roles: [control-plane]

  - { name: m4, address: 10.0.0.4, roles: [control-plane] }
  - name: w1
    address: 10.0.0.11
    roles: [worker]
    labels: { disk: ssd }
groups:
  west: { hosts: [m1, m2, w1] }
  east:
    hosts:
      - w1
      - m2
`;
const inventory = parseInventory(text, 'inventory.yaml');
const old = inventory.hosts[1];

describe('who replaces a node', () => {
  it.each([
    [undefined, 'm2', 'master-2', '10.0.0.2', { kind: 'none' }],
    ['m2', 'm2', 'master-2', '10.0.0.2', { kind: 'none' }],
    ['m4', 'm4', 'm4', '10.0.0.4', { kind: 'remove', name: 'm2' }],
    [
      '10.0.0.9',
      'm2',
      'master-2',
      '10.0.0.9',
      { kind: 'edit', name: 'm2', fields: { address: '10.0.0.9' }, drop: ['hostKeys'] },
    ],
    [
      'fd00::9',
      'm2',
      'master-2',
      'fd00::9',
      { kind: 'edit', name: 'm2', fields: { address: 'fd00::9' }, drop: ['hostKeys'] },
    ],
    [
      'm5=root@new.example:2222',
      'm5',
      'm5',
      'new.example',
      {
        kind: 'edit',
        name: 'm2',
        fields: { name: 'm5', address: 'new.example', user: 'root', port: 2222 },
        drop: ['hostKeys', 'nodeName'],
      },
    ],
  ])('--with %s', (given, name, nodeName, address, change) => {
    const found = replacementOf(inventory, old, given);
    expect(found.host).toMatchObject({ name, nodeName, address, roles: ['control-plane'] });
    expect(found.change).toEqual(change);
  });

  it.each([
    ['m44', 'did you mean "m4"?'],
    ['m4=10.0.0.9', 'has a host m4 already, at 10.0.0.4'],
    ['M_5=10.0.0.9', 'is no host name'],
  ])('--with %s is refused', (given, words) => {
    try {
      replacementOf(inventory, old, given);
      expect.fail('it was taken');
    } catch (error) {
      const { message, details } = error as { message: string; details: { advice?: string } };
      expect(`${message} ${details.advice}`).toContain(words);
    }
  });

  it('must be in the inventory when the old one is not', () => {
    expect(() => replacementOf(inventory, undefined, '10.0.0.9')).toThrow('says nothing of the old node');
    expect(replacementOf(inventory, undefined, 'm4').host.name).toBe('m4');
  });
});

describe('what a node takes over', () => {
  const marks = marksOf(
    { 'kubernetes.io/hostname': 'm2', 'kubernetes.io/arch': 'amd64', disk: 'hdd', 'topology.kubernetes.io/zone': 'a' },
    [
      { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
      { key: 'dedicated', value: 'db', effect: 'NoSchedule' },
    ],
  );

  it('is what somebody gave the old one, not what its machine was', () => {
    expect(marks).toEqual({
      labels: { disk: 'hdd', 'topology.kubernetes.io/zone': 'a' },
      taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }],
    });
  });

  it('is less than what the inventory says of the new one', () => {
    const host = withMarks(inventory.hosts[3]!, marks);
    expect(host.labels).toEqual({ disk: 'ssd', 'topology.kubernetes.io/zone': 'a' });
    expect(host.taints).toEqual(marks.taints);
    expect(withMarks({ ...inventory.hosts[3]!, taints: [] }, marks).taints).toEqual([]);
  });
});

describe('etcd without a member', () => {
  const members = (...words: string[]) =>
    words.map((word, index) => ({
      id: String(index),
      name: `m${index + 1}`,
      learner: word === 'learner',
      healthy: word !== 'dead',
    }));
  it.each([
    ['a dead one of three', ['up', 'up', 'dead'], 'm3', false, undefined],
    ['one of two', ['up', 'up'], 'm2', false, undefined],
    ['a living one while another is dead', ['dead', 'up', 'up'], 'm2', false, '1 of 2 voting members answers'],
    ['the same when the new one is there before', ['dead', 'up', 'up'], 'm2', true, undefined],
    ['a dead one of two', ['up', 'dead'], 'm2', false, undefined],
    ['one of five when two are dead', ['dead', 'dead', 'up', 'up', 'up'], 'm3', false, '2 of 4'],
    ['a learner', ['up', 'dead', 'learner'], 'm3', false, undefined],
    ['somebody who is none', ['up', 'up', 'up'], 'w1', false, undefined],
  ])('%s', (_, words, name, joinsBefore, loss) => {
    const found = lossOf(members(...words), name, joinsBefore);
    if (loss === undefined) expect(found).toBeUndefined();
    else expect(found?.replace('members answer,', 'members answers,')).toContain(loss);
  });
});

describe('the file of the inventory', () => {
  it('loses a host, with its comments on the line and its place in groups', () => {
    expect(editHost(text, 'inventory.yaml', { name: 'm2' })).toBe(`apiVersion: kinit.local/v1alpha1
kind: Inventory
defaults: { user: admin }
hosts:
  - { name: m1, address: 10.0.0.1, roles: [control-plane] }
  # the old one

  - { name: m4, address: 10.0.0.4, roles: [control-plane] }
  - name: w1
    address: 10.0.0.11
    roles: [worker]
    labels: { disk: ssd }
groups:
  west: { hosts: [m1, w1] }
  east:
    hosts:
      - w1
`);
  });

  it('has another machine under another name', () => {
    const fields = { name: 'm5', address: 'fd00::9', port: 2222 };
    const edited = editHost(text, 'inventory.yaml', { name: 'm2', fields, drop: ['hostKeys', 'nodeName'] });
    expect(edited).toContain(`  - name: m5 # rack 7
    port: 2222
    address: "fd00::9"
    roles: [control-plane]

  - { name: m4`);
    expect(edited).toContain('west: { hosts: [m1, m5, w1] }');
    expect(edited.endsWith('      - w1\n      - m5\n')).toBe(true);
    expect(parseInventory(edited, 'inventory.yaml').hosts[1]).toMatchObject({
      name: 'm5',
      port: 2222,
      groups: ['west', 'east'],
    });
  });

  it('keeps a host on one line there', () => {
    const edited = editHost(text, 'inventory.yaml', { name: 'm1', fields: { address: '10.0.0.9', user: 'root' } });
    expect(edited).toContain('  - { name: m1, user: root, address: 10.0.0.9, roles: [control-plane] }\n');
  });

  it('is left to its owner where it cannot be told what to change', () => {
    const flow = text.replace(
      /hosts:\n(.|\n)*?groups:/,
      'hosts: [{ name: m1, roles: [control-plane] }, { name: m2, roles: [worker] }, { name: w1, roles: [worker] }]\ngroups:',
    );
    expect(() => editHost(flow, 'inventory.yaml', { name: 'm2' })).toThrow('one list of brackets');
    expect(() => editHost(text, 'inventory.yaml', { name: 'm9' })).toThrow('no host "m9"');
  });
});
