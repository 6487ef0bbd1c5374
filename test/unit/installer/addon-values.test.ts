import { describe, expect, it } from 'vitest';
import { dnsObjects, networkObjects, proxyObjects } from '../../../src/installer/addons/objects.ts';
import { parseSet } from '../../../src/installer/addons/set-values.ts';
import { addonValues, type BuiltInAddon, valueMistakes } from '../../../src/installer/config/addon-values.ts';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';

const config = resolveInit({}, noConfig, { hostname: 'cp1', address: '10.0.0.1' }, []);

describe('--set', () => {
  it.each<[string[], object[]]>([
    [['replicas=3'], [{ replicas: 3 }]],
    [['replicas=3,log=true'], [{ replicas: 3 }, { log: true }]],
    [['upstreams={10.0.0.1, 10.0.0.2:5353},cache=0'], [{ upstreams: ['10.0.0.1', '10.0.0.2:5353'] }, { cache: 0 }]],
    [['zones.corp\\.example={10.0.0.1}'], [{ zones: { 'corp.example': ['10.0.0.1'] } }]],
    [['replicas=null'], [{ replicas: null }]],
    [['directory=/srv/a=b'], [{ directory: '/srv/a=b' }]],
    [
      ['upstreams={}', 'mtu=01'],
      [{ upstreams: [] }, { mtu: '01' }],
    ],
  ])('reads %j', (words, patches) => {
    expect(parseSet(words)).toEqual(patches);
  });

  it.each([['replicas'], ['=3'], ['a b=3']])('does not take "%s"', (word) => {
    expect(() => parseSet([word])).toThrow(`--set has "${word}"; it takes <name>=<value>,…`);
  });
});

describe('values of an add-on', () => {
  it.each<[BuiltInAddon, object]>([
    ['dns', { replicas: 3, upstreams: ['10.0.0.1', '[fd00::1]:53', '/etc/resolv.conf'], cache: 0, log: true }],
    ['dns', { zones: { 'corp.example': ['10.0.0.1'] } }],
    ['proxy', { mode: 'iptables', syncPeriod: '1m', minSyncPeriod: '0s', metricsBindAddress: '0.0.0.0:10249' }],
    ['network', { backend: 'host-gw', mtu: 1400 }],
    ['metrics-server', { replicas: 2, resolution: '30s' }],
    ['local-path', { directory: '/srv/volumes', defaultClass: false }],
  ])('of %s may be %j', (name, values) => {
    expect(valueMistakes(name, { ...values })).toEqual([]);
  });

  it.each<[BuiltInAddon, object, string, string]>([
    ['dns', { replica: 3 }, 'replica', 'there is no value "replica"; did you mean "replicas"?'],
    ['dns', { replicas: 0 }, 'replicas', 'replicas: 0: '],
    ['dns', { upstreams: ['dns.example'] }, 'upstreams.0', 'upstreams[0]: "dns.example": is no DNS server'],
    ['dns', { upstreams: ['10.0.0.1:99999'] }, 'upstreams.0', 'is no DNS server'],
    ['dns', { zones: { 'corp.example': [] } }, 'zones.corp.example', 'zones.corp.example: '],
    ['proxy', { mode: 'ipvs' }, 'mode', 'mode is "ipvs"; it takes "iptables"'],
    ['proxy', { syncPeriod: '5' }, 'syncPeriod', 'is no duration like 30s (at least 1s)'],
    ['network', { mtu: 100 }, 'mtu', 'mtu: 100: '],
    ['metrics-server', { resolution: '1s' }, 'resolution', 'is no duration like 15s (at least 10s)'],
    ['local-path', { directory: 'srv/../x' }, 'directory', 'is no absolute path'],
  ])('of %s may not be %j', (name, values, path, message) => {
    const [mistake, ...more] = valueMistakes(name, { ...values });
    expect(mistake?.path.join('.')).toBe(path);
    expect(mistake?.message).toContain(message);
    expect(more).toEqual([]);
  });
});

