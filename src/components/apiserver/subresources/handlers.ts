/** Subresources that speak to a kubelet or a pod: log, exec, attach, portforward, proxy. */
import type { Node } from '../../../machinery/api/types.ts';
import type { AdmissionChain } from '../admission/chain.ts';
import type { ApiRegistry, CacheReader, LoopbackClient, SubresourceHandler } from '../types.ts';
import { createKubeletConnection } from './kubelet-connection.ts';
import { podLog } from './pod-log.ts';
import { podStreams } from './pod-streams.ts';
import { proxies } from './proxy.ts';

/** How to reach kubelets: `--kubelet-*`. */
export interface KubeletConnectionOptions {
  /** `--kubelet-client-certificate` and `--kubelet-client-key`; read again when they change. */
  clientCertificateFile?: string;
  clientKeyFile?: string;
  /** `--kubelet-certificate-authority`; the serving certificate is not checked without it. */
  certificateAuthorityFile?: string;
  /** `--kubelet-preferred-address-types`, in order. */
  preferredAddressTypes: string[];
  /** Default 10250, for nodes that do not publish one. */
  port?: number;
  /** `--kubelet-timeout` in milliseconds, 5000 unless told: to connect. */
  timeoutMs?: number;
}

export interface SubresourceOptions {
  kubelet: KubeletConnectionOptions;
}

export interface SubresourceDeps {
  registry: ApiRegistry;
  cache: CacheReader;
  loopback: LoopbackClient;
  /** Asked for CONNECT before a stream is opened. */
  admission: AdmissionChain;
}

/** Handlers write their whole answer themselves, also on upgraded connections; errors thrown before the first byte are StatusErrors. */
export function subresourceHandlers(options: SubresourceOptions, deps: SubresourceDeps): SubresourceHandler[] {
  const findNode = (name: string) => deps.cache.get({ group: '', resource: 'nodes' }, '', name) as Node | undefined;
  const connect = { ...deps, kubelet: createKubeletConnection(options.kubelet, findNode) };
  return [podLog(connect), ...podStreams(connect), ...proxies(connect)];
}
