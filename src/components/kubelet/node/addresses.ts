/** The node's name and addresses. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';

/** As objects are named: lower case, without white space. */
export function nodeNameOf(override: string | undefined): string {
  const name = (override || hostname()).trim().toLowerCase();
  if (!name) throw new Error('empty hostname is invalid');
  return name;
}

/** The interface of the default route, from /proc/net/route. */
export function defaultInterface(routes: string): string | undefined {
  const candidates = routes
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, destination, , flags]) => destination === '00000000' && (Number.parseInt(flags ?? '0', 16) & 1) === 1)
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  return candidates[0]?.[0];
}

/**
 * What `--node-ip` says; else the address that the host name resolves to, when this host has it and it is no loopback;
 * else the first one of the interface with the default route.
 */
export async function nodeIps(given: string | undefined, nodeName: string): Promise<string[]> {
  if (given && given !== '0.0.0.0' && given !== '::') {
    const ips = given.split(',').map((ip) => ip.trim());
    const wrong = ips.find((ip) => isIP(ip) === 0);
    if (wrong !== undefined) throw new Error(`invalid --node-ip: "${wrong}" is not an IP address`);
    return ips;
  }
  const interfaces = networkInterfaces();
  const own = new Set(
    Object.values(interfaces)
      .flat()
      .filter((address) => address && !address.internal)
      .map((address) => address?.address),
  );
  const resolved = await lookup(nodeName, { all: true, family: 4 }).catch(() => []);
  const named = resolved.find(({ address }) => own.has(address));
  if (named) return [named.address];
  const device = defaultInterface(await readFile('/proc/net/route', 'utf8').catch(() => ''));
  const usable = (name: string | undefined) =>
    (interfaces[name ?? ''] ?? []).find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  const address =
    usable(device) ??
    Object.keys(interfaces)
      .filter((name) => !/^(cni|flannel|docker|veth|kinit|cali|cilium|vxlan)/.test(name))
      .map(usable)
      .find((ip) => ip !== undefined);
  return address ? [address] : [];
}