describe('a value reaches what it is for', () => {
  const corefile = (values: object) =>
    JSON.stringify(dnsObjects(config, values).find(({ kind }) => kind === 'ConfigMap'));
  it.each<[object, string]>([
    [{ upstreams: ['10.0.0.1', '10.0.0.2'] }, 'forward . 10.0.0.1 10.0.0.2 {'],
    [{ zones: { 'corp.example': ['10.1.0.1'] } }, 'forward corp.example 10.1.0.1 {'],
    [{ cache: 60 }, 'cache 60 {'],
    [{ log: true }, '\\n    log\\n'],
  ])('Corefile with %j', (values, text) => {
    expect(corefile({})).not.toContain(text);
    expect(corefile(values)).toContain(text);
  });

  it('a Corefile without cache', () => {
    expect(corefile({})).toContain('cache 30 {');
    expect(corefile({ cache: 0 })).not.toContain('cache');
  });

  it('kube-proxy and the pod network are made anew when their configuration changes, and only then', () => {
    const hash = (objects: object[]) => /"kinit.local\/configuration":"(\w+)"/.exec(JSON.stringify(objects))?.[1];
    for (const [make, values] of [
      [proxyObjects, { syncPeriod: '1m' }],
      [networkObjects, { mtu: 1400 }],
    ] as const) {
      expect(hash(make(config, {}))).toMatch(/^[0-9a-f]{16}$/);
      expect(hash(make(config, {}))).toBe(hash(make(config)));
      expect(hash(make(config, values))).not.toBe(hash(make(config, {})));
    }
  });

  it('every add-on of the schema has all its values optional', () => {
    for (const schema of Object.values(addonValues)) expect(schema.safeParse({}).success).toBe(true);
  });
});

describe('addons in a configuration', () => {
  const host = (addons: string) => `apiVersion: kinit.local/v1alpha1\nkind: HostConfiguration\naddons:\n${addons}`;
  const init = (addons: string, flags: object = {}) =>
    resolveInit(flags, parseConfig(host(addons), 'c.yaml'), { hostname: 'cp1', address: '10.0.0.1' }, []).host.addons;

  it('have one name each, whatever they are called', () => {
    expect(init('- {name: coredns, values: {replicas: 1}}\n- {name: metrics-server}\n')).toEqual([
      { name: 'dns', values: { replicas: 1 } },
      { name: 'metrics-server' },
    ]);
  });

  it('are turned on and off by flags', () => {
    expect(init('- {name: dns, values: {cache: 5}}\n', { addons: ['metrics-server'], disableAddons: ['dns'] })).toEqual(
      [
        { name: 'dns', values: { cache: 5 }, enabled: false },
        { name: 'metrics-server', enabled: true },
      ],
    );
    expect(() => init('- {name: dns}\n', { addons: ['metrics'] })).toThrow('--addons: there is no add-on "metrics"');
  });

  it.each([
    ['- {name: metric-server}\n', 'c.yaml:4:4: ', 'there is no add-on "metric-server"; did you mean "metrics-server"?'],
    ['- {name: dns, values: {replica: 2}}\n', 'c.yaml:4:24: ', 'there is no value "replica"; did you mean "replicas"?'],
    ['- {name: dns, manifests: [a.yaml]}\n', 'c.yaml:4:15: ', "dns is an add-on of kinit's"],
    ['- {name: shop, manifests: [a.yaml], values: {a: 1}}\n', 'c.yaml:4:37: ', 'manifests have no values'],
    ['- {name: dns}\n- {name: coredns}\n', 'c.yaml:5:4: ', 'dns stands in the list already'],
    ['- {name: Shop, manifests: [a.yaml]}\n', 'c.yaml:4:4: ', 'is no name of an add-on'],
  ])('refuse %j', (addons, place, message) => {
    const attempt = () => parseConfig(host(addons), 'c.yaml');
    expect(attempt).toThrow(place);
    expect(attempt).toThrow(message);
  });

  it('stand in an inventory for all hosts, and in no host of it', () => {
    const inventory = (text: string) =>
      parseInventory(
        `apiVersion: kinit.local/v1alpha1\nkind: Inventory\n${text}hosts: [{name: a, roles: [control-plane]}]\n`,
        'i.yaml',
      );
    expect(inventory('addons: [{name: metrics-server}]\n').addons).toEqual([{ name: 'metrics-server' }]);
    expect(() => inventory('defaults: {settings: {addons: []}}\n')).toThrow('unknown field "addons"');
  });
});
