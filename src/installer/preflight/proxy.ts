/** Proxies of the environment: kubectl and other clients on this host would ask them for the cluster's own addresses. */
import { isIP } from 'node:net';
import { addressAt, contains, joinHostPort, parseCidr } from '../config/cidr.ts';
import { type Check, warning } from './check.ts';

/** The proxy that a client takes for https to a host, by Go's rules for HTTPS_PROXY and NO_PROXY. */
export function proxyFor(host: string, env: NodeJS.ProcessEnv): string | undefined {
  const proxy = env['HTTPS_PROXY'] || env['https_proxy'];
  if (!proxy || host === 'localhost' || host.startsWith('127.') || host === '::1') return undefined;
  const exceptions = (env['NO_PROXY'] || env['no_proxy'] || '').split(',').map((entry) => entry.trim().toLowerCase());
  const name = host.toLowerCase();
  const excepted = exceptions.some((entry) => {
    if (entry === '*') return true;
    const block = parseCidr(entry);
    if (block) return isIP(host) !== 0 && contains(block, host);
    const bare = entry.replace(/:\d+$/, '').replace(/^\*?\./, '');
    if (!bare) return false;
    return name === bare ? !/^\*?\./.test(entry) || isIP(host) !== 0 : isIP(host) === 0 && name.endsWith(`.${bare}`);
  });
  return excepted ? undefined : proxy;
}

/** Without the password. */
const shown = (proxy: string) => proxy.replace(/\/\/[^/@]*@/, '//');

export const httpProxy: Check = async ({ endpoint, env }) => {
  const proxy = endpoint.host ? proxyFor(endpoint.host, env) : undefined;
  if (!proxy) return [];
  const url = `https://${joinHostPort(endpoint.host, endpoint.port)}`;
  return [
    warning('HTTPProxy', `connections to ${url} use the proxy ${shown(proxy)}`, `add ${endpoint.host} to NO_PROXY`),
  ];
};

export const httpProxyCidr: Check = async ({ serviceSubnet, podSubnet, env }) =>
  [serviceSubnet, podSubnet]
    .flatMap((subnets) => subnets.split(','))
    .flatMap((subnet) => {
      const block = parseCidr(subnet.trim());
      const proxy = block && proxyFor(addressAt(block, 1), env);
      if (!proxy) return [];
      const message = `connections to ${subnet} use the proxy ${shown(proxy)}`;
      return [warning('HTTPProxyCIDR', message, `add ${subnet} to NO_PROXY`)];
    });
