/** The cluster's configuration as the new version reads it, with what is of this control plane. */
import { load } from 'js-yaml';
import type { ConfigMap } from '../../machinery/api/types.ts';
import { configMaps } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { kubernetesVersion } from '../../machinery/version.ts';
import type { ImageSettings } from '../bundle/image-names.ts';
import { defaultCluster, defaultHost } from '../config/defaults.ts';
import { kubeletPaths, manifestsDir } from '../config/paths.ts';
import { parseConfig } from '../config/read-config.ts';
import { resolveInit } from '../config/resolve.ts';
import type { ClusterConfiguration, HostConfiguration, InitConfiguration, OpenDocument } from '../config/types.ts';
import { isUserSupplied } from '../control-plane/component-config-hash.ts';
import { withKnownEndpoint } from '../endpoint/known-endpoint.ts';
import { KinitError } from '../errors.ts';
import { manifestArgument } from '../etcd/access.ts';
import type { HostFacts } from '../host/facts.ts';
import { type Host, readText } from '../host/host.ts';
import { clusterKubeletConfig, parseKubeletConfig } from '../runtime/kubelet.ts';

/** An object of YAML; empty for a file that is missing or empty. */
export const yamlFields = (text: string | undefined): OpenDocument =>
  ((text?.trim() ? load(text) : undefined) as OpenDocument | null | undefined) ?? {};

const systemMap = (client: Client, name: string, signal: AbortSignal): Promise<ConfigMap | undefined> =>
  client.resource(configMaps).find({ name, namespace: 'kube-system' }, { signal });

/** What the cluster says of itself. */
export interface StoredCluster {
  /** ConfigMap kubeadm-config. */
  clusterConfiguration: string;
  /** `v1.36.2`: what the last init or upgrade made of it. */
  version: string;
  kubelet?: ConfigMap;
  proxy?: ConfigMap;
  network?: ConfigMap;
  dns?: ConfigMap;
}

/** @throws KinitError Validation when the cluster has no configuration: it is none of kinit's or kubeadm's */
export async function readStoredCluster(client: Client, signal: AbortSignal): Promise<StoredCluster> {
  const names = ['kubeadm-config', 'kubelet-config', 'kube-proxy', 'kinit-network', 'coredns'];
  const [stored, kubelet, proxy, network, dns] = await Promise.all(
    names.map((name) => systemMap(client, name, signal)),
  );
  const clusterConfiguration = stored?.data?.['ClusterConfiguration'];
  if (!clusterConfiguration) {
    throw new KinitError(
      'Validation',
      'the cluster has no ConfigMap kubeadm-config in kube-system that says how it was made',
      {
        advice: 'write it from a configuration file: kinit init phase upload-config kubeadm --config FILE',
      },
    );
  }
  return {
    clusterConfiguration,
    version: String(yamlFields(clusterConfiguration)['kubernetesVersion'] ?? ''),
    ...(kubelet ? { kubelet } : {}),
    ...(proxy ? { proxy } : {}),
    ...(network ? { network } : {}),
    ...(dns ? { dns } : {}),
  };
}

/** What the cluster calls its images. @param text its ClusterConfiguration */
export function storedImageSettings(text: string): ImageSettings {
  const { documents } = parseConfig(text, 'configmap kubeadm-config');
  const { imageRepository = defaultCluster.imageRepository, dns, etcd } = documents.ClusterConfiguration ?? {};
  return { imageRepository, ...(dns ? { dns } : {}), ...(etcd ? { etcd } : {}) };
}

/** Backend and MTU of the pod network, which stand in no document of kubeadm's. */
export function networkSettings(map: ConfigMap | undefined): HostConfiguration['network'] {
  const text = map?.data?.['net-conf.json'];
  const { backend, mtu } = text ? (JSON.parse(text) as Partial<HostConfiguration['network']>) : {};
  return { backend: backend ?? defaultHost.network.backend, ...(mtu ? { mtu } : {}) };
}

export interface NodeIdentity {
  nodeName: string;
  criSocket: string;
}

/** The node of this host, as its kubelet knows it. */
export async function nodeIdentity(host: Host, hostname: string): Promise<NodeIdentity> {
  const flags = (await readText(host, kubeletPaths.flags)) ?? '';
  const instance = yamlFields(await readText(host, kubeletPaths.instanceConfig));
  return {
    nodeName: /--hostname-override=([^\s"]+)/.exec(flags)?.[1] ?? hostname.toLowerCase(),
    criSocket: String(instance['containerRuntimeEndpoint'] ?? ''),
  };
}

/**
 * The configuration with which this control plane is upgraded: the stored one with the new version, and of its own manifest the
 * address and port of its API server.
 */
export async function controlPlaneConfiguration(
  host: Host,
  facts: Pick<HostFacts, 'hostname' | 'address'>,
  stored: StoredCluster,
  { nodeName, criSocket }: NodeIdentity,
): Promise<InitConfiguration> {
  const manifest = (await readText(host, `${manifestsDir}/kube-apiserver.yaml`)) ?? '';
  const address = manifestArgument(manifest, 'advertise-address') ?? facts.address ?? '';
  const port = manifestArgument(manifest, 'secure-port');
  const read = parseConfig(stored.clusterConfiguration, 'configmap kubeadm-config');
  const cluster = { ...read.documents.ClusterConfiguration, kubernetesVersion };
  const documents = { ...read.documents, ClusterConfiguration: cluster } as typeof read.documents;
  const flags = {
    nodeName,
    apiserverAdvertiseAddress: address,
    ...(port ? { apiserverBindPort: port } : {}),
    ...(criSocket ? { criSocket } : {}),
  };
  const config = resolveInit(flags, { ...read, documents }, { hostname: facts.hostname, address }, []);
  return withKnownEndpoint(host, { ...config, host: { ...config.host, network: networkSettings(stored.network) } });
}

/** One configuration of a component, and whose it is. */
export interface ComponentConfig {
  name: 'kubelet-config' | 'kube-proxy';
  group: string;
  version: string;
  /** Written by the user: it is kept as it is. */
  userSupplied: boolean;
}

function apiVersionOf(text: string | undefined): { group: string; version: string } {
  const [group = '', version = ''] = String(yamlFields(text)['apiVersion'] ?? '').split('/');
  return { group, version };
}

/** As kubeadm judges: what carries the hash of its content is kubeadm's own and is made anew. */
export function componentConfigs({ kubelet, proxy }: StoredCluster): ComponentConfig[] {
  return [
    ...(kubelet
      ? [
          {
            name: 'kubelet-config' as const,
            ...apiVersionOf(kubelet.data?.['kubelet']),
            userSupplied: isUserSupplied(kubelet),
          },
        ]
      : []),
    ...(proxy
      ? [
          {
            name: 'kube-proxy' as const,
            ...apiVersionOf(proxy.data?.['config.conf']),
            userSupplied: isUserSupplied(proxy),
          },
        ]
      : []),
  ];
}

/** The kubelets' configuration after the upgrade: the user's own stays, kinit's is made as the new version makes it. */
export function upgradedKubeletConfig(
  cluster: ClusterConfiguration,
  { kubelet }: Pick<StoredCluster, 'kubelet'>,
): { document: OpenDocument; userSupplied: boolean } {
  const text = kubelet?.data?.['kubelet'];
  const before = text ? parseKubeletConfig(text) : {};
  if (kubelet && isUserSupplied(kubelet)) return { document: before, userSupplied: true };
  const driver = before['cgroupDriver'] === 'cgroupfs' ? 'cgroupfs' : 'systemd';
  return { document: clusterKubeletConfig(cluster, driver, {}), userSupplied: false };
}
