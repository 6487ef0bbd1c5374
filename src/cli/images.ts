/** `kinit images load | list | prune` */
import type { Command } from 'commander';
import { bundlePaths } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import type { StoredImage } from '../installer/runtime/image-store.ts';
import type { LoadedImage } from '../installer/runtime/load-images.ts';
import { confirmed } from './confirm.ts';
import { list } from './session.ts';
import { formatTable } from './table.ts';

const write = (text: string) => void process.stdout.write(text);

export function addImagesCommand(program: Command): void {
  const images = program.command('images').description("images in this node's container runtime");
  images
    .command('load')
    .description('load image archives, or without any the images of the bundle')
    .argument('[archives...]', 'of docker save, podman save, or OCI layouts in a tar; gzip and zstd are understood')
    .option('--name <reference>', 'what the image is called, for an archive that does not say it')
    .option('--image <references>', 'only these images of the bundle', list)
    .action(runLoad);
  images
    .command('save')
    .description('write images of the bundle into an archive that docker load, podman load and skopeo understand')
    .argument('<file>', 'the archive')
    .option('--image <references>', 'only these images', list)
    .action(runSave);
  images
    .command('list')
    .description('list the images with who needs them')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(runList);
  images
    .command('prune')
    .description('remove the images that no container is made of; those of the bundle stay')
    .option('--all', 'also those of the bundle')
    .option('--dry-run', 'print what would be removed, and change nothing')
    .option('-f, --force', 'do not ask')
    .action(runPrune);
}

interface LoadFlags {
  name?: string;
  image?: string[];
}

async function runLoad(archives: string[], { name, image }: LoadFlags): Promise<void> {
  if (name && archives.length !== 1) throw new KinitError('Usage', '--name is for one archive');
  if (image && archives.length) throw new KinitError('Usage', '--image chooses from the bundle, not from archives');
  const { requireRuntime } = await import('../installer/runtime/image-store.ts');
  const { loadArchive, loadFromLayout } = await import('../installer/runtime/load-images.ts');
  const host = localHost();
  await requireRuntime(host);
  const loaded: LoadedImage[] = [];
  for (const archive of archives) loaded.push(...(await loadArchive(host, archive, name)));
  if (!archives.length) {
    const layout = bundlePaths.images;
    if (!(await host.stat(`${layout}/index.json`))) {
      throw new KinitError('Bundle', `there is no bundle in ${bundlePaths.current}`, {
        advice: 'unpack it: sh kinit-….run',
      });
    }
    loaded.push(...(await loadFromLayout(host, layout, ({ reference }) => !image || image.includes(reference))));
    const unknown = image?.find((reference) => !loaded.some((each) => each.reference === reference));
    if (unknown !== undefined) {
      throw new KinitError('Usage', `--image ${unknown}: the bundle has no such image`, {
        advice: 'see kinit bundle inspect',
      });
    }
  }
  for (const { reference, present } of loaded) write(`${reference} ${present ? 'is there already' : 'loaded'}\n`);
}

async function runSave(path: string, { image }: Pick<LoadFlags, 'image'>): Promise<void> {
  const { saveImages } = await import('../installer/runtime/load-images.ts');
  for (const reference of await saveImages(bundlePaths.images, path, image)) write(`${reference} written\n`);
}

export function imageTable(images: readonly StoredImage[]): string {
  return formatTable(
    ['IMAGE', 'DIGEST', 'SIZE', 'CONTAINERS', 'BUNDLE'],
    images.map(({ references, digest, size, containers, inBundle }) => [
      references[0] ?? '<none>',
      digest.replace('sha256:', '').slice(0, 12),
      size,
      String(containers),
      inBundle ? 'yes' : 'no',
    ]),
  );
}

async function runList({ output }: { output: string }): Promise<void> {
  if (output !== 'text' && output !== 'json')
    throw new KinitError('Usage', `--output is "${output}"; it takes text or json`);
  const { storedImages } = await import('../installer/runtime/image-store.ts');
  const images = await storedImages(localHost());
  write(output === 'json' ? `${JSON.stringify(images, null, 2)}\n` : imageTable(images));
}

interface PruneFlags {
  all?: boolean;
  dryRun?: boolean;
  force?: boolean;
}

async function runPrune({ all = false, dryRun = false, force = false }: PruneFlags): Promise<void> {
  const { removeImages, storedImages, unneededImages } = await import('../installer/runtime/image-store.ts');
  const host = localHost();
  const images = unneededImages(await storedImages(host), all);
  if (!images.length) {
    write('There is nothing to remove.\n');
    return;
  }
  write(imageTable(images));
  if (dryRun) return;
  const these = images.length === 1 ? 'this image' : `these ${images.length} images`;
  if (!force) {
    if (!process.stdin.isTTY)
      throw new KinitError('Usage', 'kinit images prune asks before it begins; give --force where nobody can answer');
    if (!(await confirmed(`Remove ${these}? [y/N] `))) throw new KinitError('Usage', 'aborted; nothing was changed');
  }
  await removeImages(host, images);
  write(`${images.length === 1 ? '1 image' : `${images.length} images`} removed\n`);
}
