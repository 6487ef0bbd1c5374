import { describe, expect, it } from 'vitest';
import {
  type DesiredAddon,
  decidedValues,
  desiredAddon,
  unnamedManifests,
} from '../../../src/installer/addons/desired.ts';
import { describeName, inOrder, leftOut, nameOf, parseManifests } from '../../../src/installer/addons/manifests.ts';
import { describeSome } from '../../../src/installer/addons/own.ts';
import type { AddonStore, ObjectName, StoredAddon } from '../../../src/installer/addons/store.ts';
import type { BuiltInAddon, DeclaredAddon } from '../../../src/installer/config/addon-values.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';

const plain = resolveInit({}, noConfig, { hostname: 'cp1', address: '10.0.0.1' }, []);
const withAddons = (addons?: DeclaredAddon[]) => ({ ...plain, host: { ...plain.host, ...(addons ? { addons } : {}) } });

describe('whether an add-on shall be on', () => {
  const stored = (by: StoredAddon['by'], enabled: boolean, values = {}): StoredAddon => ({ by, enabled, values });
  const replicas = { replicas: 3 };
  it.each<[string, BuiltInAddon, DeclaredAddon[] | undefined, StoredAddon | undefined, boolean, Partial<DesiredAddon>]>(
    [
      ['usual', 'dns', undefined, undefined, false, { enabled: true, by: 'usual', unnamed: false }],
      ['not usual', 'metrics-server', undefined, undefined, false, { enabled: false, by: 'usual' }],
      [
        'named',
        'metrics-server',
        [{ name: 'metrics-server' }],
        undefined,
        false,
        { enabled: true, by: 'configuration' },
      ],
      [
        'named off',
        'dns',
        [{ name: 'dns', enabled: false }],
        undefined,
        false,
        { enabled: false, by: 'configuration' },
      ],
      ['named by another name', 'dns', [{ name: 'coredns', values: replicas }], undefined, false, { values: replicas }],
      [
        'named over a command',
        'dns',
        [{ name: 'dns' }],
        stored('command', false),
        false,
        { enabled: true, values: {} },
      ],
      ['as a command left it', 'dns', [], stored('command', false), true, { enabled: false, by: 'command' }],
      [
        'not named any more',
        'dns',
        [],
        stored('configuration', true, replicas),
        false,
        { values: replicas, unnamed: true },
      ],
      [
        'pruned to the usual',
        'dns',
        [],
        stored('configuration', true, replicas),
        true,
        { enabled: true, values: {}, by: 'usual' },
      ],
      [
        'pruned away',
        'metrics-server',
        undefined,
        stored('configuration', true),
        true,
        { enabled: false, by: 'usual' },
      ],
    ],
  )('%s: %s', (_, name, declared, before, prune, expected) => {
    expect(desiredAddon(name, withAddons(declared), before, prune)).toMatchObject(expected);
  });

  it('follows what kubeadm and the storage settings leave out', () => {
    const { cluster, host } = plain;
    const without = {
      ...plain,
      cluster: { ...cluster, dns: { disabled: true }, proxy: { disabled: true } },
      host: { ...host, storage: { provisioner: 'none' as const, directory: '/srv' } },
    };
    for (const name of ['dns', 'proxy', 'local-path'] as const)
      expect(desiredAddon(name, without, undefined).enabled, name).toBe(false);
  });

  it('a value that is taken back is decided, too', () => {
    const desired = desiredAddon('dns', withAddons([{ name: 'dns', values: { cache: 5 } }]), undefined);
    expect([...decidedValues(stored('configuration', true, replicas), desired)].sort()).toEqual(['cache', 'replicas']);
  });
});

describe('manifests that are no longer named', () => {
  const store: AddonStore = {
    dns: { by: 'configuration', enabled: true, values: {} },
    shop: { by: 'configuration', enabled: true, values: {}, objects: [] },
    mine: { by: 'command', enabled: true, values: {}, objects: [] },
  };
  it('are those that a configuration has brought', () => {
    expect(unnamedManifests(withAddons(), store)).toEqual(['shop']);
    expect(unnamedManifests(withAddons([{ name: 'shop', manifests: ['a.yaml'] }]), store)).toEqual([]);
  });
});

