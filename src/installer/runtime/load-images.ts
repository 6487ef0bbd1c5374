/** Images into the runtime that are not kinit's own: archives of other tools, and what was added to the bundle. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { importArchive } from '../bundle/image-archive.ts';
import { imageArchive, indexOf, listImages } from '../bundle/oci-layout.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { imageAccess, isSame } from './image-access.ts';

export interface LoadedImage {
  reference: string;
  digest: string;
  /** It was there already. */
  present: boolean;
}

/** Images of an OCI layout that the runtime lacks, or has otherwise; all of the layout's unless some are chosen. */
export async function loadFromLayout(
  host: Host,
  layout: string,
  wanted: (image: { reference: string; added?: true }) => boolean = () => true,
): Promise<LoadedImage[]> {
  const chosen = (await listImages(layout)).filter(wanted);
  if (!chosen.length) return [];
  const access = await imageAccess(host);
  const present = await access.present();
  const missing: typeof chosen = [];
  for (const image of chosen) {
    if (!(await isSame(layout, image, present.get(image.reference)))) missing.push(image);
  }
  if (missing.length) {
    const references = missing.map(({ reference }) => reference);
    await access.load(layout, references, present);
  }
  return chosen.map((image) => ({
    reference: image.reference,
    digest: image.digest,
    present: !missing.includes(image),
  }));
}

/** An archive of `docker save` or an OCI layout in a tar; it is read completely before the runtime gets anything. */
export async function loadArchive(host: Host, archive: string, name?: string): Promise<LoadedImage[]> {
  const work = await mkdtemp(join(tmpdir(), 'kinit-load-'));
  try {
    const images = await importArchive(archive, work, name);
    await indexOf(work, images);
    return await loadFromLayout(host, work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * The archive is complete or not there.
 * @throws KinitError Usage for an image that the layout does not have
 */
export async function saveImages(layout: string, path: string, only?: readonly string[]): Promise<string[]> {
  const known = (await listImages(layout)).map(({ reference }) => reference);
  const unknown = only?.find((reference) => !known.includes(reference));
  if (unknown !== undefined || !known.length) {
    throw new KinitError('Usage', `the bundle has no image ${unknown ?? 'at all'}`, { seen: `looked in ${layout}` });
  }
  const references = only?.length ? [...only] : known;
  const draft = `${path}.draft`;
  await pipeline(await imageArchive(layout, references), createWriteStream(draft)).catch(async (error: unknown) => {
    await rm(draft, { force: true });
    throw error;
  });
  await rename(draft, path);
  return references;
}
