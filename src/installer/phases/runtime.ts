/** Container runtime and images; both go on beside certificates and kubeconfigs. */
import { controlPlaneImages, type ImageName, nodeImages, startImages } from '../bundle/image-names.ts';
import { listImages } from '../bundle/oci-layout.ts';
import { bundlePaths, containerdPaths, linkDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { exists } from '../host/host.ts';
import { chooseSnapshotter, installContainerd, makeRoot, prepareRuntimeFolders } from '../runtime/containerd.ts';
import { isProblem } from '../runtime/existing.ts';
import { loadImages } from '../runtime/images.ts';
import { installKubeletUnit } from '../runtime/kubelet.ts';
import { loadFromLayout } from '../runtime/load-images.ts';
import { recordBundled, recordRuntime } from '../runtime/node-runtime.ts';
import { findRunc, installPackages, recordPackages } from '../runtime/package-runtime.ts';
import { readRegistries, registryUsers, writeRegistries } from '../runtime/registries.ts';
import { useExisting } from '../runtime/use-existing.ts';
import type { NodeContext } from './context.ts';
import type { Phase } from './engine.ts';

const ownSocket = `unix://${containerdPaths.socket}`;
const commands = ['kubectl', 'kubelet', 'ctr', 'crictl', 'kinit'];

/** Commands of the bundle in use, where shells look for them. */
export async function linkCommands(changes: Changes): Promise<boolean> {
  let changed = false;
  for (const name of commands) {
    const target = `${bundlePaths.bin}/${name}`;
    if (!(await exists(changes.host, target))) continue;
    const place = `${linkDir}/${name}`;
    // A command of the host's own stays.
    const present = await changes.host.stat(place);
    if (present && !present.target?.startsWith(bundlePaths.parent)) continue;
    if (await changes.link(place, target)) changed = true;
  }
  return changed;
}

export const runtimePhases: Phase<NodeContext>[] = [
  {
    name: 'runtime/install',
    title: 'Install and start containerd',
    background: true,
    needed: ({ hostSettings }) => hostSettings.runtime !== 'existing',
    async run({ changes, hostSettings, cgroupDriver, facts, images, signal }) {
      const { host } = changes;
      const own = hostSettings.runtime === 'bundle';
      const { kept } = own ? await recordBundled(changes) : await recordPackages(changes, facts);
      const registries = await readRegistries(host, hostSettings.registries);
      const steps = [kept ? false : await makeRoot(changes), await prepareRuntimeFolders(changes, ownSocket)];
      if (!own) steps.push(await installPackages(changes, facts));
      steps.push(
        await writeRegistries(changes, registries),
        await installContainerd(
          changes,
          {
            cgroupDriver,
            snapshotter: await chooseSnapshotter(host, hostSettings.snapshotter),
            canLowerOomScore: facts.canLowerOomScore,
            images,
            runc: own ? `${bundlePaths.bin}/runc` : await findRunc(host),
            users: registryUsers(registries),
          },
          { own, signal },
        ),
      );
      return steps.some(Boolean);
    },
  },
  {
    name: 'runtime/existing',
    title: 'Prepare the container runtime that is there',
    background: true,
    needed: ({ hostSettings }) => hostSettings.runtime === 'existing',
    async run({ changes, existing }) {
      if (existing === undefined || isProblem(existing)) {
        throw new KinitError('Preflight', existing?.problem ?? 'there is no container runtime on this host', {
          advice: existing?.advice,
        });
      }
      const { socket, program } = existing;
      await recordRuntime(changes, { runtime: 'existing', socket, program, kept: true });
      return useExisting(changes, existing);
    },
  },
  {
    name: 'runtime/commands',
    title: 'Link kubectl and the other commands',
    run: ({ changes }) => linkCommands(changes),
  },
  {
    name: 'runtime/kubelet',
    title: "Install the kubelet's unit",
    run: ({ changes, facts }) => installKubeletUnit(changes, facts),
  },
];

/** Imports images of the bundle once containerd answers. */
export function imagePhase(
  name: string,
  title: string,
  images: readonly ImageName[],
  after: string[],
): Phase<NodeContext> {
  return {
    name,
    title,
    background: true,
    after: ['runtime/install', 'runtime/existing', ...after],
    async run({ host, node, images: settings, existing }) {
      if (host.dryRun) return false;
      const sandboxImage = existing && !isProblem(existing) ? existing.sandboxImage : undefined;
      return loadImages(host, images, {
        settings,
        policy: node.imagePullPolicy,
        ...(sandboxImage ? { sandboxImage } : {}),
      });
    },
  };
}

/** Nothing waits for these: they may be large. */
export const addedImages: Phase<NodeContext> = {
  name: 'images/added',
  title: 'Load the images that were added to the bundle',
  background: true,
  after: ['runtime/install', 'runtime/existing', 'images/load'],
  needed: async ({ host }) => !host.dryRun && (await listImages(bundlePaths.images)).some(({ added }) => added),
  async run({ host }) {
    const loaded = await loadFromLayout(host, bundlePaths.images, ({ added }) => added === true);
    return loaded.some(({ present }) => !present);
  },
};

/** What makes a node Ready comes before the kubelet starts: it would report images that are not there, and try later. */
export const workerImages: Phase<NodeContext>[] = [
  imagePhase('images/node', 'Load the images that make a node ready', startImages, []),
  imagePhase(
    'images/load',
    'Load the other images',
    nodeImages.filter((name) => !startImages.includes(name)),
    ['images/node'],
  ),
  addedImages,
];

/** On a control plane etcd comes first: it can start while the others are being loaded. */
export const controlPlaneImagePhases: Phase<NodeContext>[] = [
  imagePhase('images/etcd', 'Load the image of etcd', ['pause', 'etcd'], []),
  imagePhase(
    'images/control-plane',
    'Load the images of the control plane',
    controlPlaneImages.filter((name) => name !== 'etcd'),
    ['images/etcd'],
  ),
  imagePhase(
    'images/load',
    'Load the images of the add-ons',
    nodeImages.filter((name) => name !== 'pause'),
    ['images/control-plane'],
  ),
  addedImages,
];
