/** The kubelet on a host: its configuration, flags, unit, and the service. */
import { dirname } from 'node:path';
import { load } from 'js-yaml';
import { addressAt, parseCidr } from '../config/cidr.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { overlay } from '../config/overlay.ts';
import {
  bundlePaths,
  kubeletDir,
  kubeletPaths,
  logFolders,
  logindDropIn,
  manifestsDir,
  xtablesLock,
} from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { ClusterConfiguration, NodeRegistration, OpenDocument, Taint } from '../config/types.ts';
import { buildArguments } from '../control-plane/arguments.ts';
import { KinitError } from '../errors.ts';
import type { CgroupDriver } from '../host/cgroups.ts';
import { type Changes, unitState } from '../host/changes.ts';
import type { HostFacts } from '../host/facts.ts';
import { exists, type Host, readText, runOrFail } from '../host/host.ts';
import { stateFolder } from '../host/journal.ts';
import { applyPatches, type PatchFile } from '../patches/patches.ts';

export const kubeletUnit = 'kubelet.service';

/** Durations that the kubelet defaults itself: Go's zero value is what kubeadm's marshalled document carries. */
const zeroDurations = [
  'cpuManagerReconcilePeriod',
  'evictionPressureTransitionPeriod',
  'fileCheckFrequency',
  'httpCheckFrequency',
  'imageMaximumGCAge',
  'imageMinimumGCAge',
  'nodeStatusReportFrequency',
  'nodeStatusUpdateFrequency',
  'runtimeRequestTimeout',
  'shutdownGracePeriod',
  'shutdownGracePeriodCriticalPods',
  'streamingConnectionIdleTimeout',
  'syncFrequency',
  'volumeStatsAggPeriod',
];

/** The KubeletConfiguration of the whole cluster, as it stands in the ConfigMap kubelet-config. */
export function clusterKubeletConfig(
  cluster: ClusterConfiguration,
  cgroupDriver: CgroupDriver,
  given: OpenDocument,
): OpenDocument {
  const services = parseCidr(cluster.networking.serviceSubnet);
  const defaults = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    authentication: {
      anonymous: { enabled: false },
      webhook: { cacheTTL: '0s', enabled: true },
      x509: { clientCAFile: `${cluster.certificatesDir}/ca.crt` },
    },
    authorization: { mode: 'Webhook', webhook: { cacheAuthorizedTTL: '0s', cacheUnauthorizedTTL: '0s' } },
    cgroupDriver,
    clusterDNS: services ? [addressAt(services, 10)] : [],
    clusterDomain: cluster.networking.dnsDomain,
    containerRuntimeEndpoint: '',
    crashLoopBackOff: {},
    healthzBindAddress: '127.0.0.1',
    healthzPort: 10248,
    kind: 'KubeletConfiguration',
    logging: {
      flushFrequency: 0,
      options: { json: { infoBufferSize: '0' }, text: { infoBufferSize: '0' } },
      verbosity: 0,
    },
    memorySwap: {},
    rotateCertificates: true,
    staticPodPath: manifestsDir,
    ...Object.fromEntries(zeroDurations.map((field) => [field, '0s'])),
  };
  return overlay(defaults, given);
}

/** What differs from host to host; kept beside the cluster's configuration and laid over it. */
export function instanceKubeletConfig(
  node: NodeRegistration,
  cgroupDriver: CgroupDriver,
  facts: HostFacts,
  keepSwap: boolean,
): OpenDocument {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: node.criSocket,
    cgroupDriver,
    // Since v1.35 the kubelet refuses cgroup v1 unless it is told otherwise.
    ...(facts.cgroupVersion === 1 ? { failCgroupV1: false } : {}),
    ...(keepSwap ? { failSwapOn: false } : {}),
  };
}

export function parseKubeletConfig(text: string): OpenDocument {
  const value = load(text);
  if (typeof value !== 'object' || value === null)
    throw new KinitError('Validation', 'the KubeletConfiguration is empty');
  return value as OpenDocument;
}

const formatTaint = ({ key, value, effect }: Taint) => `${key}=${value ?? ''}:${effect}`;

export interface KubeletFlagValues {
  node: NodeRegistration;
  facts: HostFacts;
  /** Set when it is not the address that the kubelet would choose by itself. */
  nodeAddress?: string;
  /** Workers register with their taints; a control plane is tainted when it works (as kubeadm does). */
  registerTaints: boolean;
}

