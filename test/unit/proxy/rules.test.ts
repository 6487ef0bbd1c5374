import { describe, expect, it } from 'vitest';
import {
  buildRules,
  chainHash,
  type RuleOptions,
  restoreInput,
  serviceChain,
} from '../../../src/components/proxy/rules.ts';
import { chooseEndpoints, endpointsByPort, servicePorts } from '../../../src/components/proxy/service-ports.ts';
import type { EndpointSlice, Service } from '../../../src/machinery/api/types.ts';

const options: RuleOptions = {
  node: { name: 'w1' },
  clusterCIDR: '10.244.0.0/16',
  masqueradeAll: false,
  masqueradeBit: 14,
  localhostNodePorts: true,
};

const service = (spec: Service['spec'], name = 'web'): Service => ({ metadata: { namespace: 'shop', name }, spec });
const slice = (endpoints: EndpointSlice['endpoints'], name = 'web'): EndpointSlice => ({
  metadata: { namespace: 'shop', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints,
});

const clusterIPService = service({
  clusterIP: '10.96.0.7',
  clusterIPs: ['10.96.0.7'],
  ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
});

function rulesFor(services: Service[], slices: EndpointSlice[]) {
  return buildRules(servicePorts(services), endpointsByPort(slices, 'w1'), options);
}

describe('chain names', () => {
  it('are the ones that upstream gives', () => {
    // KUBE-SVC-NPX46M4PTMTKRN6Y is default/kubernetes:https on every cluster.
    expect(chainHash('default/kubernetes:httpstcp')).toBe('NPX46M4PTMTKRN6Y');
    // KUBE-SVC-TCOU7JCQXEZGVUNU is kube-system/kube-dns:dns over UDP.
    expect(chainHash('kube-system/kube-dns:dnsudp')).toBe('TCOU7JCQXEZGVUNU');
  });
});

describe('a ClusterIP service', () => {
  it('spreads evenly over its endpoints and translates to each', () => {
    const { nat } = rulesFor(
      [clusterIPService],
      [slice([{ addresses: ['10.244.1.2'] }, { addresses: ['10.244.2.2'] }])],
    );
    const svc = serviceChain(servicePorts([clusterIPService])[0]!);
    const balancing = nat.rules.filter((rule) => rule.startsWith(`-A ${svc} `));
    expect(balancing[0]).toContain('! -s 10.244.0.0/16 -j KUBE-MARK-MASQ');
    expect(balancing[1]).toContain('-m statistic --mode random --probability 0.5000000000');
    expect(balancing[2]).not.toContain('statistic');
    expect(nat.rules.filter((rule) => rule.includes('DNAT')).map((rule) => rule.split('--to-destination ')[1])).toEqual(
      ['10.244.1.2:8080', '10.244.2.2:8080'],
    );
  });

  it('is rejected while it has no endpoints', () => {
    const { nat, filter } = rulesFor([clusterIPService], []);
    expect(nat.rules.join('\n')).not.toContain('10.96.0.7');
    expect(filter.rules).toContain(
      '-A KUBE-SERVICES -m comment --comment "shop/web:http has no endpoints" -m tcp -p tcp -d 10.96.0.7/32 --dport 80 -j REJECT',
    );
  });

  it('remembers a client with session affinity', () => {
    const sticky = service({
      ...clusterIPService.spec,
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    });
    const { nat } = rulesFor([sticky], [slice([{ addresses: ['10.244.1.2'] }])]);
    expect(
      nat.rules.some((rule) => /-m recent --name KUBE-SEP-\w+ --rcheck --seconds 60 --reap -j KUBE-SEP-/.test(rule)),
    ).toBe(true);
    expect(nat.rules.some((rule) => /-m recent --name KUBE-SEP-\w+ --set .*DNAT/.test(rule))).toBe(true);
  });

  it('has no rules when it is headless, of type ExternalName, or served by another proxy', () => {
    const others = [
      service({ clusterIP: 'None', ports: [{ port: 80 }] }),
      service({ type: 'ExternalName', externalName: 'example.org' }),
      {
        ...clusterIPService,
        metadata: { ...clusterIPService.metadata, labels: { 'service.kubernetes.io/service-proxy-name': 'x' } },
      },
    ];
    expect(servicePorts(others)).toEqual([]);
  });
});

describe('a NodePort service', () => {
  const nodePort = (policy: string) =>
    service({
      type: 'NodePort',
      clusterIP: '10.96.0.7',
      externalTrafficPolicy: policy,
      ports: [{ name: 'http', port: 80, nodePort: 30080 }],
    });

  it('is masqueraded with policy Cluster', () => {
    const { nat } = rulesFor([nodePort('Cluster')], [slice([{ addresses: ['10.244.2.2'], nodeName: 'w2' }])]);
    expect(
      nat.rules.some((rule) => rule.startsWith('-A KUBE-NODEPORTS') && rule.includes('--dport 30080 -j KUBE-EXT-')),
    ).toBe(true);
    expect(nat.rules.some((rule) => rule.startsWith('-A KUBE-EXT-') && rule.endsWith('-j KUBE-MARK-MASQ'))).toBe(true);
  });

  it('drops outside traffic with policy Local where no endpoint is on the node', () => {
    const { filter } = rulesFor([nodePort('Local')], [slice([{ addresses: ['10.244.2.2'], nodeName: 'w2' }])]);
    expect(
      filter.rules.some((rule) => rule.includes('has no local endpoints') && rule.includes('--dport 30080 -j DROP')),
    ).toBe(true);
  });
});

describe('the choice of endpoints', () => {
  const base = { port: 1, ready: false, serving: false, terminating: false, local: false };
  it.each([
    [
      'ready ones before terminating ones',
      [
        { ...base, ip: 'a', ready: true, serving: true },
        { ...base, ip: 'b', serving: true, terminating: true },
      ],
      ['a'],
    ],
    [
      'terminating ones that still serve when none is ready',
      [{ ...base, ip: 'b', serving: true, terminating: true }],
      ['b'],
    ],
    ['none when none serves', [{ ...base, ip: 'c' }], []],
  ])('takes %s', (_name, endpoints, expected) => {
    expect(chooseEndpoints(endpoints, { name: 'w1' }).cluster.map((e) => e.ip)).toEqual(expected);
  });

  it('keeps to the zone when every endpoint has a hint', () => {
    const hinted = ['a', 'b'].map((zone) => ({ ...base, ip: zone, ready: true, serving: true, forZones: [zone] }));
    expect(chooseEndpoints(hinted, { name: 'w1', zone: 'b' }).cluster.map((e) => e.ip)).toEqual(['b']);
    expect(chooseEndpoints(hinted, { name: 'w1', zone: 'c' }).cluster.map((e) => e.ip)).toEqual(['a', 'b']);
  });
});

describe('the restore input', () => {
  it('flushes and deletes chains of services that are gone', () => {
    const { nat } = rulesFor([], []);
    const input = restoreInput('nat', nat, ['KUBE-SERVICES', 'KUBE-SVC-OLD', 'POSTROUTING', 'KUBE-MARK-MASQ']);
    expect(input).toContain(':KUBE-SVC-OLD - [0:0]');
    expect(input).toContain('-X KUBE-SVC-OLD');
    expect(input).not.toContain('-X KUBE-SERVICES');
    expect(input.endsWith('COMMIT\n')).toBe(true);
  });
});
