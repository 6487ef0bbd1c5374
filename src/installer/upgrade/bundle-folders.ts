/** The bundles that lie on a host, side by side below /opt/kinit, and the link that says which of them it lives from. */
import { kinitVersion, kubernetesVersion } from '../../machinery/version.ts';
import type { BundleManifest } from '../bundle/manifest.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';

/** What a bundle is, and where it lies. */
export interface BundleVersion {
  kinit: string;
  kubernetes: string;
  /** For example `/opt/kinit/v0.1.0`. */
  folder: string;
}

export const imagesOf = ({ folder }: BundleVersion): string => `${folder}/images`;

export const sameBundle = (a: BundleVersion, b: BundleVersion): boolean => a.folder === b.folder;

export const describeBundle = ({ kinit, kubernetes }: BundleVersion): string =>
  `kinit ${kinit}, Kubernetes ${kubernetes}`;

/** Undefined when there is none, or it has not unpacked completely. */
export async function bundleIn(host: Host, folder: string): Promise<BundleVersion | undefined> {
  const text = await readText(host, `${folder}/manifest.json`);
  if (text === undefined) return undefined;
  const { kinit, kubernetes } = JSON.parse(text) as Partial<BundleManifest>;
  return kinit && kubernetes ? { kinit, kubernetes, folder } : undefined;
}

/** The bundle that `/opt/kinit/current` points to. */
export async function currentBundle(host: Host): Promise<BundleVersion> {
  const target = (await host.stat(bundlePaths.current))?.target;
  const found = target === undefined ? undefined : await bundleIn(host, target);
  if (found) return found;
  throw new KinitError('Bundle', `${bundlePaths.current} points to no bundle`, {
    seen: target === undefined ? 'there is no such link' : `it points to ${target}, which has no manifest.json`,
    advice: 'run the .run file of the bundle with which this node was made',
  });
}

/** The bundle that this kinit is from: what an upgrade goes to. */
export async function ownBundle(host: Host): Promise<BundleVersion> {
  const found = await bundleIn(host, bundlePaths.prefix);
  if (found && found.kinit === kinitVersion && found.kubernetes === kubernetesVersion) return found;
  throw new KinitError('Bundle', `the bundle of this kinit (${kinitVersion}) is not on this host`, {
    seen: found
      ? `${bundlePaths.prefix} is of ${describeBundle(found)}`
      : `there is no ${bundlePaths.prefix}/manifest.json`,
    advice: 'run the .run file of the new bundle on this host; it unpacks itself beside the one that is in use',
  });
}

/** Bundles that are neither in use nor the way back. @returns their folders */
export async function oldBundles(host: Host, keep: readonly BundleVersion[]): Promise<string[]> {
  const kept = new Set(keep.map(({ folder }) => folder));
  const folders: string[] = [];
  for (const name of await host.list(bundlePaths.parent)) {
    const folder = `${bundlePaths.parent}/${name}`;
    const { type } = (await host.stat(folder)) ?? {};
    if (type === 'directory' && /^v\d/.test(name) && !kept.has(folder)) folders.push(folder);
  }
  return folders;
}
