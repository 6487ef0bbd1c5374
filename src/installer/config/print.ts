/** Configuration as documents: the defaults, for a user to start from, and a check of a file without a host. */

import { clusterConfigurationYaml } from '../control-plane/cluster-objects.ts';
import { observeHost } from '../host/facts.ts';
import { localHost } from '../host/host.ts';
import { initPhaseNames } from '../phases/init.ts';
import { joinPhaseNames } from '../phases/join.ts';
import { formatYaml } from '../runtime/kubelet.ts';
import { noConfig, readConfigFile } from './read-config.ts';
import { resolveInit, resolveJoin } from './resolve.ts';
import { kubeadmVersion } from './schema.ts';

const exampleToken = 'abcdef.0123456789abcdef';
const fallback = { hostname: 'node', address: '1.2.3.4' };

const join = (documents: string[]) => documents.join('---\n');

export async function printInitDefaults(): Promise<string> {
  const facts = await observeHost(localHost());
  const identity = { ...fallback, ...(facts.address ? { address: facts.address } : {}), hostname: facts.hostname };
  const config = resolveInit({ token: exampleToken }, noConfig, identity, initPhaseNames);
  const { ownRuntime: _own, ...node } = config.nodeRegistration;
  return join([
    formatYaml({
      apiVersion: kubeadmVersion,
      kind: 'InitConfiguration',
      bootstrapTokens: config.bootstrapTokens,
      localAPIEndpoint: config.localAPIEndpoint,
      nodeRegistration: node,
      timeouts: config.timeouts,
    }),
    clusterConfigurationYaml(config.cluster),
    formatYaml({ apiVersion: 'kinit.local/v1alpha1', kind: 'HostConfiguration', ...config.host }),
  ]);
}

export async function printJoinDefaults(): Promise<string> {
  const facts = await observeHost(localHost());
  const config = resolveJoin(
    { endpoint: 'kube-apiserver:6443', token: exampleToken, discoveryTokenUnsafeSkipCaVerification: true },
    noConfig,
    { ...fallback, hostname: facts.hostname },
    joinPhaseNames,
  );
  const { ownRuntime: _own, ...node } = config.nodeRegistration;
  return join([
    formatYaml({
      apiVersion: kubeadmVersion,
      kind: 'JoinConfiguration',
      caCertPath: config.caCertPath,
      discovery: config.discovery,
      nodeRegistration: node,
      timeouts: config.timeouts,
    }),
    formatYaml({ apiVersion: 'kinit.local/v1alpha1', kind: 'HostConfiguration', ...config.host }),
  ]);
}

/** @throws KinitError Validation with every mistake and its place */
export async function validateFile(path: string): Promise<void> {
  const file = await readConfigFile(path);
  if (file.documents.JoinConfiguration) resolveJoin({}, file, fallback, joinPhaseNames);
  if (file.documents.InitConfiguration || file.documents.ClusterConfiguration || !file.documents.JoinConfiguration) {
    resolveInit({}, file, fallback, initPhaseNames);
  }
}
