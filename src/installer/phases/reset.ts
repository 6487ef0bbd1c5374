/** `kinit reset`: a node becomes again the host that it was. */
import { partsFolder } from '../bundle/run-file.ts';
import { bundlePaths, containerdPaths, linkDir, logindDropIn } from '../config/paths.ts';
import { type Changes, unitState } from '../host/changes.ts';
import { exists, type Host } from '../host/host.ts';
import { stateFolder } from '../host/journal.ts';
import { removeInterfaces, removeRules } from '../host/network-cleanup.ts';
import { undoAll } from '../host/undo.ts';
import { unitName } from '../runtime/containerd.ts';
import { removeReferences } from '../runtime/image-store.ts';
import { kubeletUnit } from '../runtime/kubelet.ts';
import { recordedRuntime } from '../runtime/node-runtime.ts';
import {
  killPodProcesses,
  killShims,
  removePodCgroups,
  stopOwnContainers,
  stopPods,
  unmountAll,
} from '../runtime/stop-containers.ts';
import type { Phase, PhaseContext } from './engine.ts';
import { removeEtcdMember } from './remove-etcd-member.ts';

export interface ResetContext extends PhaseContext {
  kind: 'reset';
  /** Of a runtime that is not kinit's, for nodes whose journal does not say it. */
  criSocket?: string;
  imageRepository: string;
  keepBundle: boolean;
  /** How long etcd may take to let a member go. */
  etcdTimeoutMs?: number;
  /** Emptied, whoever made what is in them. */
  cleanFolders: readonly string[];
  /** Names of mount(2), as in a ResetConfiguration. */
  unmountFlags: readonly string[];
}

/** Phases other than the last ones do their best: a host half broken must become clean too. */
const tell = (context: ResetContext, problems: string[]) => {
  for (const problem of problems) context.warn(problem);
};

/** containerd that came with kinit. Known as soon as its unit may be there: a run may have been broken off before it was started. */
const hasOwnRuntime = ({ journal }: Changes) =>
  recordedRuntime(journal)?.kept === false || journal.has(`path:${containerdPaths.unit}`);

/** The runtime stays on this host: kinit found it there. */
const keptRuntime = ({ changes, criSocket }: ResetContext): string | undefined => {
  const recorded = recordedRuntime(changes.journal);
  return recorded?.kept ? recorded.socket : recorded ? undefined : criSocket;
};

async function stopUnit(host: Host, unit: string): Promise<boolean> {
  if (!(await unitState(host, unit)).active) return false;
  await host.run('systemctl', ['stop', unit]);
  return true;
}

/** A folder may be a file system of its own: it stays then, empty. */
async function removeFolder(host: Host, path: string): Promise<void> {
  for (const name of await host.list(path)) await host.remove(`${path}/${name}`);
  await host.removeEmptyDirectory(path);
}

export const resetPhases: readonly Phase<ResetContext>[] = [
  removeEtcdMember,
  {
    name: 'cleanup-node/kubelet',
    title: 'Stop the kubelet',
    run: ({ host }) => stopUnit(host, kubeletUnit),
  },
  {
    name: 'cleanup-node/containers',
    title: 'Stop all containers',
    async run(context) {
      const { host, changes } = context;
      const kept = keptRuntime(context);
      if (kept !== undefined) return stopPods(host, kept, (problem) => tell(context, [problem]));
      if (hasOwnRuntime(changes) && !(await unitState(host, unitName)).active) {
        await host.run('systemctl', ['start', unitName]);
      }
      const stopped = await stopOwnContainers(host);
      await killPodProcesses(host);
      return stopped > 0;
    },
  },
  {
    name: 'cleanup-node/rules',
    title: 'Remove packet filter rules',
    async run(context) {
      tell(context, await removeRules(context.host, context.imageRepository));
      return true;
    },
  },
  {
    name: 'cleanup-node/images',
    title: 'Remove the images that kinit loaded',
    needed: (context) => keptRuntime(context) !== undefined,
    async run(context) {
      const loaded = context.changes.journal.entries.flatMap((entry) => (entry.kind === 'image' ? [entry] : []));
      if (!loaded.length) return false;
      tell(
        context,
        await removeReferences(
          context.host,
          loaded.map(({ reference }) => reference),
        ),
      );
      return true;
    },
  },
  {
    name: 'cleanup-node/runtime',
    title: 'Stop containerd',
    needed: (context) => keptRuntime(context) === undefined,
    async run({ host, changes }) {
      if (!hasOwnRuntime(changes)) return false;
      const stopped = await stopUnit(host, unitName);
      await killShims(host);
      return stopped;
    },
  },
  {
    name: 'cleanup-node/mounts',
    title: 'Unmount volumes and root file systems',
    async run(context) {
      tell(context, await unmountAll(context.host, keptRuntime(context) === undefined, context.unmountFlags));
      await removePodCgroups(context.host);
      return true;
    },
  },
  {
    name: 'cleanup-node/interfaces',
    title: 'Remove network interfaces',
    async run({ host }) {
      await removeInterfaces(host);
      return true;
    },
  },
  {
    name: 'undo',
    title: 'Put files and settings back',
    async run(context) {
      const { host, changes } = context;
      if (!changes.journal.entries.length) return false;
      const delaysShutdown = await exists(host, logindDropIn);
      tell(context, (await undoAll(host, changes.journal.entries)).problems);
      if (delaysShutdown) await host.run('systemctl', ['kill', '--signal=HUP', 'systemd-logind.service']);
      const state = keptRuntime(context) === undefined ? [containerdPaths.state] : [];
      for (const path of [...state, '/run/kinit-network', '/run/kubernetes']) await host.remove(path);
      return true;
    },
  },
  {
    name: 'cleanup-node/folders',
    title: 'Empty the folders that were named',
    needed: ({ cleanFolders }) => cleanFolders.length > 0,
    async run({ host, cleanFolders }) {
      const paths: string[] = [];
      for (const folder of cleanFolders) paths.push(...(await host.list(folder)).map((name) => `${folder}/${name}`));
      for (const path of paths) await host.remove(path);
      return paths.length > 0;
    },
  },
  {
    name: 'cleanup-node/state',
    title: 'Remove the bundle and the journal',
    async run({ host, keepBundle }) {
      // The journal goes first: it is true only as long as there is something to undo.
      await removeFolder(host, stateFolder);
      await host.remove(partsFolder);
      if (keepBundle) return true;
      const link = `${linkDir}/kinit`;
      if ((await host.stat(link))?.target?.startsWith(`${bundlePaths.parent}/`)) await host.remove(link);
      await removeFolder(host, bundlePaths.parent);
      return true;
    },
  },
];

export const resetPhaseNames = resetPhases.map(({ name }) => name);
