import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertFiles, importInventory } from '../../../src/installer/inventory/import/import.ts';
import { nodeNameOf, renderInventory, scalar } from '../../../src/installer/inventory/import/render.ts';
import { guessRoles } from '../../../src/installer/inventory/import/roles.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';

const host = (name: string, ...groups: string[]) => ({ name, groups });
const rolesOf = (...hosts: ReturnType<typeof host>[]) =>
  Object.fromEntries(guessRoles(hosts).nodes.map(({ host: { name }, guess }) => [name, guess.roles.join('+')]));

describe('roles', () => {
  it.each<[string, ReturnType<typeof host>[], Record<string, string>]>([
    [
      'by name',
      [host('w1'), host('k8s-cp-01'), host('x')],
      { w1: 'worker', 'k8s-cp-01': 'control-plane', x: 'worker' },
    ],
    ['by another name', [host('node1'), host('Master_1')], { node1: 'worker', Master_1: 'control-plane' }],
    ['by group', [host('a', 'kube_node'), host('b', 'kube_control_plane')], { a: 'worker', b: 'control-plane' }],
    [
      'by both groups',
      [host('a', 'masters', 'workers'), host('b', 'workers')],
      { a: 'control-plane+worker', b: 'worker' },
    ],
    [
      'group before name',
      [host('cp1', 'workers'), host('w1', 'control-plane')],
      { cp1: 'worker', w1: 'control-plane' },
    ],
    ['server beside agent', [host('a', 'agent'), host('b', 'server')], { a: 'worker', b: 'control-plane' }],
    ['the first, when none is named so', [host('a'), host('b')], { a: 'control-plane', b: 'worker' }],
    ['the only host is both', [host('a')], { a: 'control-plane+worker' }],
    ['several control planes', [host('cp1'), host('cp2')], { cp1: 'control-plane', cp2: 'control-plane' }],
    [
      'no part of a word',
      [host('cpu1'), host('webmaster2'), host('m')],
      { cpu1: 'control-plane', webmaster2: 'worker', m: 'worker' },
    ],
    [
      'no bastions and balancers',
      [host('bastion'), host('cp1'), host('lb-1'), host('e', 'etcd')],
      { cp1: 'control-plane+worker' },
    ],
  ])('are guessed: %s', (_, hosts, expected) => expect(rolesOf(...hosts)).toEqual(expected));

  it('can be given', () => {
    const { nodes } = guessRoles([host('cp1'), host('other')], ['other']);
    expect(nodes.map(({ guess }) => guess.roles)).toEqual([['worker'], ['control-plane']]);
  });
});