export function kubeletFlags({ node, facts, nodeAddress, registerTaints }: KubeletFlagValues): string {
  const defaults: Record<string, string> = {};
  if (node.name !== facts.hostname.toLowerCase()) defaults['hostname-override'] = node.name;
  if (nodeAddress && nodeAddress !== facts.address) defaults['node-ip'] = nodeAddress;
  if (registerTaints && node.taints.length) defaults['register-with-taints'] = node.taints.map(formatTaint).join(',');
  const flags = buildArguments(defaults, node.kubeletExtraArgs).join(' ');
  return `KUBELET_KUBEADM_ARGS="${flags.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"\n`;
}

export interface KubeletFiles {
  /** The cluster's KubeletConfiguration, without what differs from host to host. */
  cluster: OpenDocument;
  instance: OpenDocument;
  flags: string;
  facts: HostFacts;
  patches?: readonly PatchFile[];
  /** Where volumes of the node will be. Data stays when kinit goes. Absent: as it was when the host became a node. */
  storageDirectory?: string;
}

/** Kernel settings that kubelet and kube-proxy change while they run. */
const componentSettings = [
  'vm.overcommit_memory',
  'vm.panic_on_oom',
  'kernel.panic',
  'kernel.panic_on_oops',
  'kernel.keys.root_maxkeys',
  'kernel.keys.root_maxbytes',
  'net.ipv4.conf.all.route_localnet',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_tcp_timeout_established',
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait',
];

/** What systemd-resolved writes into /etc/resolv.conf is its own loopback address, which no pod can reach. */
async function resolverOf(host: Host, cluster: OpenDocument): Promise<OpenDocument> {
  if (cluster['resolvConf'] !== undefined || !(await unitState(host, 'systemd-resolved.service')).active) return {};
  return { resolvConf: '/run/systemd/resolve/resolv.conf' };
}

/** There from before the kubelet's settings change until it runs with them, so that a run that is killed in between is made good. */
const restartMark = `${stateFolder}/kubelet-restart`;

/** Writes the kubelet's files and (re)starts it when one of them changed. */
export async function startKubelet(changes: Changes, files: KubeletFiles): Promise<boolean> {
  const { host } = changes;
  const made = await changes.folder(kubeletDir, 0o700);
  for (const folder of logFolders) await changes.claim(folder, 'folder');
  await changes.claim(xtablesLock, 'file');
  await changes.claim(dirname(logindDropIn), 'shared');
  await changes.claim(logindDropIn, 'file');
  if (files.storageDirectory) await changes.claim(files.storageDirectory, 'shared');
  for (const key of componentSettings) await changes.rememberSysctl(key);
  const units = await installKubeletUnit(changes, files.facts);
  const instance = { ...(await resolverOf(host, files.cluster)), ...files.instance };
  const own = { ...files.cluster, ...instance };
  const configuration = applyPatches('kubeletconfiguration', own, files.patches ?? []);
  const settings = new Map([
    [kubeletPaths.instanceConfig, formatYaml(instance)],
    [kubeletPaths.config, formatYaml(configuration)],
    [kubeletPaths.flags, files.flags],
  ]);
  const begun = await exists(host, restartMark);
  let differs = units;
  for (const [path, content] of settings) differs ||= (await readText(host, path)) !== content;
  if (differs && !begun) await host.writeFile(restartMark, '', { mode: 0o600 });
  let written = false;
  for (const [path, content] of settings) {
    const mode = path === kubeletPaths.flags ? 0o644 : 0o600;
    if (await changes.file(path, content, { mode })) written = true;
  }
  const wasActive = (await unitState(host, kubeletUnit)).active;
  const state = await changes.unit(kubeletUnit, { enabled: true, active: true });
  if (wasActive && (differs || begun)) await runOrFail(host, 'systemctl', ['restart', kubeletUnit]);
  if (differs || begun) await host.remove(restartMark);
  return made || units || written || state || begun;
}

/** The unit alone, so that systemd has read it when the kubelet is to start. */
export async function installKubeletUnit(changes: Changes, facts: HostFacts): Promise<boolean> {
  const kubelet = `${bundlePaths.bin}/kubelet`;
  const extraArgsFile = facts.os.family === 'redhat' ? '/etc/sysconfig/kubelet' : '/etc/default/kubelet';
  const unit = await changes.file(
    kubeletPaths.unit,
    renderTemplate('systemd/kubelet.service', { kubelet, endPods: bundlePaths.endPods }),
  );
  const dropIn = await changes.file(
    kubeletPaths.dropIn,
    renderTemplate('systemd/10-kubeadm.conf', { kubelet, extraArgsFile }),
  );
  if (unit || dropIn) await runOrFail(changes.host, 'systemctl', ['daemon-reload']);
  return unit || dropIn;
}
