/** Images of the bundle into containerd: only those that a node needs and does not have. */
import { configuredReference, type ImageName, type ImageSettings, imageReference } from '../bundle/image-names.ts';
import { imageArchive, listImages } from '../bundle/oci-layout.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ctr } from './containerd.ts';

/** reference → digest of what containerd has. */
export async function presentImages(host: Host): Promise<Map<string, string>> {
  const { stdout, exitCode } = await ctr(host, ['images', 'ls']);
  const present = new Map<string, string>();
  if (exitCode !== 0) return present;
  for (const line of stdout.split('\n').slice(1)) {
    const [reference, , digest] = line.trim().split(/\s+/);
    if (reference && digest?.startsWith('sha256:')) present.set(reference, digest);
  }
  return present;
}

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export interface LoadImagesOptions {
  /** Names the images as the cluster's configuration does; the bundle has them under its own names. */
  settings: ImageSettings;
  /** `Always` loads those again that are there; `Never` loads nothing, and all have to be there. */
  policy?: PullPolicy;
}

/** An image with another tag than the bundle's is not the bundle's: the runtime pulls it when it is needed. */
const tagOf = (reference: string) => reference.slice(reference.lastIndexOf(':'));

/**
 * Imports what is missing, in one stream so that shared layers travel once, and without the layers of images that are there.
 * @throws KinitError Preflight for the policy `Never`, when an image is missing
 */
export async function loadImages(
  host: Host,
  all: readonly ImageName[],
  { settings, policy = 'IfNotPresent' }: LoadImagesOptions,
): Promise<boolean> {
  const present = await presentImages(host);
  if (policy === 'Never') {
    const missing = all.map((name) => configuredReference(name, settings)).filter((name) => !present.has(name));
    if (!missing.length) return false;
    throw new KinitError('Preflight', `imagePullPolicy is Never, and containerd has no ${missing.join(', ')}`, {
      advice: 'load them before: kinit images load <archive>, or kinit config images pull',
    });
  }
  const layout = bundlePaths.images;
  const available = new Map((await listImages(layout)).map(({ reference, digest }) => [reference, digest]));
  const names = all.filter((name) => tagOf(configuredReference(name, settings)) === tagOf(imageReference(name)));
  const missing: string[] = [];
  for (const name of names) {
    const reference = imageReference(name);
    const digest = available.get(reference);
    if (!digest)
      throw new KinitError('Bundle', `the bundle has no image ${reference}`, { seen: `looked in ${layout}` });
    if (policy === 'Always' || present.get(reference) !== digest) missing.push(reference);
  }
  if (missing.length) {
    const had = policy === 'Always' ? [] : [...present].map(([reference, digest]) => ({ reference, digest }));
    const input = await imageArchive(layout, missing, had);
    const result = await ctr(host, ['images', 'import', '--digests=false', '-'], { input, timeoutMs: 300_000 });
    if (result.exitCode !== 0) {
      throw new KinitError('Command', `images cannot be imported: ${missing.join(', ')}`, {
        seen: result.stderr || result.stdout,
        advice: 'check the free space of /var/lib/containerd, and: journalctl -u containerd -n 50',
      });
    }
  }
  let changed = missing.length > 0;
  for (const name of names) {
    const wanted = configuredReference(name, settings);
    const own = imageReference(name);
    if (wanted === own || present.get(wanted) === available.get(own)) continue;
    await ctr(host, ['images', 'tag', '--force', own, wanted], {});
    changed = true;
  }
  return changed;
}
