/** Phases of an upgrade that every host has: images, backup, the bundle in use, container runtime, kubelet. */
import { controlPlaneImages, nodeImages } from '../bundle/image-names.ts';
import { parseDuration } from '../config/duration.ts';
import { defaultSnapshotFolder, kubeletPaths } from '../config/paths.ts';
import type { OpenDocument } from '../config/types.ts';
import { knownBalancer } from '../endpoint/balancer.ts';
import { knownVirtualIp } from '../endpoint/virtual-ip.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { etcdAccess } from '../etcd/access.ts';
import { saveSnapshot } from '../etcd/snapshot-save.ts';
import { exists, readText } from '../host/host.ts';
import { loadImages } from '../runtime/images.ts';
import { kubeletUnit, startKubelet } from '../runtime/kubelet.ts';
import { loadFromLayout } from '../runtime/load-images.ts';
import { saveCopies, staticPodNames } from '../upgrade/backup.ts';
import { describeBundle, imagesOf, oldBundles } from '../upgrade/bundle-folders.ts';
import { storedImageSettings, upgradedKubeletConfig, yamlFields } from '../upgrade/configuration.ts';
import type { UpgradeContext } from '../upgrade/context.ts';
import { type EndpointUpgrade, upgradeBalancer, upgradeVirtualIp } from '../upgrade/endpoint.ts';
import { waitForUpgradedNode } from '../upgrade/gates.ts';
import { notRolledBackError, rollBack, rollbackDecision, rolledBackError } from '../upgrade/rollback.ts';
import { moveLink, restartFrom, upgradeContainerd, waitForKubelet } from '../upgrade/services.ts';
import { writeUpgradeState } from '../upgrade/state.ts';
import { waitForReadyStaticPods } from '../upgrade/static-pod.ts';
import type { Phase } from './engine.ts';
import { downloadKubeletConfig } from './join.ts';
import { readKubeadmConfig } from './join-configuration.ts';
import { linkCommands } from './runtime.ts';

export const gateTimeout = ({ settings }: UpgradeContext): number =>
  parseDuration(settings.timeouts.upgradeManifests) ?? 300_000;

export const kubeletTimeout = ({ settings }: UpgradeContext): number =>
  parseDuration(settings.timeouts.kubeletHealthCheck) ?? 240_000;

/** The way back is not given up early, however impatient the way there is. */
const wayBackMs = 300_000;

/** A phase behind which the host is well or goes back to what it was. */
export function guarded(phase: Phase<UpgradeContext>): Phase<UpgradeContext> {
  return {
    ...phase,
    async run(context) {
      const { state, signal, host, changes, nodeName, client } = context;
      try {
        return await phase.run(context);
      } catch (thrown) {
        const failure = asKinitError(thrown);
        if (rollbackDecision({ interrupted: signal.aborted, dryRun: host.dryRun }, state) === 'stay') throw failure;
        context.warn(`${failure.message}; going back to ${describeBundle(state.from)}`);
        const timeoutMs = Math.max(gateTimeout(context), wayBackMs);
        const options = { changes, state, nodeName, client, timeoutMs, signal };
        await rollBack(options).catch((second: unknown) => {
          throw notRolledBackError(failure, asKinitError(second), state);
        });
        throw rolledBackError(failure, state);
      }
    },
  };
}

/** A worker reads from the cluster what it calls its images. */
async function imageSettings({ plane, client, signal }: UpgradeContext) {
  if (plane) return plane.config.cluster;
  const { text } = await readKubeadmConfig(await client(), signal);
  return storedImageSettings(text);
}

export const loadNewImages: Phase<UpgradeContext> = {
  name: 'images/load',
  title: 'Load the images of the new bundle',
  needed: ({ host }) => !host.dryRun,
  async run(context) {
    const { host, plane, state } = context;
    const layout = imagesOf(state.to);
    const names = [...nodeImages, ...(plane ? controlPlaneImages : [])];
    const changed = await loadImages(host, names, { settings: await imageSettings(context), layout });
    const added = await loadFromLayout(host, layout, (image) => image.added === true);
    return changed || added.some(({ present }) => !present);
  },
};

/** Only on the first control plane, once per upgrade: what etcd held before anything was changed. */
export const snapshotPhase: Phase<UpgradeContext> = {
  name: 'etcd-snapshot',
  title: 'Take a snapshot of etcd',
  needed: ({ host, plane }) => !host.dryRun && plane !== undefined && plane.config.cluster.etcd.external === undefined,
  async run(context) {
    const { host, state, signal } = context;
    if (state.snapshot && (await exists(host, state.snapshot))) return false;
    const name = `before-upgrade-${state.to.kubernetes}-${state.started.slice(0, 19).replace(/[-:]/g, '')}Z.db`;
    const path = `${defaultSnapshotFolder}/${name}`;
    // A run that was broken off after this one left it complete: it has its name only then.
    if (!(await exists(host, path))) {
      await saveSnapshot(host, await etcdAccess(host), { folder: defaultSnapshotFolder, name, withPki: false, signal });
    }
    context.state = { ...state, snapshot: path };
    return true;
  },
};

