/** Images of the bundle into containerd: only those that a node needs and does not have. */
import { type ImageName, imageReference } from '../bundle/image-names.ts';
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

/**
 * Imports what is missing, in one stream so that shared layers travel once, and without the layers of images that are there.
 * @param repository names the images as the cluster's configuration does; the bundle has them under its own
 */
export async function loadImages(host: Host, names: readonly ImageName[], repository: string): Promise<boolean> {
  const layout = bundlePaths.images;
  const available = new Map((await listImages(layout)).map(({ reference, digest }) => [reference, digest]));
  const present = await presentImages(host);
  const missing: string[] = [];
  for (const name of names) {
    const reference = imageReference(name);
    const digest = available.get(reference);
    if (!digest)
      throw new KinitError('Bundle', `the bundle has no image ${reference}`, { seen: `looked in ${layout}` });
    if (present.get(reference) !== digest) missing.push(reference);
  }
  if (missing.length) {
    const had = [...present].map(([reference, digest]) => ({ reference, digest }));
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
    const wanted = imageReference(name, repository);
    const own = imageReference(name);
    if (wanted === own || present.get(wanted) === available.get(own)) continue;
    await ctr(host, ['images', 'tag', '--force', own, wanted], {});
    changed = true;
  }
  return changed;
}
