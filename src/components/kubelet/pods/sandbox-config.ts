/** Pod → the configuration of its sandbox. */
import { dirname, join } from 'node:path';
import type { Pod } from '../../../machinery/api/types.ts';
import { labels } from '../cri/labels.ts';
import type { DnsConfig, PodSandboxConfig, PortMapping } from '../cri/types.ts';
import { isHostNetwork } from './containers.ts';
import { type SecuritySettings, sandboxSecurity } from './security.ts';

export interface SandboxSettings extends SecuritySettings {
  podLogsDir: string;
  clusterDomain: string;
}

/** `/var/log/pods/<namespace>_<name>_<uid>` */
export const podLogFolder = (podLogsDir: string, pod: Pod): string =>
  join(podLogsDir, `${pod.metadata?.namespace}_${pod.metadata?.name}_${pod.metadata?.uid}`);

/** `/var/log/containers`, beside the pods' logs: links that log shippers look for. */
export const containerLogLinks = (podLogsDir: string): string => join(dirname(podLogsDir), 'containers');

const hostNameLimit = 63;

export function podHostName(pod: Pod): string {
  const { hostnameOverride, hostname } = pod.spec ?? {};
  if (hostnameOverride) return hostnameOverride;
  const name = hostname || pod.metadata?.name || '';
  return name.slice(0, hostNameLimit).replace(/[-.]+$/, '');
}

/** The name below the cluster's domain, of a pod that has a subdomain. */
export function podDomain(pod: Pod, clusterDomain: string): string | undefined {
  const { subdomain, hostnameOverride } = pod.spec ?? {};
  if (!subdomain || hostnameOverride || !clusterDomain) return undefined;
  return `${subdomain}.${pod.metadata?.namespace}.svc.${clusterDomain}`;
}

export function sandboxConfig(
  pod: Pod,
  attempt: number,
  dnsConfig: DnsConfig,
  cgroupParent: string,
  settings: SandboxSettings,
): PodSandboxConfig {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  const domain = podDomain(pod, settings.clusterDomain);
  const hostname = pod.spec?.setHostnameAsFQDN && domain ? `${podHostName(pod)}.${domain}` : podHostName(pod);
  const sysctls = Object.fromEntries(
    (pod.spec?.securityContext?.sysctls ?? []).map((sysctl) => [sysctl.name, sysctl.value]),
  );
  const portMappings = isHostNetwork(pod) ? [] : (pod.spec?.containers ?? []).flatMap(containerPortMappings);
  return {
    metadata: { name, namespace, uid, attempt },
    ...(isHostNetwork(pod) ? {} : { hostname }),
    logDirectory: podLogFolder(settings.podLogsDir, pod),
    dnsConfig,
    ...(portMappings.length ? { portMappings } : {}),
    labels: {
      ...pod.metadata?.labels,
      [labels.podName]: name,
      [labels.podNamespace]: namespace,
      [labels.podUid]: uid,
    },
    annotations: { ...pod.metadata?.annotations },
    linux: {
      cgroupParent,
      securityContext: sandboxSecurity(pod, settings),
      ...(Object.keys(sysctls).length ? { sysctls } : {}),
    },
  };
}

function containerPortMappings({
  ports = [],
}: {
  ports?: { containerPort: number; hostPort?: number; hostIP?: string; protocol?: string }[];
}): PortMapping[] {
  return ports
    .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0)
    .map(({ containerPort, hostPort, hostIP, protocol }) => ({
      containerPort,
      hostPort: hostPort as number,
      hostIp: hostIP ?? '',
      protocol: (protocol ?? 'TCP') as PortMapping['protocol'],
    }));
}