describe('objects that have left the files', () => {
  const config = (name: string, namespace?: string): ObjectName => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    ...(namespace ? { namespace } : {}),
    name,
  });
  const deployment = (version: string): ObjectName => ({
    apiVersion: `apps/${version}`,
    kind: 'Deployment',
    name: 'd',
  });
  it.each<[string, ObjectName[], ObjectName[], string[]]>([
    ['none', [config('a', 'x')], [config('a', 'x')], []],
    ['the last first', [config('a', 'x'), config('b', 'x')], [], ['ConfigMap x/b', 'ConfigMap x/a']],
    ['another namespace is another object', [config('a', 'x')], [config('a', 'y')], ['ConfigMap x/a']],
    ['another version is the same object', [deployment('v1beta1')], [deployment('v1')], []],
    [
      'another group is another object',
      [{ ...deployment('v1'), apiVersion: 'extensions/v1' }],
      [deployment('v1')],
      ['Deployment d'],
    ],
  ])('%s', (_, before, now, gone) => {
    expect(leftOut(before, now).map(describeName)).toEqual(gone);
  });

  it('are named one by one when they are few', () => {
    const names = ['a', 'b', 'c', 'd'].map((name) => config(name));
    expect(describeSome(names.slice(0, 3))).toBe('ConfigMap a, ConfigMap b, ConfigMap c');
    expect(describeSome(names)).toBe('ConfigMap a and 3 more');
  });
});

describe('manifests', () => {
  const read = (...texts: string[]) => parseManifests(texts.map((text, i) => ({ file: `${i + 1}.yaml`, text })));
  const map = (name: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: x}\n`;

  it('are read from several files, documents and lists', () => {
    const list = 'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n';
    const found = read(`${map('a')}---\n---\n${map('b')}`, list);
    expect(found.map(({ object, what }) => [describeName(nameOf(object)), what])).toEqual([
      ['ConfigMap x/a', 'document 1, ConfigMap x/a'],
      ['ConfigMap x/b', 'document 2, ConfigMap x/b'],
      ['Secret s', 'document 1, Secret s'],
    ]);
    expect(found[2]?.place(['metadata', 'name'])).toBe('2.yaml:4:45');
  });

  it('bring namespaces and definitions before all others', () => {
    const kinds = ['ConfigMap', 'Namespace', 'Widget', 'CustomResourceDefinition'];
    const { first, others } = inOrder(read(...kinds.map((kind) => map('a').replace('ConfigMap', kind))));
    const kindOf = ({ object }: { object: { kind?: string } }) => object.kind;
    expect([first.map(kindOf), others.map(kindOf)]).toEqual([
      ['Namespace', 'CustomResourceDefinition'],
      ['ConfigMap', 'Widget'],
    ]);
  });

  it.each<[string[], string]>([
    [['a: 1\n'], '1.yaml:1:1: document 1: apiVersion is missing'],
    [['apiVersion: v1\nkind: Pod\n'], '1.yaml:1:1: document 1, Pod: metadata.name: is missing'],
    [[`${map('a')}---\n- 1\n`], '1.yaml:5:1: document 2: is no object with apiVersion and kind'],
    [
      ['apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n'],
      '1.yaml:3:1: document 1, Pod: metadata.name: generateName makes',
    ],
    [[map('a'), map('a')], '2.yaml:3:12: document 1, ConfigMap x/a: it stands in 1.yaml, document 1 already'],
    [['# nothing\n'], '1.yaml: there is no object'],
    [['a: [\n'], '1.yaml:'],
  ])('say where they are wrong: %j', (texts, message) => {
    expect(() => read(...texts)).toThrow(message);
  });
});
