/** The configuration for commands on a control plane that is there: of a file, of the cluster's ConfigMap, or the defaults. */
import type { ConfigMap } from '../../machinery/api/types.ts';
import { createClient } from '../../machinery/client/client.ts';
import { observeHost } from '../host/facts.ts';
import { type Host, readText } from '../host/host.ts';
import { parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import { initPhaseNames } from '../phases/init.ts';
import type { InitFlags } from './flags.ts';
import { kubeconfigPaths } from './paths.ts';
import { noConfig, parseConfig, type ReadConfig, readConfigFile } from './read-config.ts';
import { resolveInit } from './resolve.ts';
import type { InitConfiguration } from './types.ts';

export interface ConfigSource {
  /** `--config` */
  config?: string;
  kubeconfig?: string;
  certDir?: string;
  /** For example `renew`: begins the lines that tell where the configuration is read. */
  title: string;
  print(line: string): void;
}

const askTimeoutMs = 10_000;

const configMapType = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };

/** The ClusterConfiguration that init has stored; throws what stands in the way. */
async function storedConfiguration(host: Host, kubeconfig: string): Promise<ReadConfig> {
  const text = await readText(host, kubeconfig);
  if (text === undefined) throw new Error(`there is no ${kubeconfig}`);
  const client = createClient(restConfigOf(parseKubeconfig(text, kubeconfig), kubeconfig));
  try {
    const map = await client
      .resource<ConfigMap>(configMapType)
      .get({ name: 'kubeadm-config', namespace: 'kube-system' }, { signal: AbortSignal.timeout(askTimeoutMs) });
    return parseConfig(map.data?.['ClusterConfiguration'] ?? '', 'configmap kubeadm-config');
  } finally {
    client.close();
  }
}

/** From a file, or the defaults for this host. */
export async function initConfigurationOf(
  facts: { hostname: string; address?: string },
  path: string | undefined,
  flags: InitFlags = {},
): Promise<InitConfiguration> {
  const identity = { hostname: facts.hostname, address: facts.address ?? '127.0.0.1' };
  return resolveInit(flags, path === undefined ? noConfig : await readConfigFile(path), identity, initPhaseNames);
}

/** @throws KinitError Validation when the given file is wrong; a cluster that does not answer is only told */
export async function loadConfiguration(host: Host, source: ConfigSource): Promise<InitConfiguration> {
  const { config, kubeconfig = kubeconfigPaths.admin, certDir, title, print } = source;
  const facts = await observeHost(host);
  const identity = { hostname: facts.hostname, address: facts.address ?? '127.0.0.1' };
  const flags = certDir === undefined ? {} : { certDir };
  if (config !== undefined) return initConfigurationOf(facts, config, flags);
  print(`[${title}] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...`);
  print(`[${title}] Use 'kinit init phase upload-config kubeadm --config your-config-file' to re-upload it.`);
  const stored = await storedConfiguration(host, kubeconfig).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    print(`[${title}] Error reading configuration from the Cluster. Falling back to default configuration (${reason})`);
    return noConfig;
  });
  print('');
  return resolveInit(flags, stored, identity, initPhaseNames);
}
