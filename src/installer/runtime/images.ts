/** Images of the bundle into the runtime: only those that a node needs and does not have. */
import { configuredReference, type ImageName, type ImageSettings, imageReference } from '../bundle/image-names.ts';
import { listImages } from '../bundle/oci-layout.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { imageAccess, isSame } from './image-access.ts';

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export interface LoadImagesOptions {
  /** Names the images as the cluster's configuration does; the bundle has them under its own names. */
  settings: ImageSettings;
  /** `Always` loads those again that are there; `Never` loads nothing, and all have to be there. */
  policy?: PullPolicy;
  /** Of another bundle than the one in use. */
  layout?: string;
  /** What the runtime calls the image `pause`, when it is not kinit's to say. */
  sandboxImage?: string;
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
  { settings, policy = 'IfNotPresent', layout = bundlePaths.images, sandboxImage }: LoadImagesOptions,
): Promise<boolean> {
  const access = await imageAccess(host);
  const present = await access.present();
  if (policy === 'Never') {
    const missing = all.map((name) => configuredReference(name, settings)).filter((name) => !present.has(name));
    if (!missing.length) return false;
    throw new KinitError('Preflight', `imagePullPolicy is Never, and the runtime has no ${missing.join(', ')}`, {
      advice: 'load them before: kinit images load <archive>, or kinit config images pull',
    });
  }
  const available = new Map((await listImages(layout)).map((image) => [image.reference, image]));
  const names = all.filter((name) => tagOf(configuredReference(name, settings)) === tagOf(imageReference(name)));
  const missing: string[] = [];
  for (const name of names) {
    const reference = imageReference(name);
    const image = available.get(reference);
    if (!image) throw new KinitError('Bundle', `the bundle has no image ${reference}`, { seen: `looked in ${layout}` });
    if (policy === 'Always' || !(await isSame(layout, image, present.get(reference)))) missing.push(reference);
  }
  if (missing.length) await access.load(layout, missing, policy === 'Always' ? new Map() : present);
  let changed = missing.length > 0;
  for (const name of names) {
    const own = imageReference(name);
    const image = available.get(own);
    const wanted = configuredReference(name, settings);
    if (wanted === own || !image || (await isSame(layout, image, present.get(wanted)))) continue;
    await access.tag(own, wanted);
    changed = true;
  }
  const pause = imageReference('pause');
  if (sandboxImage && sandboxImage !== pause && names.includes('pause') && !present.has(sandboxImage)) {
    await access.tag(pause, sandboxImage);
    changed = true;
  }
  return changed;
}
