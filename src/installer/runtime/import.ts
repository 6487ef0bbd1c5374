/**
 * Images of an OCI layout into containerd. The large layers, Node's above all, do not go through its API, which would hash and
 * copy them twice: they are laid beside its content, and `ctr` only has it take note of them. Unpacking checks what they are.
 */
import { type ImageSummary, imageArchive, layersOf, listImages } from '../bundle/oci-layout.ts';
import { bundlePaths, containerdPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isFull, noRoom } from '../host/no-room.ts';
import { ctr } from './containerd.ts';

/** Where containerd keeps blobs. */
export const contentFolder = `${containerdPaths.root}/io.containerd.content.v1.content`;
const large = 4 << 20;

/** Links where it can; a file system of its own for containerd costs a copy. Prints the digests that containerd knows afterwards. */
const shareScript = `store=$1 ctr=$2 socket=$3
shift 3
[ -d "$store" ] && mkdir -p "$store/blobs/sha256" || exit 0
for blob; do
  (
    name=\${blob##*/}
    place="$store/blobs/sha256/$name"
    if [ ! -e "$place" ] && ! ln "$blob" "$place" 2>/dev/null; then
      draft="$store/.kinit-$name"
      cp --reflink=auto "$blob" "$draft" && mv "$draft" "$place" || { rm -f "$draft"; exit 1; }
    fi
    "$ctr" --address "$socket" --namespace k8s.io content ingest --expected-digest "sha256:$name" \\
      --expected-size "$(stat -c %s "$blob")" "kinit-$name" < "$blob" > /dev/null 2>&1 && echo "sha256:$name"
  ) &
done
wait`;

/** @returns the digests of the layers that need not be imported any more */
async function shareLayers(host: Host, paths: readonly string[], socket: string): Promise<string[]> {
  if (!paths.length) return [];
  const words = [contentFolder, `${bundlePaths.bin}/ctr`, socket, ...paths];
  const { stdout } = await host.run('sh', ['-c', shareScript, 'sh', ...words], { timeoutMs: 300_000 });
  return stdout.split('\n').filter(Boolean);
}

async function largeLayers(
  layout: string,
  references: readonly string[],
  present: readonly ImageSummary[],
): Promise<string[]> {
  const images = await listImages(layout);
  const had = new Set<string>();
  for (const { reference, digest } of present) {
    if (!images.some((image) => image.reference === reference && image.digest === digest)) continue;
    for (const layer of await layersOf(layout, digest)) had.add(layer.digest);
  }
  const found = new Map<string, string>();
  for (const { reference, digest } of images) {
    if (!references.includes(reference)) continue;
    for (const layer of await layersOf(layout, digest))
      if (layer.size >= large && !had.has(layer.digest)) found.set(layer.digest, layer.path);
  }
  return [...found.values()];
}

/**
 * Imports images in one stream, so that shared layers travel once.
 * @param present images that containerd has: their layers are left out
 */
export async function importImages(
  host: Host,
  layout: string,
  references: readonly string[],
  present: readonly ImageSummary[],
  { socket, share }: { socket: string; share: boolean },
): Promise<void> {
  const args = ['images', 'import', '--digests=false', '-'];
  const importWithout = async (shared: readonly string[]) => {
    const input = await imageArchive(layout, references, present, shared);
    return ctr(host, args, { input, timeoutMs: 1_800_000 }, socket);
  };
  const shared = share ? await shareLayers(host, await largeLayers(layout, references, present), socket) : [];
  let result = await importWithout(shared);
  if (result.exitCode !== 0 && shared.length) {
    // containerd may have tidied up in between, or the disk has changed what was laid there.
    await ctr(host, ['content', 'rm', ...shared], {}, socket);
    result = await importWithout([]);
  }
  if (result.exitCode === 0) return;
  if (isFull(result.stderr)) {
    const { message, details } = await noRoom(containerdPaths.root);
    throw new KinitError('Command', message, { ...details, seen: `${details.seen}\n${result.stderr}` });
  }
  throw new KinitError('Command', `images cannot be imported: ${references.join(', ')}`, {
    seen: result.stderr || result.stdout,
    advice: 'check the free space of /var/lib/containerd, and: journalctl -u containerd -n 50',
  });
}
