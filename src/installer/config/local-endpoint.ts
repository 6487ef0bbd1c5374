/** The endpoint that every node has for itself: a port of loopback, where the balancer leads to an API server that lives. */
import { joinHostPort } from './cidr.ts';
import type { HostConfiguration, InitConfiguration } from './types.ts';

export const loopback = '127.0.0.1';

/** `127.0.0.1:7443`, undefined when the nodes use the shared endpoint. */
export const localEndpoint = ({ endpoint }: Pick<HostConfiguration, 'endpoint'>): string | undefined =>
  endpoint?.mode === 'local' ? joinHostPort(loopback, endpoint.port) : undefined;

/**
 * With a local endpoint the certificates of API servers are valid for loopback, and what is not a node finds the cluster
 * by the first control plane. Both stand in the ClusterConfiguration, where other control planes and kubeadm read them.
 */
export function withLocalEndpoint(config: InitConfiguration): InitConfiguration {
  if (!localEndpoint(config.host)) return config;
  const { cluster, localAPIEndpoint } = config;
  const { certSANs } = cluster.apiServer;
  return {
    ...config,
    cluster: {
      ...cluster,
      controlPlaneEndpoint:
        cluster.controlPlaneEndpoint || joinHostPort(localAPIEndpoint.advertiseAddress, localAPIEndpoint.bindPort),
      apiServer: {
        ...cluster.apiServer,
        certSANs: certSANs.includes(loopback) ? certSANs : [...certSANs, loopback],
      },
    },
  };
}
