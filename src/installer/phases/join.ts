/** `kinit join`: what happens to a host that becomes a worker, in this order; for one more control plane see join-control-plane.ts. */

import type { ConfigMap } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { defaultCluster } from '../config/defaults.ts';
import { parseDuration } from '../config/duration.ts';
import { localEndpoint } from '../config/local-endpoint.ts';
import { overlay } from '../config/overlay.ts';
import { kubeconfigPaths, kubernetesDir, manifestsDir } from '../config/paths.ts';
import { parseConfig } from '../config/read-config.ts';
import { apiPatience } from '../config/timeouts.ts';
import { waitForNode, waitForReady } from '../control-plane/node.ts';
import { fetchSharedCertificates, sharedPlaces } from '../control-plane/shared-certificates.ts';
import { knownBalancer, knownServers } from '../endpoint/balancer.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { exists, readText, runOrFail } from '../host/host.ts';
import { pause, waitUntil } from '../host/wait.ts';
import {
  buildKubeconfig,
  formatKubeconfig,
  parseKubeconfig,
  restConfigOf,
  withServer,
} from '../kubeconfig/kubeconfig.ts';
import {
  instanceKubeletConfig,
  kubeletFlags,
  kubeletUnit,
  parseKubeletConfig,
  startKubelet,
} from '../runtime/kubelet.ts';
import { discoverByFile, discoverByToken } from '../tokens/discovery.ts';
import { fetchOverTls } from '../tokens/fetch.ts';
import type { JoinContext } from './context.ts';
import type { Phase } from './engine.ts';
import { hostPhases } from './host.ts';
import { adminClient, bootstrapClient, nodeClient } from './join-clients.ts';
import { controlPlaneConfiguration, downloadsCertificates, readKubeadmConfig } from './join-configuration.ts';
import { joinLocalEndpoint } from './local-endpoint.ts';
import { checkSettings, preflight, preflightWithCluster } from './preflight.ts';
import { runtimePhases, workerImages } from './runtime.ts';

const endpointMs = 120_000;
const timeoutOf = (text: string) => parseDuration(text) ?? 300_000;

/** Discovery belongs to preflight: a wrong token, hash or endpoint is found before anything changes. */
export const preflightPhase: Phase<JoinContext> = {
  name: 'preflight',
  title: 'Check the host and find the cluster',
  async run(context) {
    await preflight(context, checkSettings(context), context.node.ignorePreflightErrors);
    await findCluster(context);
    if (!(await exists(context.host, kubeconfigPaths.kubelet))) await checkToken(context);
    await readCluster(context);
    await preflightWithCluster(context);
    await context.changes.journal.record({ kind: 'note', what: 'join' });
    if (context.config.controlPlane) await context.changes.journal.record({ kind: 'note', what: 'control-plane' });
    return false;
  },
};

/**
 * Fills `cluster`, `localAddress` and `serverVersion`. A host that has joined knows that the cluster is there: it is waited for
 * while control planes start anew. To another one a wrong endpoint is told at once.
 */
export async function findCluster(context: JoinContext): Promise<void> {
  const { host, config, signal } = context;
  const joined = await exists(host, kubeconfigPaths.kubelet);
  for (const deadline = Date.now() + (joined ? apiPatience(config.timeouts) : 0); ; await pause(500, signal)) {
    try {
      await discover(context);
      return await observeServer(context);
    } catch (error) {
      const passing = error instanceof KinitError && error.code === 'Connection';
      if (!passing || Date.now() >= deadline) throw error;
    }
  }
}

/** What a host has to know of its cluster before the first change. */
export async function readCluster(context: JoinContext): Promise<void> {
  if (context.config.controlPlane) await readOfControlPlane(context);
  else await readOfWorker(context);
  // Nodes that share an endpoint need it.
  if (context.unreachable && !context.nodeEndpoint) throw context.unreachable;
}

async function readOfControlPlane(context: JoinContext): Promise<void> {
  const joined = await exists(context.host, kubeconfigPaths.admin);
  context.answers = joined;
  const client = joined ? await adminClient(context) : bootstrapClient(context);
  try {
    const config = await controlPlaneConfiguration(context, client);
    context.controlPlane = config;
    context.nodeEndpoint = localEndpoint(config.host);
    context.images = config.cluster;
    context.podCidr = config.cluster.networking.podSubnet;
    // A wrong key, or certificates that are gone, are found before anything changes.
    const { signal } = context;
    if (await downloadsCertificates(context)) {
      await fetchSharedCertificates(client, config.certificateKey, sharedPlaces(config.cluster), { signal });
    }
  } finally {
    client.close();
  }
}

