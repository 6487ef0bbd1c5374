/**
 * Starts anew what has read its certificates when it started, one after the other and each behind its gate. What runs with which
 * files is written down, so that a run after one that was broken off starts only what still runs with old ones.
 */
import { createHash } from 'node:crypto';
import { load } from 'js-yaml';
import type { Pod } from '../../machinery/api/types.ts';
import { kubeconfigPaths, kubeletPaths, temporaryDir } from '../config/paths.ts';
import { holdStaticPods, releaseStaticPods } from '../control-plane/hold.ts';
import { settleOwners } from '../control-plane/owners.ts';
import { KinitError } from '../errors.ts';
import { etcdAccess } from '../etcd/access.ts';
import { type MemberStatus, memberStatuses } from '../etcd/status.ts';
import { ask, probeUrl } from '../health/components.ts';
import type { Changes } from '../host/changes.ts';
import { type Host, readText, runOrFail } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { kubeletUnit } from '../runtime/kubelet.ts';
import { manifestPath, type StaticPodName, staticPodNames } from '../upgrade/backup.ts';
import { waitForKubelet } from '../upgrade/services.ts';
import { rotationFolder } from './record.ts';

const holdFolder = `${temporaryDir}/kinit-rotate-hold`;
const runningPath = `${rotationFolder}/running.json`;
const gateMs = 180_000;

export type Restarted = StaticPodName | 'kubelet';

/** Whose content matters to whom; names below the certificates folder, or paths. */
const filesOf: Record<Restarted, readonly string[]> = {
  etcd: ['etcd/ca.crt', 'etcd/server.crt', 'etcd/peer.crt'],
  'kube-apiserver': [
    'ca.crt',
    'apiserver.crt',
    'apiserver-kubelet-client.crt',
    'front-proxy-ca.crt',
    'front-proxy-client.crt',
    'etcd/ca.crt',
    'apiserver-etcd-client.crt',
    'sa.pub',
  ],
  'kube-controller-manager': ['ca.crt', 'front-proxy-ca.crt', 'sa.pub', kubeconfigPaths.controllerManager],
  'kube-scheduler': [kubeconfigPaths.scheduler],
  kubelet: ['ca.crt', kubeconfigPaths.kubelet, kubeletPaths.clientCertificate],
};

/** `sa.pub` counts for kubelets, too: after a restart they ask for new tokens. */
const digest = async (host: Host, certificatesDir: string, name: Restarted, also = ''): Promise<string> => {
  const hash = createHash('sha256').update(also);
  for (const file of filesOf[name]) {
    const content = await host.readFile(file.startsWith('/') ? file : `${certificatesDir}/${file}`);
    hash.update(content ? createHash('sha256').update(content).digest() : '-');
  }
  return hash.digest('hex');
};

type Running = Partial<Record<Restarted, string>>;

async function readRunning(host: Host): Promise<Running | undefined> {
  const text = await readText(host, runningPath);
  return text === undefined ? undefined : (JSON.parse(text) as Running);
}

async function noteRunning({ folder, file }: Changes, running: Running): Promise<void> {
  await folder(rotationFolder, 0o700);
  await file(runningPath, `${JSON.stringify(running, undefined, 2)}\n`, { mode: 0o600 });
}

/** Before the first file changes: what runs has the files that are there. */
export async function noteBeginning(changes: Changes, certificatesDir: string): Promise<void> {
  if (await readRunning(changes.host)) return;
  const running: Running = {};
  for (const name of [...staticPodNames, 'kubelet'] as const)
    running[name] = await digest(changes.host, certificatesDir, name);
  await noteRunning(changes, running);
}

/** Of a run that was broken off: without its API server a control plane cannot go on. */
export const releaseHeld = (host: Host): Promise<boolean> => releaseStaticPods(host, staticPodNames, holdFolder);

export interface RestartOptions {
  changes: Changes;
  certificatesDir: string;
  signal: AbortSignal;
}

/**
 * Those that run with other files than are there. What connects to another stops before it and starts after it, so that no API server
 * is without its etcd.
 * @param stages in the order of starting; those of one stage start at the same time
 * @returns whether any had to be started anew
 */