describe('the written inventory', () => {
  const hosts = [
    {
      ...host('CP_1', 'masters', 'ssd'),
      address: '10.0.0.1',
      user: 'ops',
      identityFile: 'keys/id',
      privateAddress: '192.168.0.1',
    },
    { ...host('10.0.0.2'), user: 'ops', identityFile: 'keys/id', port: 2222, notes: ['odd\nthing'] },
    {
      ...host('w2'),
      user: 'root',
      identityFile: '~/w2',
      secrets: ['sudo' as const, 'passwordFromEnv' as const],
      labels: { zone: 'true' },
      bastion: { address: 'gate', user: 'yes' },
    },
    host('bastion'),
  ];
  const options = { from: 'x.ini', out: 'a/inventory.yaml', rebase: (path: string) => `../${path}` };
  const { text, nodes, notes } = renderInventory({ source: 'test', hosts, notes: ['Note.'] }, options);

  it('says what was guessed, and has in its defaults what most hosts share', () => {
    expect(text).toBe(`# Made by kinit inventory import from x.ini: test.
# Look at the roles first; then: kinit inventory validate -i a/inventory.yaml, kinit up -i a/inventory.yaml
# Note.
# bastion was left out (a bastion).
apiVersion: kinit.local/v1alpha1
kind: Inventory
defaults:
  user: ops
  identityFile: ../keys/id
groups:
  ssd: { hosts: [cp-1] }
hosts:
  - name: cp-1
    address: 10.0.0.1 # privately 192.168.0.1
    roles: [control-plane] # by the group masters
  # odd thing
  - name: host-10-0-0-2
    address: 10.0.0.2
    roles: [worker]
    port: 2222
  - name: w2
    roles: [worker]
    user: root
    identityFile: ~/w2
    passwordFromEnv: SSH_PASSWORD
    bastion: { address: gate, user: "yes" }
    labels: { zone: "true" }
`);
    expect(nodes).toBe(3);
    expect(notes).toEqual(['Note.', 'bastion was left out (a bastion).']);
  });

  it('can be read again', () => {
    const inventory = parseInventory(text, '/w/a/inventory.yaml');
    expect(inventory.hosts[0]).toMatchObject({ name: 'cp-1', identityFile: '/w/keys/id', groups: ['ssd'] });
    expect(inventory.hosts[1]).toMatchObject({ address: '10.0.0.2', port: 2222, user: 'ops' });
    expect(inventory.hosts[2]).toMatchObject({ bastion: { user: 'yes' }, labels: { zone: 'true' } });
  });

  it.each<[string | number, string]>([
    ['plain', 'plain'],
    ['true', '"true"'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.5', '"10.5"'],
    ['fd00::1', '"fd00::1"'],
    ['a: b', '"a: b"'],
    ['- x', '"- x"'],
    [22, '22'],
  ])('quotes %s where YAML would take it for something else', (value, written) => expect(scalar(value)).toBe(written));

  it.each([
    ['Node_1.Example', 'node-1.example'],
    ['fd00::1', 'host-fd00-1'],
    ['-x-', 'x'],
    ['ÄÖ', 'host'],
  ])('makes of %s the name %s', (name, written) => expect(nodeNameOf(name)).toBe(written));

  it('keeps names apart', () => {
    const { text: twice } = renderInventory({ source: 's', hosts: [host('a_b'), host('a-b')], notes: [] }, options);
    expect(twice).toContain('- name: a-b-2\n    address: a-b\n');
  });
});

describe('kinit inventory import', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kinit-import-'));
    await writeFile(
      join(folder, 'hosts.ini'),
      '[masters]\ncp1 ansible_ssh_private_key_file=keys/id\n[workers]\nw[1:2]\n',
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const run = (sources: string[], extra: object = {}) =>
    importInventory(sources, {
      out: join(folder, 'out.yaml'),
      force: false,
      stdin: async () => '10.0.0.1 cp1\n10.0.0.2 w1\n',
      ...extra,
    });

  it('writes a file, and never over one that is there unless told to', async () => {
    const result = await run([join(folder, 'hosts.ini')]);
    expect(result).toMatchObject({ format: 'ansible', nodes: 3, mistakes: [] });
    const written = await readFile(join(folder, 'out.yaml'), 'utf8');
    expect(written).toContain('    identityFile: keys/id\n');
    await expect(run(['-'])).rejects.toMatchObject({
      code: 'Validation',
      message: `${folder}/out.yaml is there already`,
    });
    expect(await readFile(join(folder, 'out.yaml'), 'utf8')).toBe(written);
    expect(await run(['-'], { force: true })).toMatchObject({ format: 'hosts', nodes: 2 });
  });

  it('finds the inventory of a folder', async () => {
    expect(await run([folder], { out: '-' })).toMatchObject({ format: 'ansible', nodes: 3 });
    await expect(run([join(folder, 'none')], { out: '-' })).rejects.toThrow('cannot read');
  });

  it('says what it cannot tell', () => {
    const files = [{ name: 'x', text: 'a = b ; c' }];
    expect(() => convertFiles(files, { out: '-' })).toThrow('x: it is not clear which tool this comes from');
    const list = [{ name: 'x', text: '10.0.0.1 a\n10.0.0.2 b\n' }];
    expect(() => convertFiles(list, { out: '-', controlPlane: ['c'] })).toThrow(
      '--control-plane c: x has no such host',
    );
    expect(() => convertFiles([{ name: 'x', text: '10.0.0.1 bastion' }], { out: '-' })).toThrow(
      'none of the hosts is a node',
    );
  });
});