/** A worker loads its images under the names that the cluster's add-ons use, and has their way to the API servers. */
async function readOfWorker(context: JoinContext): Promise<void> {
  const { host, signal } = context;
  const client = (await exists(host, kubeconfigPaths.kubelet)) ? await nodeClient(context) : bootstrapClient(context);
  try {
    const { text, nodeEndpoint } = await readKubeadmConfig(client, signal);
    const { ClusterConfiguration: cluster } = parseConfig(text, 'configmap kubeadm-config').documents;
    if (nodeEndpoint) context.nodeEndpoint = nodeEndpoint;
    const { imageRepository = defaultCluster.imageRepository, dns, etcd } = cluster ?? {};
    context.images = { imageRepository, dns, etcd };
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    context.warn(`the cluster's names of images are not known, so kinit's own are used: ${reason}`);
  } finally {
    client.close();
  }
}

/** The API server's version, and which of this host's addresses leads to it: the node's address, on hosts with several. */
async function observeServer(context: JoinContext): Promise<void> {
  const { signal } = context;
  const { caPem } = context.cluster!;
  let failure: KinitError | undefined;
  for (const server of await waysTo(context)) {
    try {
      const answer = await fetchOverTls(`${server}/version`, { caPem, signal, timeoutMs: 10_000 });
      context.cluster!.server = server;
      context.localAddress = answer.localAddress?.replace(/^::ffff:/, '');
      context.serverVersion = /"gitVersion":\s*"([^"]+)"/.exec(answer.body)?.[1];
      context.unreachable = failure;
      return;
    } catch (error) {
      signal.throwIfAborted();
      failure ??= asKinitError(error);
    }
  }
  throw failure;
}

/**
 * Where API servers of the cluster may be reached. A node that has a balancer looks for them itself: its address on the way
 * to loopback is none that others can use. Where control planes share no address that outlives each of them, the one that
 * cluster-info names may be lost, and the one that was given has just answered.
 */
async function waysTo({ host, config, cluster, nodeEndpoint }: JoinContext): Promise<string[]> {
  const { server } = cluster!;
  const known = nodeEndpoint ? await knownServers(host) : [];
  const given = config.discovery.bootstrapToken?.apiServerEndpoint;
  const ways = [server, ...[...(given ? [given] : []), ...known].map((way) => `https://${way}`)];
  return [...new Set(ways)].filter((way) => way !== `https://${nodeEndpoint}`);
}

async function discover(context: JoinContext): Promise<void> {
  const { bootstrapToken, file } = context.config.discovery;
  const { timeouts } = context.config;
  context.cluster = bootstrapToken
    ? await discoverByToken(bootstrapToken, timeoutOf(timeouts.discovery), context.signal)
    : await discoverByFile(file!.kubeConfigPath);
  const known = await knownBalancer(context.host);
  if (known) context.nodeEndpoint = localEndpoint(known);
  const existing = await readText(context.host, kubeconfigPaths.kubelet);
  if (existing === undefined) return;
  const { server, caData } = restConfigOf(parseKubeconfig(existing, kubeconfigPaths.kubelet), kubeconfigPaths.kubelet);
  if (server === context.cluster.server) return;
  // The kubelet of a control plane talks to its own API server, or to the balancer: the CA tells whether it is the same cluster.
  if ((context.config.controlPlane || known) && caData?.trim() === context.cluster.caPem.trim()) return;
  throw new KinitError('Preflight', `this host has already joined the cluster at ${server}`, {
    advice: 'run kinit reset first',
  });
}

/** The token must authenticate, and the name must be free. */
async function checkToken(context: JoinContext): Promise<void> {
  const { config, node, signal } = context;
  const token = config.discovery.tlsBootstrapToken;
  const client = bootstrapClient(context);
  try {
    const answer = await client.raw('GET', `/api/v1/nodes/${node.name}`, { signal });
    if (answer.status === 404) return;
    if (answer.status === 401) {
      throw new KinitError('Discovery', `the API server refuses the token "${token.split('.')[0]}.…"`, {
        seen: `HTTP 401 for nodes/${node.name}`,
        advice:
          'it has expired or is not meant for authentication; on the control plane, run: kinit token create --print-join-command',
      });
    }
    if (answer.status === 200) {
      const found = JSON.parse(answer.body) as { status?: { conditions?: { type: string; status: string }[] } };
      const ready = found.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
      if (!ready) return;
      throw new KinitError(
        'Preflight',
        `a node with the name "${node.name}" and status Ready already exists in the cluster`,
        {
          advice: 'give this host another name with --node-name, or delete the node first: kubectl delete node',
        },
      );
    }
    throw new KinitError('Discovery', `the API server does not let the token see the nodes`, {
      seen: `HTTP ${answer.status}: ${answer.body.slice(0, 300)}`,
    });
  } finally {
    client.close();
  }
}

