/** Images that the runtime has: what they are called, who needs them, and which nobody needs. */
import { configOf, listImages } from '../bundle/oci-layout.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ctr } from './containerd.ts';
import { type CriContainer, type CriImage, withCri } from './cri.ts';
import { imageAccess } from './image-access.ts';
import { type NodeRuntime, readNodeRuntime, socketPath } from './node-runtime.ts';

export interface StoredImage {
  digest: string;
  /** Every name that it has; those that people use first. */
  references: string[];
  /** As containerd prints it: `12.3 MiB`. */
  size: string;
  inBundle: boolean;
  /** Containers, running or not, are made of it. */
  containers: number;
}

/** A name that the runtime gave, and no person. */
const isDigestName = (reference: string): boolean => /(^|@)sha256:[0-9a-f]{64}$/.test(reference);

/** @throws KinitError Validation when the runtime does not run here */
export async function requireRuntime(host: Host): Promise<NodeRuntime> {
  const runtime = await readNodeRuntime(host);
  const path = socketPath(runtime);
  if (await host.stat(path)) return runtime;
  const name = runtime.program === 'other' ? 'the container runtime' : runtime.program;
  throw new KinitError('Validation', `${name} does not run on this host`, {
    seen: `there is no ${path}`,
    advice: 'run this on a node, as root',
  });
}

async function listWith(host: Host, runtime: NodeRuntime, what: string, args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await ctr(host, args, undefined, socketPath(runtime));
  if (exitCode === 0) return stdout;
  throw new KinitError('Command', `${what} failed`, {
    seen: stderr || stdout,
    advice: 'look at: journalctl -u containerd -n 50',
  });
}

export async function storedImages(host: Host): Promise<StoredImage[]> {
  const runtime = await requireRuntime(host);
  const layout = bundlePaths.images;
  const bundled = (await host.stat(`${layout}/index.json`)) ? await listImages(layout) : [];
  if (runtime.program !== 'containerd') {
    const ids = new Set(await Promise.all(bundled.map(({ digest }) => configOf(layout, digest))));
    return withCri(runtime.socket, async (cri) => imagesOfCri(await cri.images(), await cri.containers(), ids));
  }
  const images = await listWith(host, runtime, 'listing the images', ['images', 'ls']);
  const containers = await listWith(host, runtime, 'listing the containers', ['containers', 'ls']);
  return groupImages(
    images,
    containers,
    bundled.map(({ digest }) => digest),
  );
}

/** @param bundled digests of configurations */
export function imagesOfCri(
  images: readonly CriImage[],
  containers: readonly CriContainer[],
  bundled: ReadonlySet<string>,
): StoredImage[] {
  return images.map(({ id, repoTags, repoDigests, size }) => {
    const digest = id.startsWith('sha256:') ? id : `sha256:${id}`;
    const references = [...repoTags, ...repoDigests].sort((a, b) => (order(a) < order(b) ? -1 : 1));
    const uses = ({ image, imageRef }: CriContainer) =>
      [image?.image, imageRef].some((name) => name !== undefined && (name === id || references.includes(name)));
    return {
      digest,
      references: references.length ? references : [digest],
      size: `${(size / (1 << 20)).toFixed(1)} MiB`,
      inBundle: bundled.has(digest),
      containers: containers.filter(uses).length,
    };
  });
}

const order = (reference: string) => `${isDigestName(reference) ? 1 : 0}${reference}`;

/** From the tables of `ctr images ls` and `ctr containers ls`. */
export function groupImages(images: string, containers: string, bundled: readonly string[]): StoredImage[] {
  const rowsOf = (table: string) =>
    table
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words.length > 1);
  const used = rowsOf(containers).map(([, image]) => image);
  const byDigest = new Map<string, StoredImage>();
  for (const words of rowsOf(images)) {
    const [reference = '', , digest = '', amount, unit] = words;
    if (!digest.startsWith('sha256:')) continue;
    const known = byDigest.get(digest) ?? {
      digest,
      references: [],
      size: amount && unit ? `${amount} ${unit}` : '',
      inBundle: bundled.includes(digest),
      containers: 0,
    };
    known.references.push(reference);
    known.containers += used.filter((image) => image === reference).length;
    byDigest.set(digest, known);
  }
  for (const image of byDigest.values()) image.references.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  return [...byDigest.values()].sort((a, b) => (order(a.references[0]!) < order(b.references[0]!) ? -1 : 1));
}

/**
 * What no container is made of. Images of the bundle stay unless `all`: nodes start without a registry.
 * An image without containers may still be one that a pod is about to start: the kubelet asks for it again then.
 */
export const unneededImages = (images: readonly StoredImage[], all: boolean): StoredImage[] =>
  images.filter(({ containers, inBundle }) => containers === 0 && (all || !inBundle));

export async function removeImages(host: Host, images: readonly StoredImage[]): Promise<void> {
  const access = await imageAccess(host);
  const references = images.flatMap((image) => image.references);
  for (const [index, reference] of references.entries())
    await access.remove(reference, index === references.length - 1);
}

/** What kinit put into a runtime that stays. @returns what could not be removed */
export async function removeReferences(host: Host, references: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  try {
    const access = await imageAccess(host);
    const present = await access.present();
    const loaded = references.filter((reference) => present.has(reference));
    const digests = new Set(loaded.map((reference) => present.get(reference)));
    const others = [...present].filter(([reference, digest]) => digests.has(digest) && !loaded.includes(reference));
    // Names that the runtime gave go with those that kinit gave, unless somebody else has named the image too.
    const given = others.filter(
      ([name, digest]) => isDigestName(name) && !others.some(([other, its]) => its === digest && !isDigestName(other)),
    );
    const found = [...loaded, ...given.map(([name]) => name)];
    for (const [index, reference] of found.entries()) await access.remove(reference, index === found.length - 1);
  } catch (error) {
    problems.push(`images: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}