/** From here on the host knows what it comes from. */
export const backupPhase: Phase<UpgradeContext> = {
  name: 'backup',
  title: 'Keep what will be replaced',
  async run(context) {
    const { beginning, changes, host, state } = context;
    if (beginning === 'again' && state.saved.length) return false;
    context.state = { ...state, saved: await saveCopies(changes, state.backup) };
    await writeUpgradeState(host, context.state);
    return true;
  },
};

export const bundlePhase: Phase<UpgradeContext> = guarded({
  name: 'bundle',
  title: 'Use the new bundle',
  async run({ host, changes, state }) {
    const moved = await moveLink(host, state.to.folder);
    const linked = await linkCommands(changes);
    return moved || linked;
  },
});

export const runtimePhase: Phase<UpgradeContext> = guarded({
  name: 'runtime',
  title: 'Start containerd from the new bundle',
  run: ({ changes, facts, state, signal }) =>
    upgradeContainerd(changes, facts.canLowerOomScore, state.to.folder, signal),
});

const endpointUpgrade = ({ changes, facts, nodeName, state, signal }: UpgradeContext): EndpointUpgrade => ({
  changes,
  facts,
  nodeName,
  folder: state.to.folder,
  signal,
});

/** Before the kubelet, whose way to the cluster the balancer is. */
export const endpointPhases: Phase<UpgradeContext>[] = [
  guarded({
    name: 'local-endpoint',
    title: "Start the node's own way to the API servers from the new bundle",
    needed: async ({ host }) => (await knownBalancer(host)) !== undefined,
    run: (context) => upgradeBalancer(endpointUpgrade(context)),
  }),
  guarded({
    name: 'virtual-ip',
    title: 'Share the virtual address from the new bundle',
    needed: async ({ host }) => (await knownVirtualIp(host)) !== undefined,
    run: (context) => upgradeVirtualIp(endpointUpgrade(context)),
  }),
];

/** What is of this host alone stays as join or init has written it. */
async function instanceConfig({ host }: UpgradeContext): Promise<{ instance: OpenDocument; flags: string }> {
  const instance = yamlFields(await readText(host, kubeletPaths.instanceConfig));
  const flags = await readText(host, kubeletPaths.flags);
  if (!Object.keys(instance).length || flags === undefined) {
    throw new KinitError('Validation', `${kubeletPaths.instanceConfig} or ${kubeletPaths.flags} is missing`, {
      advice: 'this host was made a node in another way: run kinit init or kinit join on it first',
    });
  }
  return { instance, flags };
}

async function clusterKubelet({ plane, client, signal }: UpgradeContext): Promise<OpenDocument> {
  if (plane) return upgradedKubeletConfig(plane.config.cluster, plane.stored).document;
  return downloadKubeletConfig(await client(), signal);
}

export const kubeletConfigPhase: Phase<UpgradeContext> = guarded({
  name: 'kubelet-config',
  title: 'Configure the kubelet and start it from the new bundle',
  async run(context) {
    const { changes, facts, host, nodeName, patches, signal, state } = context;
    const cluster = await clusterKubelet(context);
    const settled = await startKubelet(changes, { cluster, ...(await instanceConfig(context)), facts, patches });
    const restarted = await restartFrom(host, kubeletUnit, state.to.folder);
    if (!host.dryRun) {
      const timeoutMs = kubeletTimeout(context);
      await waitForKubelet(host, timeoutMs, signal);
      await waitForUpgradedNode(await context.client(), nodeName, state.to.kubernetes, { timeoutMs, signal });
      await waitForReadyStaticPods(staticPodNames, { ...context, timeoutMs: gateTimeout(context) });
    }
    return settled || restarted;
  },
});

export const postUpgrade: Phase<UpgradeContext> = {
  name: 'post-upgrade',
  title: 'Remove bundles that nobody needs',
  async run(context) {
    const { host, state } = context;
    const folders = await oldBundles(host, [state.from, state.to]);
    for (const folder of folders) await host.remove(folder);
    if (state.ended === 'done') return folders.length > 0;
    context.state = { ...state, ended: 'done' };
    await writeUpgradeState(host, context.state);
    return true;
  },
};
