/** Configuration as documents: the defaults, for a user to start from, and a check of a file without a host. */

import { proxyConfiguration } from '../addons/objects.ts';
import { clusterConfigurationYaml } from '../control-plane/cluster-objects.ts';
import { KinitError } from '../errors.ts';
import { chooseCgroupDriver } from '../host/cgroups.ts';
import { observeHost } from '../host/facts.ts';
import { localHost } from '../host/host.ts';
import { initPhaseNames } from '../phases/init.ts';
import { joinPhaseNames } from '../phases/join.ts';
import { clusterKubeletConfig } from '../runtime/kubelet.ts';
import { defaultCluster, defaultTimeouts } from './defaults.ts';
import { formatYaml } from './format-yaml.ts';
import { nearestName } from './nearest.ts';
import { noConfig, readConfigFile } from './read-config.ts';
import { resolveInit, resolveJoin } from './resolve.ts';
import { kubeadmVersion } from './schema.ts';
import type { InitConfiguration } from './types.ts';
import { resolveUpgrade } from './upgrade.ts';

const exampleToken = 'abcdef.0123456789abcdef';
const fallback = { hostname: 'node', address: '1.2.3.4' };

export const componentConfigs = ['KubeProxyConfiguration', 'KubeletConfiguration'] as const;
type ComponentConfig = (typeof componentConfigs)[number];

const join = (documents: string[]) => documents.join('---\n');

/** @throws KinitError Usage */
export function assertComponentConfigs(names: readonly string[]): asserts names is ComponentConfig[] {
  const known: readonly string[] = componentConfigs;
  const wrong = names.find((name) => !known.includes(name));
  if (wrong === undefined) return;
  const near = nearestName(wrong, known);
  const hint = near ? `; did you mean "${near}"?` : `; it takes ${known.join(' and ')}`;
  throw new KinitError('Usage', `--component-configs has "${wrong}"${hint}`);
}

async function defaultInit(): Promise<{
  config: InitConfiguration;
  components: Record<ComponentConfig, () => string>;
}> {
  const facts = await observeHost(localHost());
  const identity = { ...fallback, ...(facts.address ? { address: facts.address } : {}), hostname: facts.hostname };
  const config = resolveInit({ token: exampleToken }, noConfig, identity, initPhaseNames);
  const driver = chooseCgroupDriver(config.host.cgroupDriver, facts);
  const components = {
    KubeletConfiguration: () => formatYaml(clusterKubeletConfig(config.cluster, driver, {})),
    KubeProxyConfiguration: () => formatYaml(proxyConfiguration(config)),
  };
  return { config, components };
}

export async function printInitDefaults(names: readonly string[] = []): Promise<string> {
  assertComponentConfigs(names);
  const { config, components } = await defaultInit();
  return join([
    formatYaml({
      apiVersion: kubeadmVersion,
      kind: 'InitConfiguration',
      bootstrapTokens: config.bootstrapTokens,
      localAPIEndpoint: config.localAPIEndpoint,
      nodeRegistration: config.nodeRegistration,
      timeouts: config.timeouts,
    }),
    clusterConfigurationYaml(config.cluster),
    formatYaml({ apiVersion: 'kinit.local/v1alpha1', kind: 'HostConfiguration', ...config.host }),
    ...names.map((name) => components[name]()),
  ]);
}

export async function printJoinDefaults(names: readonly string[] = []): Promise<string> {
  assertComponentConfigs(names);
  const facts = await observeHost(localHost());
  const config = resolveJoin(
    { endpoint: 'kube-apiserver:6443', token: exampleToken, discoveryTokenUnsafeSkipCaVerification: true },
    noConfig,
    { ...fallback, hostname: facts.hostname },
    joinPhaseNames,
  );
  const { components } = await defaultInit();
  return join([
    formatYaml({
      apiVersion: kubeadmVersion,
      kind: 'JoinConfiguration',
      caCertPath: config.caCertPath,
      discovery: config.discovery,
      nodeRegistration: config.nodeRegistration,
      timeouts: config.timeouts,
    }),
    formatYaml({ apiVersion: 'kinit.local/v1alpha1', kind: 'HostConfiguration', ...config.host }),
    ...names.map((name) => components[name]()),
  ]);
}

export function printResetDefaults(): string {
  return formatYaml({
    apiVersion: kubeadmVersion,
    kind: 'ResetConfiguration',
    certificatesDir: defaultCluster.certificatesDir,
    timeouts: defaultTimeouts,
  });
}

export function printUpgradeDefaults(): string {
  const host = { certificateRenewal: true, etcdUpgrade: true, imagePullPolicy: 'IfNotPresent', imagePullSerial: true };
  return formatYaml({
    apiVersion: kubeadmVersion,
    kind: 'UpgradeConfiguration',
    apply: host,
    diff: {},
    node: { ...host },
    plan: { etcdUpgrade: true },
    timeouts: defaultTimeouts,
  });
}

/** @throws KinitError Validation with every mistake and its place */
export async function validateFile(path: string): Promise<void> {
  const file = await readConfigFile(path);
  const { InitConfiguration, ClusterConfiguration, JoinConfiguration, ResetConfiguration, UpgradeConfiguration } =
    file.documents;
  if (UpgradeConfiguration) for (const section of ['apply', 'node'] as const) resolveUpgrade(section, {}, file);
  if (JoinConfiguration) resolveJoin({}, file, fallback, joinPhaseNames);
  if (InitConfiguration || ClusterConfiguration || !(JoinConfiguration || ResetConfiguration || UpgradeConfiguration)) {
    resolveInit({}, file, fallback, initPhaseNames);
  }
}
