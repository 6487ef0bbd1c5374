/** preflight: looks at everything that could be in the way, before the first change. */

import { kubernetesVersion } from '../../machinery/version.ts';
import { splitHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { type Check, type CheckContext, type Finding, runChecks, withoutIgnored } from '../preflight/check.ts';
import { allChecks, clusterChecks, rootCheck } from '../preflight/checks.ts';
import { balancerPort } from '../preflight/ports.ts';
import { kubeletSkew } from '../preflight/versions.ts';
import type { InitContext, JoinContext } from './context.ts';
import type { PhaseContext } from './engine.ts';

export type CheckSettings = Omit<CheckContext, 'host' | 'facts' | 'journal' | 'env'>;

/** Runs the checks and tells the warnings. */
export async function preflight(
  context: PhaseContext,
  settings: CheckSettings,
  ignored: readonly string[],
): Promise<void> {
  await runAndWarn(rootCheck, context, settings, ignored);
  await runAndWarn(allChecks, context, settings, ignored);
}

/** After the cluster was found: what the host and the cluster have to agree upon. */
export async function preflightWithCluster(context: JoinContext): Promise<void> {
  const { node, controlPlane, serverVersion = '' } = context;
  warn(context, withoutIgnored(kubeletSkew(kubernetesVersion, serverVersion), node.ignorePreflightErrors));
  const listen = splitHostPort(context.nodeEndpoint ?? '')?.port;
  if (listen) {
    const settings = { ...checkSettings(context), balancerPort: listen };
    await runAndWarn([balancerPort], context, settings, node.ignorePreflightErrors);
  }
  if (!controlPlane) return;
  const { serviceSubnet, podSubnet } = controlPlane.cluster.networking;
  const { external, local } = controlPlane.cluster.etcd;
  const etcdDataDir = external ? '' : local.dataDir;
  // Its files may still have to be downloaded.
  const externalEtcd = external && !controlPlane.certificateKey ? { externalEtcd: external } : {};
  const settings = { ...checkSettings(context), serviceSubnet, podSubnet, etcdDataDir, ...externalEtcd };
  await runAndWarn(clusterChecks, context, settings, node.ignorePreflightErrors);
}

async function runAndWarn(
  checks: readonly Check[],
  context: PhaseContext,
  settings: CheckSettings,
  ignored: readonly string[],
): Promise<void> {
  const { host, facts, changes } = context;
  const all = { host, facts, journal: changes.journal, env: process.env, ...settings };
  warn(context, await runChecks(checks, all, ignored));
}

function warn(context: PhaseContext, warnings: readonly Finding[]): void {
  for (const { check, message, advice } of warnings) {
    context.warn(`[${check}] ${message}${advice ? ` (${advice})` : ''}`);
  }
}

/** `host:port` of a shared endpoint or of the API server. */
function endpointOf(text: string | undefined): CheckSettings['endpoint'] {
  const { host = '', port = defaultBindPort } = splitHostPort(text ?? '') ?? {};
  return { host, port };
}

export function checkSettings(context: InitContext | JoinContext): CheckSettings {
  const { node, hostSettings, existing } = context;
  const common = {
    nodeName: node.name,
    runtime: hostSettings.runtime,
    registries: hostSettings.registries,
    cgroupDriver: hostSettings.cgroupDriver,
    criSocket: node.criSocket,
    ...(existing ? { existing } : {}),
    keepSwap: hostSettings.swap === 'keep',
    opensFirewall: hostSettings.firewall === 'open',
  };
  if (context.kind === 'init') {
    const { cluster, localAPIEndpoint } = context.config;
    const { advertiseAddress, bindPort } = localAPIEndpoint;
    return {
      ...common,
      command: 'init',
      bindPort,
      ...(hostSettings.endpoint?.mode === 'local' ? { balancerPort: hostSettings.endpoint.port } : {}),
      etcdDataDir: cluster.etcd.external ? '' : cluster.etcd.local.dataDir,
      ...(cluster.etcd.external ? { externalEtcd: cluster.etcd.external } : {}),
      ...(hostSettings.endpoint?.virtualIP ? { virtualIP: hostSettings.endpoint.virtualIP } : {}),
      endpoint: cluster.controlPlaneEndpoint
        ? endpointOf(cluster.controlPlaneEndpoint)
        : { host: advertiseAddress, port: bindPort },
      serviceSubnet: cluster.networking.serviceSubnet,
      podSubnet: cluster.networking.podSubnet,
    };
  }
  const { controlPlane, discovery, caCertPath } = context.config;
  return {
    ...common,
    command: 'join',
    bindPort: controlPlane?.localAPIEndpoint.bindPort ?? 0,
    etcdDataDir: '',
    endpoint: endpointOf(discovery.bootstrapToken?.apiServerEndpoint),
    serviceSubnet: '',
    podSubnet: '',
    ...(controlPlane ? {} : { caCertPath }),
  };
}
