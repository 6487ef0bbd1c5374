/** Images that containerd has: what they are called, who needs them, and which nobody needs. */
import { listImages } from '../bundle/oci-layout.ts';
import { bundlePaths, containerdPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ctr } from './containerd.ts';

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

/** @throws KinitError Validation when containerd does not run here */
export async function requireContainerd(host: Host): Promise<void> {
  if (await host.stat(containerdPaths.socket)) return;
  throw new KinitError('Validation', 'containerd does not run on this host', {
    seen: `there is no ${containerdPaths.socket}`,
    advice: 'run this on a node, as root',
  });
}

/** @throws KinitError Command when ctr fails */
export async function mustCtr(
  host: Host,
  what: string,
  args: string[],
  options?: Parameters<Host['run']>[2],
): Promise<string> {
  const { exitCode, stdout, stderr } = await ctr(host, args, options ?? { observe: true });
  if (exitCode === 0) return stdout;
  throw new KinitError('Command', `${what} failed`, {
    seen: stderr || stdout,
    advice: 'look at: journalctl -u containerd -n 50',
  });
}

export async function storedImages(host: Host): Promise<StoredImage[]> {
  await requireContainerd(host);
  const images = await mustCtr(host, 'listing the images', ['images', 'ls']);
  const containers = await mustCtr(host, 'listing the containers', ['containers', 'ls']);
  const layout = bundlePaths.images;
  const bundled = (await host.stat(`${layout}/index.json`)) ? await listImages(layout) : [];
  return groupImages(
    images,
    containers,
    bundled.map(({ digest }) => digest),
  );
}

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
  const order = (reference: string) => `${isDigestName(reference) ? 1 : 0}${reference}`;
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
  const references = images.flatMap((image) => image.references);
  // The last one waits until the freed room is free.
  for (const [index, reference] of references.entries()) {
    const sync = index === references.length - 1 ? ['--sync'] : [];
    await mustCtr(host, `removing ${reference}`, ['images', 'rm', ...sync, reference], { timeoutMs: 300_000 });
  }
}
