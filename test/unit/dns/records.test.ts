import { describe, expect, it } from 'vitest';
import { emptyAnswer } from '../../../src/components/dns/chain.ts';
import { parseCorefile } from '../../../src/components/dns/corefile.ts';
import { cacheHandler } from '../../../src/components/dns/plugins/cache.ts';
import { type ClusterView, lookup, reverseLookup } from '../../../src/components/dns/plugins/records.ts';
import type { EndpointSlice, Service } from '../../../src/machinery/api/types.ts';

const services: Record<string, Service> = {
  'shop/web': {
    metadata: { namespace: 'shop', name: 'web' },
    spec: { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
  },
  'shop/db': {
    metadata: { namespace: 'shop', name: 'db' },
    spec: { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'sql', port: 5432 }] },
  },
  'shop/out': {
    metadata: { namespace: 'shop', name: 'out' },
    spec: { type: 'ExternalName', externalName: 'Example.ORG' },
  },
};
const dbSlice: EndpointSlice = {
  metadata: { namespace: 'shop', name: 'db-1' },
  addressType: 'IPv4',
  ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
  endpoints: [
    { addresses: ['10.244.1.5'], hostname: 'db-0', conditions: { ready: true } },
    { addresses: ['10.244.1.6'], conditions: { ready: true } },
    { addresses: ['10.244.1.7'], conditions: { ready: false } },
  ],
};
const view: ClusterView = {
  service: (namespace, name) => services[`${namespace}/${name}`],
  slices: (namespace, name) => (`${namespace}/${name}` === 'shop/db' ? [dbSlice] : []),
  hasNamespace: (name) => name === 'shop',
  servicesByClusterIP: (ip) => Object.values(services).filter((s) => s.spec?.clusterIP === ip),
  endpointNamesByIP: (ip) => (ip === '10.244.1.5' ? ['db-0.db.shop'] : []),
};
const options = { zone: 'cluster.local.', ttl: 30, pods: 'insecure' as const };
const data = (name: string, type: string) => {
  const found = lookup(view, options, name, type);
  return found?.records.map((record) => record.data);
};

describe('names of the cluster', () => {
  it.each([
    ['web.shop.svc.cluster.local.', 'A', ['10.96.0.7']],
    ['web.shop.svc.cluster.local.', 'AAAA', []],
    ['db.shop.svc.cluster.local.', 'A', ['10.244.1.5', '10.244.1.6']],
    ['db-0.db.shop.svc.cluster.local.', 'A', ['10.244.1.5']],
    ['10-244-1-6.db.shop.svc.cluster.local.', 'A', ['10.244.1.6']],
    ['10-244-9-9.shop.pod.cluster.local.', 'A', ['10.244.9.9']],
    ['shop.svc.cluster.local.', 'A', []],
    ['dns-version.cluster.local.', 'TXT', ['1.1.0']],
    ['none.shop.svc.cluster.local.', 'A', undefined],
    ['web.nowhere.svc.cluster.local.', 'A', undefined],
    ['x.web.shop.svc.cluster.local.', 'A', undefined],
    [
      '_http._tcp.web.shop.svc.cluster.local.',
      'SRV',
      [{ priority: 0, weight: 100, port: 80, target: 'web.shop.svc.cluster.local' }],
    ],
    ['_http._udp.web.shop.svc.cluster.local.', 'SRV', undefined],
  ])('%s %s', (name, type, expected) => {
    expect(data(name, type)).toEqual(expected);
  });

  it('SRV of a headless service names each endpoint and brings its address along', () => {
    const found = lookup(view, options, '_sql._tcp.db.shop.svc.cluster.local.', 'SRV');
    expect(found?.records.map((r) => (r.data as { target: string }).target)).toEqual([
      'db-0.db.shop.svc.cluster.local',
      '10-244-1-6.db.shop.svc.cluster.local',
    ]);
    expect(found?.additionals.map((r) => r.data)).toEqual(['10.244.1.5', '10.244.1.6']);
  });

  it('an ExternalName service is a CNAME to be followed', () => {
    expect(lookup(view, options, 'out.shop.svc.cluster.local.', 'A')).toMatchObject({
      cname: 'example.org.',
      records: [{ type: 'CNAME' }],
    });
  });

  it.each([
    ['7.0.96.10.in-addr.arpa.', ['web.shop.svc.cluster.local']],
    ['5.1.244.10.in-addr.arpa.', ['db-0.db.shop.svc.cluster.local']],
    ['1.1.1.1.in-addr.arpa.', undefined],
  ])('PTR %s', (name, expected) => {
    expect(reverseLookup(view, options, name)?.records.map((r) => r.data)).toEqual(expected);
  });
});

describe('a Corefile', () => {
  it('is read into blocks, plugins and properties', () => {
    const [block] = parseCorefile(
      '.:53 {\n  errors\n  kubernetes cluster.local in-addr.arpa {\n    pods insecure\n    ttl 30\n  }\n  forward . /etc/resolv.conf\n}\n',
    );
    expect(block).toMatchObject({ zones: ['.'], port: 53 });
    expect(block?.directives.map((d) => d.name)).toEqual(['errors', 'kubernetes', 'forward']);
    expect(block?.directives[1]?.properties).toEqual([
      { name: 'pods', args: ['insecure'] },
      { name: 'ttl', args: ['30'] },
    ]);
  });

  it.each([
    ['.:53 {\n  kubernets\n}', 'Corefile:2: unknown plugin "kubernets"'],
    ['.:53 {\n  errors\n', 'the last block is not closed'],
    ['', 'no server block'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => parseCorefile(text)).toThrow(message);
  });
});

describe('the cache', () => {
  it('asks once while the record lives, and counts its time to live down', async () => {
    let clock = 0;
    let asked = 0;
    const cache = cacheHandler({ maxTtl: 30, maxNegativeTtl: 5, capacity: 10 }, () => clock);
    const next = async () => {
      asked++;
      return { ...emptyAnswer('NOERROR'), answers: [{ name: 'a.', type: 'A', ttl: 10, data: '1.2.3.4' }] };
    };
    const query = { name: 'a.', type: 'A', client: '', recursionDesired: true };
    await cache(query, next);
    clock = 4000;
    expect((await cache(query, next)).answers[0]?.ttl).toBe(6);
    expect(asked).toBe(1);
    clock = 11_000;
    await cache(query, next);
    expect(asked).toBe(2);
  });
});
