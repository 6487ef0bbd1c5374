/** The configuration of a cluster that is there, as far as its add-ons need it, from any machine that reaches it. */
import { configMaps, deployments } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { directoryPattern } from '../config/addon-values.ts';
import { parseConfig } from '../config/read-config.ts';
import { resolveInit } from '../config/resolve.ts';
import type { InitConfiguration } from '../config/types.ts';
import { isUserSupplied } from '../control-plane/component-config-hash.ts';
import { parseKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { networkSettings, readStoredCluster, yamlFields } from '../upgrade/configuration.ts';

/** Of the volumes of local-path, as it is now. */
async function storageDirectory(client: Client, signal: AbortSignal): Promise<string | undefined> {
  const ref = { namespace: 'local-path-storage', name: 'local-path-provisioner' };
  const found = await client.resource(deployments).find(ref, { signal });
  const flag = '--directory=';
  const given = found?.spec?.template.spec?.containers[0]?.args?.find((word) => word.startsWith(flag));
  const directory = given?.slice(flag.length) ?? '';
  return directoryPattern.test(directory) ? directory : undefined;
}

/** With the directory of volumes that there is. */
export async function withStorageDirectory(
  client: Client,
  config: InitConfiguration,
  signal: AbortSignal,
): Promise<InitConfiguration> {
  const directory = await storageDirectory(client, signal);
  return directory ? { ...config, host: { ...config.host, storage: { ...config.host.storage, directory } } } : config;
}

/** Where programs of any node reach the API server: nothing else than before. */
async function serverOfNodes(client: Client, signal: AbortSignal): Promise<string | undefined> {
  const read = async (namespace: string, name: string, key: string) => {
    const map = await client.resource(configMaps).find({ namespace, name }, { signal });
    const text = map?.data?.[key];
    return text === undefined ? undefined : parseKubeconfig(text, `configmap ${name}`).clusters[0]?.cluster.server;
  };
  return (
    (await read('kube-system', 'kinit-network', 'kubeconfig.conf')) ??
    (await read('kube-system', 'kube-proxy', 'kubeconfig.conf')) ??
    (await read('kube-public', 'cluster-info', 'kubeconfig'))
  );
}

/** @throws KinitError Validation when the cluster is of another version than this kinit, or none of kinit's */
export async function configurationInCluster(client: Client, signal: AbortSignal): Promise<InitConfiguration> {
  const [stored, server] = await Promise.all([readStoredCluster(client, signal), serverOfNodes(client, signal)]);
  const read = parseConfig(stored.clusterConfiguration, 'configmap kubeadm-config');
  const config = resolveInit({}, read, { hostname: 'none', address: '127.0.0.1' }, []);
  const { proxy } = stored;
  const fields = proxy && isUserSupplied(proxy) ? yamlFields(proxy.data?.['config.conf']) : {};
  const settled = {
    ...config,
    cluster: { ...config.cluster, ...(server ? { controlPlaneEndpoint: new URL(server).host } : {}) },
    host: { ...config.host, network: networkSettings(stored.network) },
    proxy: fields,
  };
  return withStorageDirectory(client, settled, signal);
}
