/** Images into containerd that are not kinit's own: archives of other tools, and what was added to the bundle. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { importArchive } from '../bundle/image-archive.ts';
import { imageArchive, indexOf, listImages } from '../bundle/oci-layout.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ctr } from './containerd.ts';
import { presentImages } from './images.ts';

export interface LoadedImage {
  reference: string;
  digest: string;
  /** It was there already. */
  present: boolean;
}

async function importStream(host: Host, references: readonly string[], input: Readable): Promise<void> {
  const args = ['images', 'import', '--digests=false', '-'];
  const { exitCode, stdout, stderr } = await ctr(host, args, { input, timeoutMs: 1_800_000 });
  if (exitCode === 0) return;
  throw new KinitError('Command', `images cannot be imported: ${references.join(', ')}`, {
    seen: stderr || stdout,
    advice: 'check the free space of /var/lib/containerd, and: journalctl -u containerd -n 50',
  });
}

/** Images of an OCI layout that containerd lacks, or has otherwise; all of the layout's unless some are chosen. */
export async function loadFromLayout(
  host: Host,
  layout: string,
  wanted: (image: { reference: string; added?: true }) => boolean = () => true,
): Promise<LoadedImage[]> {
  const chosen = (await listImages(layout)).filter(wanted);
  if (!chosen.length) return [];
  const present = await presentImages(host);
  const missing = chosen.filter(({ reference, digest }) => present.get(reference) !== digest);
  if (missing.length) {
    const references = missing.map(({ reference }) => reference);
    const had = [...present].map(([reference, digest]) => ({ reference, digest }));
    await importStream(host, references, await imageArchive(layout, references, had));
  }
  return chosen.map((image) => ({
    reference: image.reference,
    digest: image.digest,
    present: !missing.includes(image),
  }));
}

/** An archive of `docker save` or an OCI layout in a tar; it is read completely before containerd gets anything. */
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
