/**
 * What a node's kernel should hold so that pods reach pods on other nodes: a pure function of the configuration and the
 * cluster's nodes. `reconcile.ts` compares it with what is there.
 */
import type { Node } from '../../machinery/api/types.ts';
import { isCidr, type NetworkConfig } from './config.ts';

/** Name of the VXLAN interface; `kinit reset` removes it. */
export const vxlanInterface = 'kinit.1';
/** Bytes that VXLAN over IPv4 adds to a packet. */
const vxlanOverhead = 50;

/** Another node, as far as packets are concerned. */
export interface Peer {
  name: string;
  /** Its InternalIP. */
  address: string;
  podCIDR: string;
}

export interface Uplink {
  interface: string;
  /** Of this node. */
  address: string;
  mtu: number;
}

export interface RoutePlan {
  destination: string;
  via: string;
  device: string;
  /** The gateway is not in a network of the device. */
  onlink: boolean;
}

export interface NetworkPlan {
  podCIDR: string;
  /** MTU of pods' interfaces. */
  mtu: number;
  vxlan?: {
    interface: string;
    id: number;
    port: number;
    local: string;
    uplink: string;
    mac: string;
    address: string;
    mtu: number;
  };
  routes: RoutePlan[];
  /** Link-layer addresses of the peers' VXLAN interfaces, and the hosts that they lie on. */
  neighbours: { address: string; mac: string; host: string }[];
}

export function internalIP(node: Node): string | undefined {
  return node.status?.addresses?.find((address) => address.type === 'InternalIP')?.address;
}

/** The nodes that have both an address and a pod range, except `self`. */
export function peersOf(nodes: Node[], self: string): Peer[] {
  return nodes
    .flatMap((node) => {
      const name = node.metadata?.name ?? '';
      const address = internalIP(node);
      const podCIDR = node.spec?.podCIDR;
      return name !== self && address && podCIDR && isCidr(podCIDR) ? [{ name, address, podCIDR }] : [];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A node's VXLAN MAC follows from its address, so that nothing needs to be announced: locally administered, unicast. */
export function vxlanMac(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `0e:6b:${bytes.join(':')}`;
}

const networkAddress = (cidr: string) => cidr.slice(0, cidr.indexOf('/'));

export function planNetwork(config: NetworkConfig, uplink: Uplink, podCIDR: string, peers: Peer[]): NetworkPlan {
  if (config.backend === 'host-gw') {
    return {
      podCIDR,
      mtu: config.mtu ?? uplink.mtu,
      routes: peers.map((peer) => ({
        destination: peer.podCIDR,
        via: peer.address,
        device: uplink.interface,
        onlink: false,
      })),
      neighbours: [],
    };
  }
  const mtu = config.mtu ?? uplink.mtu - vxlanOverhead;
  return {
    podCIDR,
    mtu,
    vxlan: {
      interface: vxlanInterface,
      id: config.vni,
      port: config.port,
      local: uplink.address,
      uplink: uplink.interface,
      mac: vxlanMac(uplink.address),
      address: networkAddress(podCIDR),
      mtu,
    },
    routes: peers.map((peer) => ({
      destination: peer.podCIDR,
      via: networkAddress(peer.podCIDR),
      device: vxlanInterface,
      onlink: true,
    })),
    neighbours: peers.map((peer) => ({
      address: networkAddress(peer.podCIDR),
      mac: vxlanMac(peer.address),
      host: peer.address,
    })),
  };
}

/** The CNI configuration list of this node: a bridge with addresses from the node's range, and host ports. */
export function cniConfig(plan: NetworkPlan): object {
  return {
    cniVersion: '1.0.0',
    name: 'kinit',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isDefaultGateway: true,
        forceAddress: true,
        hairpinMode: true,
        ipMasq: false,
        mtu: plan.mtu,
        ipam: { type: 'host-local', ranges: [[{ subnet: plan.podCIDR }]], dataDir: '/var/lib/cni/networks' },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
}

/** iptables-restore input: pod traffic is forwarded, and leaves the pod network with the node's address. */
export function masqueradeRules(network: string, podCIDR: string): string {
  return `*nat
:KINIT-POSTROUTING - [0:0]
-A KINIT-POSTROUTING -s ${network} -d ${network} -j RETURN
-A KINIT-POSTROUTING -s ${network} ! -d 224.0.0.0/4 -m comment --comment "pods to outside of the pod network" -j MASQUERADE --random-fully
-A KINIT-POSTROUTING ! -s ${network} -d ${podCIDR} -j RETURN
-A KINIT-POSTROUTING ! -s ${network} -d ${network} -m comment --comment "hosts to pods of other nodes" -j MASQUERADE --random-fully
COMMIT
*filter
:KINIT-FORWARD - [0:0]
-A KINIT-FORWARD -s ${network} -m comment --comment "from pods" -j ACCEPT
-A KINIT-FORWARD -d ${network} -m comment --comment "to pods" -j ACCEPT
COMMIT
`;
}

/** Jumps into our chains: table, built-in chain, arguments. */
export const jumps: [string, string, string[]][] = [
  ['nat', 'POSTROUTING', ['-m', 'comment', '--comment', 'kinit pod network', '-j', 'KINIT-POSTROUTING']],
  ['filter', 'FORWARD', ['-m', 'comment', '--comment', 'kinit pod network', '-j', 'KINIT-FORWARD']],
];
