/** The endpoint that every node has for itself: a port of loopback, where the balancer leads to an API server that lives. */
import { joinHostPort } from './cidr.ts';
import type { HostConfiguration, InitConfiguration } from './types.ts';

export const loopback = '127.0.0.1';

/** `127.0.0.1:7443`, undefined when the nodes use the shared endpoint. */
export const localEndpoint = ({ endpoint }: Pick<HostConfiguration, 'endpoint'>): string | undefined =>
  endpoint?.mode === 'local' ? joinHostPort(loopback, endpoint.port) : undefined;

/**
 * What the endpoint means for the ClusterConfiguration, where other control planes and kubeadm read it. Certificates of API
 * servers are valid for the addresses that clients use; the cluster is found by the virtual address, and without one by the
 * first control plane.
 */
export function withEndpoint(config: InitConfiguration): InitConfiguration {
  const { cluster, localAPIEndpoint, host } = config;
  const virtualIP = host.endpoint?.virtualIP;
  const isLocal = localEndpoint(host) !== undefined;
  if (!isLocal && !virtualIP) return config;
  const { certSANs } = cluster.apiServer;
  const address = virtualIP ?? localAPIEndpoint.advertiseAddress;
  const names = [...(isLocal ? [loopback] : []), ...(virtualIP ? [virtualIP] : [])];
  return {
    ...config,
    cluster: {
      ...cluster,
      controlPlaneEndpoint: cluster.controlPlaneEndpoint || joinHostPort(address, localAPIEndpoint.bindPort),
      apiServer: {
        ...cluster.apiServer,
        certSANs: [...certSANs, ...names.filter((name) => !certSANs.includes(name))],
      },
    },
  };
}
