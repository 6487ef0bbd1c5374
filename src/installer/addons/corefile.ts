/** The Corefile of the cluster DNS: kubeadm's, with what the values of the add-on say. */
import type { ValuesOf } from '../config/addon-values.ts';

/** @param dnsDomain of services */
export function corefile(dnsDomain: string, values: ValuesOf<'dns'>): string {
  const { upstreams = ['/etc/resolv.conf'], cache = 30, zones = {}, log = false } = values;
  const forward = (zone: string, servers: readonly string[]) => [
    `forward ${zone} ${servers.join(' ')} {`,
    '   max_concurrent 1000',
    '}',
  ];
  const caching = [`cache ${cache} {`, `   disable success ${dnsDomain}`, `   disable denial ${dnsDomain}`, '}'];
  const lines = [
    'errors',
    ...(log ? ['log'] : []),
    'health {',
    '   lameduck 5s',
    '}',
    'ready',
    `kubernetes ${dnsDomain} in-addr.arpa ip6.arpa {`,
    '   pods insecure',
    '   fallthrough in-addr.arpa ip6.arpa',
    '   ttl 30',
    '}',
    'prometheus :9153',
    // The first that fits is asked.
    ...Object.entries(zones).flatMap(([zone, servers]) => forward(zone, servers)),
    ...forward('.', upstreams),
    ...(cache ? caching : []),
    'loop',
    'reload',
    'loadbalance',
  ];
  return ['.:53 {', ...lines.map((line) => `    ${line}`), '}', ''].join('\n');
}