export async function restartStaticPods(
  stages: readonly (readonly StaticPodName[])[],
  options: RestartOptions,
): Promise<boolean> {
  const { changes, certificatesDir, signal } = options;
  const { host } = changes;
  const running = (await readRunning(host)) ?? {};
  const wanted: Running = {};
  const manifests = new Map<StaticPodName, string>();
  for (const name of stages.flat()) {
    const manifest = await readText(host, manifestPath(name));
    const now = await digest(host, certificatesDir, name);
    if (manifest === undefined || running[name] === now) continue;
    await settleOwners(changes, manifest);
    manifests.set(name, manifest);
    wanted[name] = now;
  }
  if (!manifests.size) return false;
  if (manifests.has('etcd')) await untilEtcdIsWell(host, signal);
  const chosen = stages.map((names) => names.filter((name) => manifests.has(name))).filter((names) => names.length);
  for (const names of [...chosen].reverse()) await holdStaticPods(host, names, holdFolder, signal);
  for (const names of chosen) {
    await releaseStaticPods(host, names, holdFolder);
    for (const name of names) await untilReady(name, manifests.get(name) ?? '', signal);
    if (names.includes('etcd')) await untilEtcdIsWell(host, signal);
  }
  await noteRunning(changes, { ...running, ...wanted });
  return true;
}

/** What the kubelet asks, too, but only ten seconds after the start. The old one has ended: who answers is the new one. */
async function untilReady(name: StaticPodName, manifest: string, signal: AbortSignal): Promise<void> {
  const container = (load(manifest) as Pod | undefined)?.spec?.containers[0];
  const url = probeUrl(container?.readinessProbe ?? container?.livenessProbe, container?.ports);
  if (!url) return;
  let seen = '';
  await waitUntil(
    async () => {
      const answer = await ask(url);
      seen = answer.seen;
      return answer.healthy;
    },
    {
      timeoutMs: gateMs,
      intervalMs: 200,
      signal,
      failure: () =>
        new KinitError('Timeout', `${name} is not ready ${gateMs / 1000} s after it was started anew`, {
          seen,
          advice: `look at: /var/log/pods/kube-system_${name}-*; journalctl -u kubelet -n 50; then run the same command again`,
        }),
    },
  );
}

/** Why a member of etcd may not be stopped, or the next one not yet. */
export const etcdProblem = (members: readonly MemberStatus[]): string | undefined =>
  members.flatMap(({ name, id, healthy, error }) => (healthy ? [] : [`${name || id}: ${error}`])).join('\n') ||
  undefined;

async function untilEtcdIsWell(host: Host, signal: AbortSignal): Promise<void> {
  let seen = '';
  await waitUntil(
    async () => {
      try {
        seen = etcdProblem((await memberStatuses(await etcdAccess(host))).members) ?? '';
      } catch (error) {
        signal.throwIfAborted();
        seen = error instanceof Error ? error.message : String(error);
      }
      return seen === '';
    },
    {
      timeoutMs: gateMs,
      intervalMs: 250,
      signal,
      failure: () =>
        new KinitError('Timeout', `not all members of etcd are well after ${gateMs / 1000} s`, {
          seen,
          advice: 'look at: kinit etcd status; then run the same command again',
        }),
    },
  );
}

/** @param also what else a kubelet takes up when it starts */
export async function restartKubelet(
  { changes, certificatesDir, signal }: RestartOptions,
  also: string,
): Promise<boolean> {
  const { host } = changes;
  const wanted = await digest(host, certificatesDir, 'kubelet', also);
  const running = (await readRunning(host)) ?? {};
  if (running.kubelet === wanted) return false;
  await runOrFail(host, 'systemctl', ['restart', kubeletUnit], {
    advice: `look at: journalctl -u ${kubeletUnit} -n 50`,
  });
  await waitForKubelet(host, gateMs, signal);
  await noteRunning(changes, { ...running, kubelet: wanted });
  return true;
}