const kubeletStart: Phase<JoinContext> = {
  name: 'kubelet-start',
  title: 'Start the kubelet',
  after: ['images/node'],
  async run(context) {
    const { changes, cluster, config, node, facts, cgroupDriver, hostSettings, signal, host, patches, nodeEndpoint } =
      context;
    const joined = await exists(host, kubeconfigPaths.kubelet);
    await changes.folder(kubernetesDir);
    let changed = await changes.folder(manifestsDir);
    if (await changes.file(config.caCertPath, cluster!.caPem)) changed = true;
    if (!joined) {
      const bootstrap = buildKubeconfig({
        server: nodeEndpoint ? `https://${nodeEndpoint}` : cluster!.server,
        caPem: cluster!.caPem,
        clusterName: 'kubernetes',
        userName: 'tls-bootstrap-token-user',
        user: { token: config.discovery.tlsBootstrapToken },
      });
      if (await changes.file(kubeconfigPaths.bootstrapKubelet, formatKubeconfig(bootstrap), { mode: 0o600 }))
        changed = true;
    }
    // A node that shared an endpoint until now.
    const moved = joined && nodeEndpoint ? await leadTo(context, nodeEndpoint) : false;
    const client = joined ? await nodeClient(context) : bootstrapClient(context);
    try {
      const kubelet = await downloadKubeletConfig(client, signal);
      const started = await startKubelet(changes, {
        cluster: overlay(kubelet, config.kubelet),
        instance: instanceKubeletConfig(node, cgroupDriver, facts, hostSettings.swap === 'keep'),
        flags: kubeletFlags({ node, facts, nodeAddress: context.localAddress, registerTaints: true }),
        facts,
        patches,
        storageDirectory: hostSettings.storage.directory,
      });
      return started || changed || moved;
    } finally {
      client.close();
    }
  },
};

/** The kubelet is started again with the rest: one that is stopped is, also when this run is broken off here. */
async function leadTo({ changes, cluster, signal }: JoinContext, endpoint: string): Promise<boolean> {
  const { host } = changes;
  const { kubelet: path } = kubeconfigPaths;
  const config = parseKubeconfig((await readText(host, path)) ?? '', path);
  const server = `https://${endpoint}`;
  if (restConfigOf(config, path).server === server) return false;
  if (!host.dryRun) await waitForEndpoint(server, cluster!.caPem, signal);
  await runOrFail(host, 'systemctl', ['stop', kubeletUnit]);
  return changes.file(path, formatKubeconfig(withServer(config, server)), { mode: 0o600 });
}

/** API servers take up their new certificates a moment after these are there. */
async function waitForEndpoint(server: string, caPem: string, signal: AbortSignal): Promise<void> {
  let seen = '';
  const answers = async () => {
    try {
      await fetchOverTls(`${server}/version`, { caPem, signal, timeoutMs: 5_000 });
      return true;
    } catch (error) {
      signal.throwIfAborted();
      seen = error instanceof Error ? error.message : String(error);
      return false;
    }
  };
  await waitUntil(answers, {
    timeoutMs: endpointMs,
    intervalMs: 500,
    signal,
    failure: () =>
      new KinitError('Timeout', `no API server answers at ${server} after ${endpointMs / 1000} s`, {
        seen,
        advice: 'look at: journalctl -u kinit-balancer -n 50',
      }),
  });
}

export async function downloadKubeletConfig(client: Client, signal: AbortSignal) {
  const type = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };
  const map = await client
    .resource<ConfigMap>(type)
    .get({ name: 'kubelet-config', namespace: 'kube-system' }, { signal });
  return parseKubeletConfig(map.data?.['kubelet'] ?? '');
}

const kubeletWaitBootstrap: Phase<JoinContext> = {
  name: 'kubelet-wait-bootstrap',
  title: "Wait for the kubelet's certificate",
  needed: ({ host }) => !host.dryRun,
  async run({ host, config, changes, signal }) {
    const timeoutMs = timeoutOf(config.timeouts.tlsBootstrap);
    await waitUntil(() => exists(host, kubeconfigPaths.kubelet), {
      timeoutMs,
      intervalMs: 20,
      signal,
      failure: () =>
        new KinitError('Timeout', `the kubelet has no certificate after ${Math.round(timeoutMs / 1000)} s`, {
          advice: 'look at: journalctl -u kubelet -n 50; and on the control plane: kubectl get csr',
        }),
    });
    await changes.removeFile(kubeconfigPaths.bootstrapKubelet);
    return false;
  },
};

export const waitNode: Phase<JoinContext> = {
  name: 'wait-node',
  title: 'Wait until the node is Ready',
  after: ['images/load'],
  needed: ({ host }) => !host.dryRun,
  async run(context) {
    const { config, node, signal } = context;
    const client = await nodeClient(context);
    try {
      const timeoutMs = timeoutOf(config.timeouts.kubeletHealthCheck);
      await waitForNode(client, node.name, { timeoutMs, signal });
      await waitForReady(client, node.name, { timeoutMs, signal });
      return false;
    } finally {
      client.close();
    }
  },
};

export const joinPhases: readonly Phase<JoinContext>[] = [
  preflightPhase,
  ...hostPhases,
  ...runtimePhases,
  ...workerImages,
  joinLocalEndpoint,
  kubeletStart,
  kubeletWaitBootstrap,
  waitNode,
];

export const joinPhaseNames = joinPhases.map(({ name }) => name);
