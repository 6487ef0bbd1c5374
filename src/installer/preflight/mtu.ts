/** The size of packets on the way to other hosts. */
import { defaultInterface } from '../host/facts.ts';
import { readText } from '../host/host.ts';
import { type Check, type Finding, warning } from './check.ts';

/** IPv6 does not work below. */
const minimum = 1280;
/** What VXLAN adds to each packet. */
const overhead = 50;

/** MTU by interface, of `ip -o link show`. */
export function mtusOf(links: string): Map<string, number> {
  const found = [...links.matchAll(/^\d+: ([^:@\s]+)[:@].*? mtu (\d+) /gm)];
  return new Map(found.map(([, name, mtu]) => [name as string, Number(mtu)]));
}

export function judgeMtu(name: string, mtu: number): Finding[] {
  if (mtu - overhead >= minimum) return [];
  const message = `${name} has an MTU of ${mtu}: ${mtu - overhead} are left for pods over VXLAN, less than the ${minimum} that IPv6 and many paths need`;
  return [
    warning('MTU', message, `check the network of this host; usual are 1500, and 1400 to 1460 in clouds and VPNs`),
  ];
}

export const mtu: Check = async ({ host }) => {
  const name = defaultInterface((await readText(host, '/proc/net/route')) ?? '');
  if (!name) return [];
  const links = await host.run('ip', ['-o', 'link', 'show', 'dev', name], { observe: true });
  const found = mtusOf(links.stdout).get(name);
  return found ? judgeMtu(name, found) : [];
};
