import { describe, expect, it } from 'vitest';
import { parseNetworkConfig } from '../../../src/components/network/config.ts';
import { cniConfig, peersOf, planNetwork, vxlanMac } from '../../../src/components/network/plan.ts';
import {
  forwardingCommands,
  linkCommands,
  neighbourCommands,
  routeCommands,
} from '../../../src/components/network/reconcile.ts';
import type { Node } from '../../../src/machinery/api/types.ts';

const node = (name: string, address: string, podCIDR?: string): Node => ({
  metadata: { name },
  spec: podCIDR ? { podCIDR } : {},
  status: { addresses: [{ type: 'InternalIP', address }] },
});
const uplink = { interface: 'eth0', address: '10.0.0.1', mtu: 1500 };
const config = parseNetworkConfig('{"network":"10.244.0.0/16"}', 'net-conf.json');
const peers = peersOf(
  [node('a', '10.0.0.1', '10.244.0.0/24'), node('b', '10.0.0.2', '10.244.1.0/24'), node('c', '10.0.0.3')],
  'a',
);

describe('the configuration', () => {
  it.each([
    ['{', 'net-conf.json: not JSON'],
    ['{"network":"10.244.0.0"}', 'network: "10.244.0.0" is not an IPv4 CIDR'],
    ['{"network":"10.244.0.0/16","backend":"ipsec"}', 'backend: "ipsec" is neither vxlan nor host-gw'],
    ['{"network":"10.244.0.0/16","mtu":1}', 'mtu: 1 is not a whole number from 576'],
    ['{"network":"10.244.0.0/16","vxlan":1}', 'unknown field "vxlan"'],
  ])('%s is refused with a word on what is wrong', (text, message) => {
    expect(() => parseNetworkConfig(text, 'net-conf.json')).toThrow(message);
  });
});

describe('the plan with VXLAN', () => {
  const plan = planNetwork(config, uplink, '10.244.0.0/24', peers);

  it('leaves out this node and nodes without a pod range', () => {
    expect(peers.map((peer) => peer.name)).toEqual(['b']);
  });

  it('routes a peer over the tunnel, whose address and MAC follow from the peer alone', () => {
    expect(plan.routes).toEqual([{ destination: '10.244.1.0/24', via: '10.244.1.0', device: 'kinit.1', onlink: true }]);
    expect(plan.neighbours).toEqual([{ address: '10.244.1.0', mac: vxlanMac('10.0.0.2'), host: '10.0.0.2' }]);
    expect(vxlanMac('10.0.0.2')).toBe('0e:6b:0a:00:00:02');
  });

  it('leaves room for the tunnel header in the MTU of pods', () => {
    expect(plan.mtu).toBe(1450);
    expect(cniConfig(plan)).toMatchObject({ plugins: [{ type: 'bridge', mtu: 1450 }, { type: 'portmap' }] });
  });

  it('needs no command when everything is there', () => {
    const link = {
      ifname: 'kinit.1',
      mtu: 1450,
      address: vxlanMac('10.0.0.1'),
      flags: ['UP'],
      linkinfo: { info_kind: 'vxlan', info_data: { id: 1, port: 8472, local: '10.0.0.1', link: 'eth0' } },
      addr_info: [{ family: 'inet', local: '10.244.0.0', prefixlen: 32 }],
    };
    expect(linkCommands(link, plan.vxlan!)).toEqual([]);
    expect(
      routeCommands([{ dst: '10.244.1.0/24', gateway: '10.244.1.0', dev: 'kinit.1', protocol: '145' }], plan),
    ).toEqual([]);
    expect(
      neighbourCommands([{ dst: '10.244.1.0', lladdr: vxlanMac('10.0.0.2'), state: ['PERMANENT'] }], plan),
    ).toEqual([]);
    expect(forwardingCommands([{ mac: vxlanMac('10.0.0.2'), dst: '10.0.0.2' }], plan)).toEqual([]);
  });

  it('removes what belonged to a node that is gone, and nothing of others', () => {
    const current = [
      { dst: '10.244.9.0/24', gateway: '10.244.9.0', dev: 'kinit.1', protocol: '145' },
      { dst: '192.168.0.0/24', gateway: '10.0.0.254', dev: 'eth0', protocol: 'static' },
    ];
    expect(routeCommands(current, plan)).toEqual([
      'route del 10.244.9.0/24 proto 145',
      'route replace 10.244.1.0/24 via 10.244.1.0 dev kinit.1 proto 145 onlink',
    ]);
    expect(neighbourCommands([{ dst: '10.244.9.0', lladdr: 'x', state: ['PERMANENT'] }], plan)[0]).toBe(
      'neigh del 10.244.9.0 dev kinit.1',
    );
  });

  it('makes the interface anew when its tunnel parameters differ', () => {
    const other = {
      ifname: 'kinit.1',
      mtu: 1450,
      linkinfo: { info_kind: 'vxlan', info_data: { id: 2, port: 8472, local: '10.0.0.1', link: 'eth0' } },
    };
    expect(linkCommands(other, plan.vxlan!)[0]).toBe('link del kinit.1');
  });
});

describe('the plan with host-gw', () => {
  it('routes straight to the peer', () => {
    const plan = planNetwork({ ...config, backend: 'host-gw' }, uplink, '10.244.0.0/24', peers);
    expect(plan.routes).toEqual([{ destination: '10.244.1.0/24', via: '10.0.0.2', device: 'eth0', onlink: false }]);
    expect(plan.vxlan).toBeUndefined();
    expect(plan.mtu).toBe(1500);
  });
});
