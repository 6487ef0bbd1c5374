/** What a running cluster says of its own settings, read on a control plane: what a run that is repeated starts from. */
import type { ConfigMap } from '../../machinery/api/types.ts';
import { configMaps } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { kubernetesVersion } from '../../machinery/version.ts';
import { proxyConfiguration } from '../addons/objects.ts';
import { joinHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import { parseConfig } from '../config/read-config.ts';
import { resolveInit } from '../config/resolve.ts';
import type { Documents } from '../config/schema.ts';
import type { InitConfiguration, OpenDocument } from '../config/types.ts';
import { isUserSupplied } from '../control-plane/component-config-hash.ts';
import { manifestArgument } from '../etcd/access.ts';
import { exists, readText } from '../host/host.ts';
import type { PhaseContext } from '../phases/engine.ts';
import { clusterKubeletConfig } from '../runtime/kubelet.ts';
import { nodeIdentity, yamlFields } from '../upgrade/configuration.ts';
import { givenFields } from './given-fields.ts';

export interface StoredCluster {
  /** Of this host. */
  node: { name: string; advertiseAddress: string; bindPort: number };
  /** As it stands in the ConfigMap kubeadm-config. */
  document: NonNullable<Documents['ClusterConfiguration']>;
  /** The same with all defaults. */
  cluster: InitConfiguration['cluster'];
  /** Fields of KubeletConfiguration and KubeProxyConfiguration that somebody gave. */
  kubelet: OpenDocument;
  proxy: OpenDocument;
}

const timeoutMs = 10_000;

/** undefined: the cluster has no configuration yet, as in a run that was broken off before it was stored. */
export async function readStored(
  client: Client,
  identity: { hostname: string; address?: string },
  signal: AbortSignal,
): Promise<Omit<StoredCluster, 'node'> | undefined> {
  const read = (name: string): Promise<ConfigMap | undefined> =>
    client
      .resource(configMaps)
      .find({ name, namespace: 'kube-system' }, { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
  const [stored, kubelet, proxy] = await Promise.all(['kubeadm-config', 'kubelet-config', 'kube-proxy'].map(read));
  const text = stored?.data?.['ClusterConfiguration'];
  if (!text) return undefined;
  const file = parseConfig(text, 'configmap kubeadm-config');
  // Going from one version to another is an upgrade's.
  const document = { ...file.documents.ClusterConfiguration, kubernetesVersion } as StoredCluster['document'];
  const documents = { ...file.documents, ClusterConfiguration: document };
  const own = { hostname: identity.hostname, address: identity.address ?? '127.0.0.1' };
  const config = resolveInit({}, { ...file, documents }, own, []);
  const given = (map: ConfigMap | undefined, key: string, defaults: OpenDocument): OpenDocument =>
    map && isUserSupplied(map) ? givenFields(defaults, yamlFields(map.data?.[key])) : {};
  return {
    document,
    cluster: config.cluster,
    kubelet: given(kubelet, 'kubelet', clusterKubeletConfig(config.cluster, 'systemd', {})),
    proxy: given(proxy, 'config.conf', proxyConfiguration(config)),
  };
}

/** What this host, when it is a control plane already, knows of its cluster. @param open a client with a kubeconfig of the host */
export async function storedOnHost(
  { host, facts, signal, warn }: Pick<PhaseContext, 'host' | 'facts' | 'signal' | 'warn'>,
  open: (kubeconfig: string, server: string) => Promise<Client>,
): Promise<StoredCluster | undefined> {
  const manifest = await readText(host, `${manifestsDir}/kube-apiserver.yaml`);
  if (manifest === undefined || !(await exists(host, kubeconfigPaths.admin))) return undefined;
  const node = {
    name: (await nodeIdentity(host, facts.hostname)).nodeName,
    advertiseAddress: manifestArgument(manifest, 'advertise-address') ?? facts.address ?? '',
    bindPort: Number(manifestArgument(manifest, 'secure-port') ?? defaultBindPort),
  };
  try {
    // The API server of this host: the one that the kubeconfig names may be another host's, and lost.
    const server = `https://${joinHostPort(node.advertiseAddress, node.bindPort)}`;
    const stored = await readStored(await open(kubeconfigPaths.admin, server), facts, signal);
    return stored && { node, ...stored };
  } catch (error) {
    signal.throwIfAborted();
    // A setting with which it does not start is corrected like this, too.
    const reason = error instanceof Error ? error.message : String(error);
    warn(
      `the API server does not say what the cluster's settings are; those that are not given now are lost: ${reason}`,
    );
    return undefined;
  }
}
