/** `kinit join --control-plane`: what happens to a host that becomes one more control plane, in this order. */
import type { Pod } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { parseDuration } from '../config/duration.ts';
import { overlay } from '../config/overlay.ts';
import { defaultCertificatesDir, kubernetesDir, manifestsDir } from '../config/paths.ts';
import { settled } from '../control-plane/owners.ts';
import { writeManifest } from '../control-plane/settle.ts';
import {
  fetchSharedCertificates,
  sharedPlaces,
  writeSharedCertificates,
} from '../control-plane/shared-certificates.ts';
import { EtcdMembers, etcdCredentials, initialClusterOf } from '../etcd/members.ts';
import { clientUrl, joinedMembers, peerUrl } from '../etcd/static-pod.ts';
import { readText } from '../host/host.ts';
import { ensureKubeconfig, kubeconfigIdentities } from '../kubeconfig/kubeconfig.ts';
import { type AuthorityName, authorities, isUsed, leafCertificates } from '../pki/catalog.ts';
import { ensureLeaf, ensureServiceAccountKey, loadAuthorityCertificate } from '../pki/ensure.ts';
import { instanceKubeletConfig, kubeletFlags, startKubelet } from '../runtime/kubelet.ts';
import { clusterPhases } from './cluster.ts';
import type { InitContext, JoinContext } from './context.ts';
import { controlPlanePhases, localEtcdManifest, settling, usersPhase } from './control-plane.ts';
import type { Phase } from './engine.ts';
import { etcdSnapshots } from './etcd-snapshots.ts';
import { hostPhases } from './host.ts';
import { downloadKubeletConfig, preflightPhase, waitNode } from './join.ts';
import { adminClient, bootstrapClient } from './join-clients.ts';
import { downloadsCertificates } from './join-configuration.ts';
import { kubeletFinalize } from './kubelet.ts';
import { joinLocalEndpoint, virtualIp } from './local-endpoint.ts';
import { controlPlaneImagePhases, runtimePhases } from './runtime.ts';

/** This host as the phases of init see it. */
function asInit(context: JoinContext): InitContext {
  return {
    ...context,
    kind: 'init',
    config: context.controlPlane!,
    kubeconfigDir: kubernetesDir,
    admin: () => adminClient(context),
    superAdmin: () => adminClient(context),
    kubeletConfig: {},
  };
}

/** A phase of init under kubeadm's name for it in join. */
function ofInit(phases: readonly Phase<InitContext>[], name: string, as: string, after?: string[]): Phase<JoinContext> {
  const { title, needed, run } = phases.find((phase) => phase.name === name)!;
  return {
    name: as,
    title,
    ...(after ? { after } : {}),
    ...(needed ? { needed: (context) => needed(asInit(context)) } : {}),
    run: (context) => run(asInit(context)),
  };
}

const downloadCertificates: Phase<JoinContext> = {
  name: 'control-plane-prepare/download-certs',
  title: 'Download the certificates that control planes share',
  needed: downloadsCertificates,
  async run(context) {
    const { changes, signal } = context;
    const { cluster, certificateKey } = context.controlPlane!;
    await changes.folder(kubernetesDir);
    if (cluster.certificatesDir !== defaultCertificatesDir) await changes.folder(cluster.certificatesDir);
    const client = bootstrapClient(context);
    try {
      const places = sharedPlaces(cluster);
      const files = await fetchSharedCertificates(client, certificateKey, places, { signal });
      return await settled(changes, writeSharedCertificates(changes, cluster.certificatesDir, files));
    } finally {
      client.close();
    }
  },
};

const certificates: Phase<JoinContext> = {
  name: 'control-plane-prepare/certs',
  title: "Make this host's certificates",
  async run({ changes, controlPlane, prune }) {
    const config = controlPlane!;
    const used = (name: AuthorityName) => isUsed(name, config.cluster);
    for (const { name } of authorities.filter(({ name }) => used(name)))
      await loadAuthorityCertificate(changes.host, config.cluster.certificatesDir, name);
    const leaves = leafCertificates.filter(({ authority }) => used(authority));
    const made = await Promise.all(leaves.map((leaf) => settled(changes, ensureLeaf(changes, config, leaf, prune))));
    return (await settled(changes, ensureServiceAccountKey(changes, config.cluster))) || made.some(Boolean);
  },
};

const { admin, controllerManager, scheduler, kubelet } = kubeconfigIdentities;

const kubeconfigs: Phase<JoinContext> = {
  name: 'control-plane-prepare/kubeconfig',
  title: 'Make the kubeconfigs of the control plane',
  async run({ changes, controlPlane }) {
    const config = controlPlane!;
    let changed = false;
    for (const identity of [admin, controllerManager, scheduler, kubelet]) {
      if (await settled(changes, ensureKubeconfig(changes, config, identity))) changed = true;
    }
    return changed;
  },
};

