/** The pod network's configuration: `net-conf.json` of the ConfigMap kube-system/kinit-network. */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';

export interface NetworkConfig {
  /** The cluster's pod CIDR; each node's own range is part of it. */
  network: string;
  backend: 'vxlan' | 'host-gw';
  /** UDP port of VXLAN; 8472 is the Linux kernel's default. */
  port: number;
  vni: number;
  /** Bytes; absent: the uplink's MTU less what the backend needs. */
  mtu?: number;
}

export async function readNetworkConfig(path: string): Promise<NetworkConfig> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot read the network configuration ${path}: ${error.code}`);
  });
  return parseNetworkConfig(text, path);
}

/** Throws an error that names the file, the field and what was seen. */
export function parseNetworkConfig(text: string, where: string): NetworkConfig {
  const fail = (what: string): never => {
    throw new Error(`${where}: ${what}`);
  };
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return fail(`not JSON: ${(error as Error).message}`);
  }
  if (typeof raw !== 'object' || raw === null) return fail('must be an object');
  const { network, backend = 'vxlan', port = 8472, vni = 1, mtu, ...unknown } = raw as Record<string, unknown>;
  const extra = Object.keys(unknown)[0];
  if (extra) fail(`unknown field "${extra}"; known: network, backend, port, vni, mtu`);
  if (typeof network !== 'string' || !isCidr(network))
    return fail(`network: "${network}" is not an IPv4 CIDR such as 10.244.0.0/16`);
  if (backend !== 'vxlan' && backend !== 'host-gw') return fail(`backend: "${backend}" is neither vxlan nor host-gw`);
  const inRange = (value: unknown, name: string, low: number, high: number): number =>
    typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high
      ? value
      : fail(`${name}: ${JSON.stringify(value)} is not a whole number from ${low} to ${high}`);
  return {
    network,
    backend,
    port: inRange(port, 'port', 1, 65535),
    vni: inRange(vni, 'vni', 1, 16777215),
    ...(mtu === undefined ? {} : { mtu: inRange(mtu, 'mtu', 576, 65535) }),
  };
}

export function isCidr(text: string): boolean {
  const [address, length, more] = text.split('/');
  return more === undefined && isIPv4(address ?? '') && /^\d+$/.test(length ?? '') && Number(length) <= 32;
}
