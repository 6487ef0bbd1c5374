/** The /etc/hosts file that the kubelet keeps for a pod's containers. */
import { readFile } from 'node:fs/promises';
import type { Pod } from '../../../machinery/api/types.ts';

const ownHeader = '# Kubernetes-managed hosts file.\n';
const hostHeader = '# Kubernetes-managed hosts file (host network).\n';
const wellKnown = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'fe00::0\tip6-mcastprefix',
  'fe00::1\tip6-allnodes',
  'fe00::2\tip6-allrouters',
];
const longestName = 63;

/** The name a pod has for itself and, when it has a subdomain, its domain. */
export function hostNameAndDomain(pod: Pod, clusterDomain: string): { hostName: string; domain: string } {
  const { spec, metadata } = pod;
  const override = (spec as { hostnameOverride?: string } | undefined)?.hostnameOverride;
  if (override) return { hostName: override, domain: '' };
  const name = spec?.hostname || metadata?.name || '';
  const hostName = spec?.hostname ? name : name.slice(0, longestName).replace(/[-.]+$/, '');
  return {
    hostName,
    domain: spec?.subdomain ? `${spec.subdomain}.${metadata?.namespace}.svc.${clusterDomain}` : '',
  };
}

/** @param hostFile the node's own file, for pods on its network */
export async function etcHosts(
  pod: Pod,
  podIps: string[],
  clusterDomain: string,
  hostFile = '/etc/hosts',
): Promise<string> {
  const aliases = pod.spec?.hostAliases ?? [];
  if (pod.spec?.hostNetwork) return hostHeader + (await readFile(hostFile, 'utf8')) + aliasLines(aliases);
  const { hostName, domain } = hostNameAndDomain(pod, clusterDomain);
  const own = podIps.map((ip) => (domain ? `${ip}\t${hostName}.${domain}\t${hostName}` : `${ip}\t${hostName}`));
  return `${ownHeader}${[...wellKnown, ...own].join('\n')}\n${aliasLines(aliases)}`;
}

function aliasLines(aliases: { ip: string; hostnames?: string[] }[]): string {
  if (aliases.length === 0) return '';
  const lines = aliases.map(({ ip, hostnames }) => [ip, ...(hostnames ?? [])].join('\t'));
  return `\n# Entries added by HostAliases.\n${lines.join('\n')}\n`;
}