/** Like on the first control plane, the kubelet begins with a certificate and talks to the API server of its own host. */
const kubeletStart: Phase<JoinContext> = {
  name: 'kubelet-start',
  title: 'Start the kubelet',
  after: ['runtime/install', 'runtime/existing'],
  async run(context) {
    const { changes, config, controlPlane, node, facts, cgroupDriver, hostSettings, signal, host, patches } = context;
    const { answers } = context;
    await changes.folder(manifestsDir);
    const client = host.dryRun && !answers ? bootstrapClient(context) : await adminClient(context);
    try {
      return await startKubelet(changes, {
        cluster: overlay(await downloadKubeletConfig(client, signal), config.kubelet),
        instance: instanceKubeletConfig(node, cgroupDriver, facts, hostSettings.swap === 'keep'),
        flags: kubeletFlags({
          node,
          facts,
          nodeAddress: controlPlane!.localAPIEndpoint.advertiseAddress,
          registerTaints: false,
        }),
        facts,
        patches,
        storageDirectory: hostSettings.storage.directory,
      });
    } finally {
      client.close();
    }
  },
};

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
const urlAnnotation = 'kubeadm.kubernetes.io/etcd.advertise-client-urls';

/** Where etcd answers on the other control planes. */
async function etcdEndpoints(client: Client, own: string, signal: AbortSignal): Promise<string[]> {
  const { items } = await client
    .resource<Pod>(pods)
    .list({ namespace: 'kube-system', labelSelector: 'component=etcd,tier=control-plane', signal });
  return items
    .map(({ metadata }) => metadata?.annotations?.[urlAnnotation] ?? '')
    .filter((url) => url !== '' && url !== own);
}

const etcdJoin: Phase<JoinContext> = {
  name: 'etcd-join',
  title: 'Join etcd as one more member',
  after: ['host/users', 'images/etcd'],
  needed: ({ controlPlane }) => controlPlane?.cluster.etcd.external === undefined,
  async run(context) {
    const { changes, host, signal, plan } = context;
    const config = context.controlPlane!;
    const { advertiseAddress } = config.localAPIEndpoint;
    const url = peerUrl(advertiseAddress);
    const path = `${manifestsDir}/etcd.yaml`;
    const before = joinedMembers(await readText(host, path));
    if (host.dryRun && before === undefined) {
      plan?.({ action: 'add', what: `${url} to the members of etcd` });
      return true;
    }
    if (host.dryRun)
      return writeManifest('etcd', await localEtcdManifest(asInit(context), before), settling(asInit(context)));
    const client = await adminClient(context);
    try {
      const members = new EtcdMembers({
        endpoints: await etcdEndpoints(client, clientUrl(advertiseAddress), signal),
        credentials: await etcdCredentials(host, config.cluster.certificatesDir),
        timeoutMs: parseDuration(config.timeouts.etcdAPICall) ?? 120_000,
        signal,
      });
      await changes.folder(config.cluster.etcd.local.dataDir, 0o700);
      const initial = before ?? initialClusterOf(await members.addLearner(url), config.nodeRegistration.name, url);
      const manifest = await localEtcdManifest(asInit(context), initial);
      const changed = await writeManifest('etcd', manifest, settling(asInit(context)));
      return (await members.promote(url)) || changed;
    } finally {
      client.close();
    }
  },
};

const users: Phase<JoinContext> = { ...ofInit([usersPhase], usersPhase.name, usersPhase.name), background: true };

export const joinControlPlanePhases: readonly Phase<JoinContext>[] = [
  preflightPhase,
  ...hostPhases,
  users,
  ...runtimePhases,
  ...controlPlaneImagePhases,
  downloadCertificates,
  certificates,
  kubeconfigs,
  joinLocalEndpoint,
  kubeletStart,
  etcdJoin,
  ofInit(controlPlanePhases, 'control-plane/apiserver', 'control-plane-prepare/apiserver', [
    'host/users',
    'images/control-plane',
  ]),
  ofInit(controlPlanePhases, 'control-plane/controller-manager', 'control-plane-prepare/controller-manager'),
  ofInit(controlPlanePhases, 'control-plane/scheduler', 'control-plane-prepare/scheduler'),
  ofInit(controlPlanePhases, 'wait-control-plane', 'wait-control-plane'),
  ofInit([virtualIp], 'virtual-ip', 'virtual-ip'),
  etcdSnapshots,
  ofInit(clusterPhases, 'mark-control-plane', 'control-plane-join/mark-control-plane'),
  waitNode,
  {
    name: 'kubelet-finalize',
    title: kubeletFinalize.title,
    needed: (context) => kubeletFinalize.needed!(asInit(context)),
    run: (context) => kubeletFinalize.run(asInit(context)),
  },
];
