/** A pod's resolv.conf: its DNS policy over the cluster's name server and the node's own configuration. */
import type { Pod } from '../../../machinery/api/types.ts';
import type { DnsConfig } from '../cri/types.ts';

const searchLimit = 32;
const searchCharacters = 2048;
const serverLimit = 3;

export interface ClusterDns {
  servers: string[];
  domain: string;
}

/** The text of a resolv.conf. */
export function parseResolvConf(text: string): DnsConfig {
  const config: DnsConfig = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [word, ...values] = line.trim().split(/\s+/);
    if (!word || /^[#;]/.test(word)) continue;
    if (word === 'nameserver' && values[0]) config.servers.push(values[0]);
    // The last search line wins, like the resolver's own reading.
    if (word === 'search') config.searches = values.map((search) => (search === '.' ? '.' : search.replace(/\.$/, '')));
    if (word === 'options') config.options.push(...values.filter((option) => !config.options.includes(option)));
  }
  return config;
}

/** @param host what the node's resolv.conf says */
export function podDns(pod: Pod, host: DnsConfig, cluster: ClusterDns): DnsConfig {
  const { dnsPolicy = 'ClusterFirst', hostNetwork, dnsConfig } = pod.spec ?? {};
  const clusterFirst =
    dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && hostNetwork !== true);
  let config: DnsConfig;
  if (dnsPolicy === 'None') config = { servers: [], searches: [], options: [] };
  else if (clusterFirst && cluster.servers.length) {
    const own = cluster.domain
      ? [`${pod.metadata?.namespace}.svc.${cluster.domain}`, `svc.${cluster.domain}`, cluster.domain]
      : [];
    config = {
      servers: cluster.servers,
      searches: unique([...own, ...host.searches]),
      options: ['ndots:5'],
    };
  } else {
    // A node without name servers: nobody is asked on the pod's own loopback.
    config = host.servers.length ? host : { ...host, servers: ['127.0.0.1'] };
  }
  if (dnsConfig) {
    config = {
      servers: unique([...config.servers, ...(dnsConfig.nameservers ?? [])]),
      searches: unique([...config.searches, ...(dnsConfig.searches ?? [])]),
      options: mergeOptions(
        config.options,
        (dnsConfig.options ?? []).map(({ name, value }) => (value ? `${name}:${value}` : `${name}`)),
      ),
    };
  }
  return { ...config, servers: config.servers.slice(0, serverLimit), searches: fitting(config.searches) };
}

const unique = (values: string[]): string[] => [...new Set(values)];

function mergeOptions(base: string[], given: string[]): string[] {
  const merged = new Map<string, string>();
  for (const option of [...base, ...given]) merged.set(option.split(':', 1)[0] as string, option);
  return [...merged.values()];
}

function fitting(searches: string[]): string[] {
  const kept: string[] = [];
  let length = 0;
  for (const search of searches.slice(0, searchLimit)) {
    length += search.length + (kept.length ? 1 : 0);
    if (length > searchCharacters) break;
    kept.push(search);
  }
  return kept;
}
