/** `kinit etcd restore`: on a control plane, and what `kinit init` does more on a new host. */
import { kubernetesDir, manifestsDir } from '../config/paths.ts';
import { holdStaticPods, releaseStaticPods } from '../control-plane/hold.ts';
import { waitForControlPlane } from '../control-plane/wait.ts';
import { KinitError } from '../errors.ts';
import { etcdAccess, manifestArgument, targetOf } from '../etcd/access.ts';
import { withEtcd } from '../etcd/connection.ts';
import { parsePkiBackup, writePkiBackup } from '../etcd/pki-backup.ts';
import { restoreData } from '../etcd/restore-data.ts';
import { endRestore, heldManifests, type RestoreState, writeRestoreState } from '../etcd/restore-state.ts';
import { pkiPath } from '../etcd/snapshot-file.ts';
import { peerUrl } from '../etcd/static-pod.ts';
import { unitState } from '../host/changes.ts';
import { exists, type Host, readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { kubeletUnit } from '../runtime/kubelet.ts';
import type { InitContext } from './context.ts';
import type { Phase, PhaseContext } from './engine.ts';
import { localMemberOf } from './remove-etcd-member.ts';

export interface RestoreSource {
  /** The snapshot, whole and checked. */
  path: string;
  sha256: string;
  /** Name of the node that took it. */
  node?: string;
  /** Decrypts the keys beside it. */
  certificateKey?: string;
}

export interface RestoreContext extends PhaseContext {
  source: RestoreSource;
  state: RestoreState;
}

const others = ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver'];
const startTimeoutMs = 240_000;

/** etcd's manifest, wherever it is at the moment. */
export async function etcdManifestText(host: Host): Promise<string | undefined> {
  return (await readText(host, `${manifestsDir}/etcd.yaml`)) ?? (await readText(host, `${heldManifests}/etcd.yaml`));
}

interface Place {
  name: string;
  peerUrl: string;
  clientUrl: string;
  dataDir: string;
  otherClientUrls: string[];
}

async function placeOf(host: Host): Promise<Place> {
  const manifest = (await etcdManifestText(host)) ?? '';
  const member = localMemberOf(manifest);
  const name = manifestArgument(manifest, 'name');
  const dataDir = manifestArgument(manifest, 'data-dir');
  if (!member || !name || !dataDir) {
    throw new KinitError('Validation', `${manifestsDir}/etcd.yaml does not say where etcd keeps its data`);
  }
  if (manifestArgument(manifest, 'wal-dir')) {
    throw new KinitError('Validation', 'this etcd has its log in a folder of its own (--wal-dir)', {
      advice: 'restore it with etcdutl, or take the argument out of its manifest first',
    });
  }
  const { clientUrl, otherClientUrls } = member;
  return { name, peerUrl: member.peerUrl, clientUrl, dataDir, otherClientUrls };
}

/** Two clusters of etcd with one past would both be believed. */
async function assertAlone({ host, warn }: RestoreContext, { otherClientUrls }: Place): Promise<void> {
  const manifest = `${manifestsDir}/etcd.yaml`;
  if (!otherClientUrls.length || !(await exists(host, manifest))) return;
  const access = await etcdAccess(host);
  const alive = await Promise.all(
    otherClientUrls.map((endpoint) =>
      withEtcd(targetOf(access, endpoint), ({ maintenance }) =>
        maintenance.status({ deadline: Date.now() + 3_000 }),
      ).then(
        () => [endpoint],
        () => [],
      ),
    ),
  );
  const running = alive.flat();
  if (!running.length) return;
  if (host.dryRun) return warn(`other members of etcd still run and have to be reset first: ${running.join(', ')}`);
  throw new KinitError('Preflight', 'other members of etcd still run; nothing was changed', {
    seen: running.join(', '),
    advice:
      'kinit reset on those control planes first (they join again afterwards), or restore with --inventory, which does that',
  });
}

/** The same member, alone in its cluster. */
export function aloneManifest(manifest: string, name: string, url: string): string {
  return manifest
    .replace(/^( *- --initial-cluster=).*$/m, `$1${name}=${url}`)
    .replace(/^ *- --initial-cluster-state=existing\n/m, '');
}

async function waitForEtcd(host: Host, signal: AbortSignal): Promise<void> {
  const access = await etcdAccess(host);
  let seen = '';
  await waitUntil(
    async () => {
      try {
        const { leader } = await withEtcd(targetOf(access, access.endpoints[0]!), ({ maintenance }) =>
          maintenance.status({ deadline: Date.now() + 2_000 }),
        );
        return BigInt(leader) !== 0n;
      } catch (error) {
        seen = (error as Error).message;
        return false;
      }
    },
    {
      timeoutMs: startTimeoutMs,
      intervalMs: 250,
      signal,
      failure: () =>
        new KinitError('Timeout', `etcd does not answer ${startTimeoutMs / 1000} s after its data was restored`, {
          seen,
          advice: 'look at /var/log/pods/kube-system_etcd-*; run the command again to go on',
        }),
    },
  );
}

/** Undefined when it cannot be told. */
async function freeBytes(host: Host, path: string): Promise<number | undefined> {
  const { exitCode, stdout } = await host.run('stat', ['-f', '-c', '%a %S', path], { observe: true });
  const [blocks = Number.NaN, size = Number.NaN] = stdout.split(' ').map(Number);
  return exitCode === 0 && Number.isFinite(blocks * size) ? blocks * size : undefined;
}

/** On a host that is a control plane. */
export const inPlacePhases: readonly Phase<RestoreContext>[] = [
  {
    name: 'restore/check',
    title: 'Check host and snapshot',
    async run(context) {
      const { host, source, state } = context;
      const place = await placeOf(host);
      if (!state.dataInPlace) await assertAlone(context, place);
      if (!(await unitState(host, kubeletUnit)).active) {
        throw new KinitError('Preflight', 'the kubelet does not run; it has to stop and start the control plane', {
          advice: 'systemctl start kubelet',
        });
      }
      const free = await freeBytes(host, place.dataDir);
      const size = (await host.stat(source.path))?.size ?? 0;
      if (free !== undefined && free < size * 2) {
        throw new KinitError('Preflight', `there is no room for the data in ${place.dataDir}; nothing was changed`, {
          seen: `${Math.round(free / 1e6)} MB are free, ${Math.round((size * 2) / 1e6)} MB are needed`,
        });
      }
      return false;
    },
  },
  {
    name: 'restore/stop',
    title: 'Stop the control plane, etcd last',
    needed: ({ host, state }) => !state.dataInPlace && !host.dryRun,
    async run({ host, signal, state }) {
      await writeRestoreState(host, state);
      const stopped = await holdStaticPods(host, others, heldManifests, signal);
      return (await holdStaticPods(host, ['etcd'], heldManifests, signal)) || stopped;
    },
  },
  {
    name: 'restore/data',
    title: 'Restore the data of etcd; what was there is moved aside',
    needed: ({ host, state }) => !state.dataInPlace && !host.dryRun,
    async run(context) {
      const { host, source, signal } = context;
      context.state = await restoreData(host, source.path, await placeOf(host), context.state, signal);
      return true;
    },
  },
  {
    name: 'restore/etcd',
    title: 'Start etcd',
    needed: ({ host }) => !host.dryRun,
    async run({ host, signal }) {
      const held = await readText(host, `${heldManifests}/etcd.yaml`);
      if (held !== undefined) {
        const { name, peerUrl: url } = await placeOf(host);
        await host.writeFile(`${heldManifests}/etcd.yaml`, aloneManifest(held, name, url), { mode: 0o600 });
      }
      const changed = await releaseStaticPods(host, ['etcd'], heldManifests);
      await waitForEtcd(host, signal);
      return changed;
    },
  },
  {
    name: 'restore/control-plane',
    title: 'Start the control plane',
    needed: ({ host }) => !host.dryRun,
    async run({ host, signal, state, warn }) {
      const changed = await releaseStaticPods(host, [...others].reverse(), heldManifests);
      const manifest = (await readText(host, `${manifestsDir}/kube-apiserver.yaml`)) ?? '';
      const advertiseAddress = manifestArgument(manifest, 'advertise-address') ?? '127.0.0.1';
      const bindPort = Number(manifestArgument(manifest, 'secure-port') ?? 6443);
      await waitForControlPlane(
        host,
        { localAPIEndpoint: { advertiseAddress, bindPort } },
        { timeoutMs: startTimeoutMs, signal },
      );
      if (state.movedAside && (await exists(host, state.movedAside))) {
        warn(`the data from before lies in ${state.movedAside}; remove it when all is well`);
      }
      await endRestore(host);
      return changed;
    },
  },
];

const needed = ['ca.crt', 'ca.key', 'front-proxy-ca.crt', 'etcd/ca.crt', 'etcd/ca.key', 'sa.key'] as const;

/** What `kinit init` does more when its etcd is to have the data of a snapshot. */
function restorePhases(source: RestoreSource, initial: RestoreState): Phase<InitContext>[] {
  return [
    {
      name: 'restore/pki',
      title: 'Put the keys of the cluster in place',
      async run({ changes, config, host }) {
        const { certificatesDir } = config.cluster;
        const text = await readText(host, pkiPath(source.path));
        await changes.folder(kubernetesDir);
        const files =
          text === undefined ? undefined : parsePkiBackup(text, pkiPath(source.path), source.certificateKey);
        const changed = files ? await writePkiBackup(changes, certificatesDir, files) : false;
        const missing: string[] = [];
        for (const file of needed) {
          if (!files?.has(file) && !(await exists(host, `${certificatesDir}/${file}`)))
            missing.push(`${certificatesDir}/${file}`);
        }
        if (missing.length) {
          throw new KinitError(
            'Validation',
            'the keys of the cluster are missing: nodes and pods would not trust new ones',
            {
              seen: missing.join('\n'),
              advice: `put them there, or ${pkiPath(source.path)} of kinit etcd snapshot save --with-pki beside the snapshot`,
            },
          );
        }
        return changed;
      },
    },
    {
      name: 'restore/data',
      title: 'Restore the data of etcd',
      needed: ({ host }) => !host.dryRun && !initial.dataInPlace,
      async run({ changes, config, host, signal }) {
        const { dataDir } = config.cluster.etcd.local;
        await changes.folder(dataDir, 0o700);
        const member = {
          name: config.nodeRegistration.name,
          peerUrl: peerUrl(config.localAPIEndpoint.advertiseAddress),
          dataDir,
        };
        await restoreData(host, source.path, member, initial, signal);
        return true;
      },
    },
  ];
}

/** The phases of init around those of the restore. */
export function withRestore(
  phases: readonly Phase<InitContext>[],
  source: RestoreSource,
  initial: RestoreState,
): Phase<InitContext>[] {
  const [keys, data] = restorePhases(source, initial) as [Phase<InitContext>, Phase<InitContext>];
  const list = [...phases];
  list.splice(
    list.findIndex(({ name }) => name.startsWith('certs/')),
    0,
    keys,
  );
  list.splice(
    list.findIndex(({ name }) => name === 'etcd/local'),
    0,
    data,
  );
  return [...list, restoreEnd(source)];
}

/** At the end of all: the next run of init is one like any other. */
function restoreEnd(source: RestoreSource): Phase<InitContext> {
  return {
    name: 'restore/end',
    title: 'Finish the restore',
    needed: ({ host }) => !host.dryRun,
    async run({ host, node, warn }) {
      if (source.node && source.node !== node.name) {
        warn(`the lost host is still a node: kubectl delete node ${source.node}`);
      }
      await endRestore(host);
      return false;
    },
  };
}
