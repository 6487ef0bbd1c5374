/** One part of a rotation on this host: from an order to phases. */
import { readFile } from 'node:fs/promises';
import type { Client } from '../../machinery/client/types.ts';
import { defaultCertificatesDir, kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import type { ClusterConfiguration } from '../config/types.ts';
import {
  fetchSharedCertificates,
  sharedPlaces,
  uploadSharedCertificates,
  writeSharedCertificates,
} from '../control-plane/shared-certificates.ts';
import { KinitError } from '../errors.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import type { Phase, PhaseContext } from '../phases/engine.ts';
import { clientFromFile } from '../phases/run.ts';
import { runSession, type SessionOptions, type SessionResult } from '../phases/session.ts';
import { controlPlaneConfiguration, nodeIdentity, readStoredCluster } from '../upgrade/configuration.ts';
import { keyIdOfPrivate, rotatedFiles } from './authorities.ts';
import {
  dropFromAuthentication,
  renewTokenSecrets,
  updateClusterInfo,
  waitForRootCertificates,
} from './cluster-objects.ts';
import { renewKubeletCertificate } from './kubelet-certificate.ts';
import { parseOrder, type RotationOrder } from './order.ts';
import { waitForPods } from './pods.ts';
import { readRecord, rotationFolder, writeRecord } from './record.ts';
import { noteBeginning, releaseHeld, restartKubelet, restartStaticPods } from './restarts.ts';
import { changeShared, crossedPath, replaceFile } from './shared.ts';
import { reissue, showChain, trustInKubeconfig } from './take-up.ts';

interface RotationContext extends PhaseContext {
  order: RotationOrder;
  isControlPlane: boolean;
  certificatesDir: string;
  cluster(): ClusterConfiguration;
  /** With the files as they are now. */
  open(): Promise<Client>;
}

type RotationPhase = Phase<RotationContext>;

async function withClient<T>({ open }: RotationContext, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await open();
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

const textOf = async (host: Host, path: string): Promise<string> => (await readText(host, path)) ?? '';
const caOf = ({ host, certificatesDir }: RotationContext) =>
  textOf(host, `${certificatesDir}/${rotatedFiles.ca.trusted}`);

const keyOf = ({ order }: RotationContext): string => {
  if (order.certificateKey) return order.certificateKey;
  throw new KinitError('Validation', 'the order has no key for the shared files');
};

const note: RotationPhase = {
  name: 'rotate/note',
  title: 'Note what runs with which certificates',
  async run({ changes, certificatesDir }) {
    await noteBeginning(changes, certificatesDir);
    return false;
  },
};

const begin: RotationPhase = {
  name: 'rotate/authorities',
  title: 'Change the authorities',
  async run({ changes, host, order, cluster }) {
    const { names, step } = order;
    const before = await readRecord(host);
    const started = before?.started ?? new Date().toISOString();
    const done = before?.step === step && before.done;
    await writeRecord(changes, { names, step, done, started });
    return changeShared(changes, step, names, cluster());
  },
};

const follow: RotationPhase = {
  name: 'rotate/authorities',
  title: 'Take the authorities of the other control plane',
  async run(context) {
    const { changes, order, signal, certificatesDir, cluster } = context;
    const places = sharedPlaces(cluster());
    const files = await withClient(context, (client) =>
      fetchSharedCertificates(client, keyOf(context), places, { signal }),
    );
    if (order.crossed) await changes.file(crossedPath, order.crossed, { mode: 0o600 });
    return writeSharedCertificates(changes, certificatesDir, files);
  },
};

const kubeconfigs: RotationPhase = {
  name: 'rotate/kubeconfigs',
  title: 'Let kubeconfigs believe the authorities',
  async run(context) {
    const caPem = await caOf(context);
    const { bootstrapKubelet: _, kubelet: __, ...own } = kubeconfigPaths;
    let changed = false;
    for (const path of Object.values(own)) if (await trustInKubeconfig(context.changes, path, caPem)) changed = true;
    return changed;
  },
};

const certificates: RotationPhase = {
  name: 'rotate/certificates',
  title: 'Issue certificates',
  async run({ changes, certificatesDir, order, cluster }) {
    const made = await reissue(changes, cluster());
    return (await showChain(changes, certificatesDir, order.step)) || made.length > 0;
  },
};

const restarts: RotationPhase[] = [
  {
    name: 'rotate/kube-apiserver',
    title: 'Start etcd and kube-apiserver anew',
    run: (context) => restartStaticPods([['etcd'], ['kube-apiserver']], context),
  },
  {
    name: 'rotate/controllers',
    title: 'Start kube-controller-manager and kube-scheduler anew',
    run: (context) => restartStaticPods([['kube-controller-manager', 'kube-scheduler']], context),
  },
];

const upload: RotationPhase = {
  name: 'rotate/upload',
  title: 'Upload the files that control planes share',
  async run(context) {
    const { host, signal, cluster } = context;
    await withClient(context, (client) =>
      uploadSharedCertificates(client, host, cluster(), keyOf(context), { signal }),
    );
    return true;
  },
};

const clusterInfo: RotationPhase = {
  name: 'rotate/cluster-info',
  title: 'Tell hosts that join',
  run: (context) =>
    withClient(context, async (client) => updateClusterInfo(client, await caOf(context), context.signal)),
};

const rootCertificates: RotationPhase = {
  name: 'rotate/root-certificates',
  title: 'Wait for the ConfigMaps kube-root-ca.crt',
  async run(context) {
    await withClient(context, async (client) => waitForRootCertificates(client, await caOf(context), context.signal));
    return false;
  },
};

const authentication: RotationPhase = {
  name: 'rotate/authentication',
  title: 'Take old authorities from extension-apiserver-authentication',
  needed: ({ order }) => order.step === 'finish',
  run: (context) =>
    withClient(context, async (client) => {
      const frontProxy = rotatedFiles['front-proxy-ca'].trusted;
      const believed = {
        ca: await caOf(context),
        frontProxy: await textOf(context.host, `${context.certificatesDir}/${frontProxy}`),
      };
      return dropFromAuthentication(client, believed, context.signal);
    }),
};

const tokenSecrets: RotationPhase = {
  name: 'rotate/token-secrets',
  title: 'Make tokens in Secrets anew',
  needed: ({ order }) => order.step === 'issue' && order.names.includes('sa'),
  run: (context) =>
    withClient(context, async (client) => {
      const key = await textOf(context.host, `${context.certificatesDir}/${rotatedFiles.sa.key}`);
      const renewed = await renewTokenSecrets(client, keyIdOfPrivate(key), context.signal);
      for (const name of renewed)
        context.warn(`the token in the Secret ${name} is a new one: who has a copy of the old one needs this one`);
      return renewed.length > 0;
    }),
};

const trusted: RotationPhase = {
  name: 'rotate/trust',
  title: 'Believe the authorities',
  async run(context) {
    const { changes, isControlPlane, certificatesDir, order } = context;
    const path = `${certificatesDir}/${rotatedFiles.ca.trusted}`;
    const wrote = !isControlPlane && order.trusted ? await replaceFile(changes, path, order.trusted, 0o644) : false;
    return (await trustInKubeconfig(changes, kubeconfigPaths.kubelet, await caOf(context))) || wrote;
  },
};

const kubeletCertificate: RotationPhase = {
  name: 'rotate/kubelet-certificate',
  title: 'Have a certificate signed for the kubelet',
  needed: ({ order }) => order.names.includes('ca') && order.step === 'issue',
  async run({ changes, host, certificatesDir, signal }) {
    const caPem = await textOf(host, `${certificatesDir}/${rotatedFiles.ca.trusted}`);
    return renewKubeletCertificate({
      changes,
      caPem,
      open: () => clientFromFile(host, kubeconfigPaths.kubelet),
      signal,
    });
  },
};

const kubelet: RotationPhase = {
  name: 'rotate/kubelet',
  title: 'Start the kubelet anew',
  run: (context) => restartKubelet(context, context.order.tokenKey ?? ''),
};

const pods: RotationPhase = {
  name: 'rotate/pods',
  title: "Wait until the kubelet has renewed bundles and tokens in pods' volumes",
  async run(context) {
    const { host, order, signal } = context;
    const bundle = order.names.includes('ca') ? await caOf(context) : undefined;
    await waitForPods(host, { trusted: bundle, tokenKey: order.tokenKey }, signal);
    return false;
  },
};

const end: RotationPhase = {
  name: 'rotate/end',
  title: 'Note that the step is done',
  async run({ changes, host, order }) {
    if (order.step === 'finish') {
      await host.remove(rotationFolder);
      return true;
    }
    const record = await readRecord(host);
    return record ? writeRecord(changes, { ...record, step: order.step, done: true }) : false;
  },
};

const takeUp = [kubeconfigs, certificates, ...restarts];

const phasesOf: Record<RotationOrder['part'], readonly RotationPhase[]> = {
  begin: [note, begin, ...takeUp, upload],
  follow: [note, follow, ...takeUp],
  cluster: [clusterInfo, rootCertificates, authentication, tokenSecrets],
  kubelet: [note, trusted, kubeletCertificate, kubelet],
  pods: [pods],
  end: [end],
};

const apiMs = 120_000;

/** What the cluster says of this control plane; its API server may need a moment, after a run that was broken off. */
async function clusterOf(
  { facts, host, signal }: PhaseContext,
  open: () => Promise<Client>,
): Promise<ClusterConfiguration> {
  let found: ClusterConfiguration | undefined;
  let seen: unknown;
  await waitUntil(
    async () => {
      const client = await open();
      try {
        const stored = await readStoredCluster(client, signal);
        const identity = await nodeIdentity(host, facts.hostname);
        found = (await controlPlaneConfiguration(host, facts, stored, identity)).cluster;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof KinitError) throw error;
        seen = error;
      } finally {
        client.close();
      }
      return found !== undefined;
    },
    {
      timeoutMs: apiMs,
      intervalMs: 500,
      signal,
      failure: () =>
        new KinitError('Api', 'the API server does not say how the cluster was made', {
          seen: seen instanceof Error ? seen.message : String(seen),
          advice: 'check that the control plane runs: kinit doctor; then run the same command again',
        }),
    },
  );
  return found as ClusterConfiguration;
}

/** @param path of the order */
export async function runRotation(path: string, options: SessionOptions): Promise<SessionResult> {
  return runSession<RotationContext>('certs rotate-node', options, async (base) => {
    const { host } = base;
    const order = parseOrder(await readFile(path, 'utf8'), path);
    if (!host.dryRun) await releaseHeld(host);
    const isControlPlane = await exists(host, `${manifestsDir}/kube-apiserver.yaml`);
    if (!isControlPlane && ['begin', 'follow', 'cluster'].includes(order.part))
      throw new KinitError('Preflight', 'this host is no control plane');
    const open = () => clientFromFile(host, isControlPlane ? kubeconfigPaths.admin : kubeconfigPaths.kubelet);
    const cluster = isControlPlane ? await clusterOf(base, open) : undefined;
    const context: RotationContext = {
      ...base,
      order,
      isControlPlane,
      certificatesDir: cluster?.certificatesDir ?? defaultCertificatesDir,
      cluster: () => cluster as ClusterConfiguration,
      open,
    };
    return { phases: phasesOf[order.part], context, skip: [] };
  });
}
