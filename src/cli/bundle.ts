/** `kinit bundle build | inspect | verify | add-image | serve` */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { BundleManifest } from '../installer/bundle/manifest.ts';
import { KinitError } from '../installer/errors.ts';
import { formatTable } from './table.ts';

const write = (text: string) => void process.stdout.write(text);

export function addBundleCommand(program: Command): void {
  const bundle = program.command('bundle').description('the file that has everything a cluster needs');
  bundle
    .command('build')
    .description('build a bundle from a checkout of kinit')
    .option('--repository <folder>', 'the checkout, with its programs built (npm run build)', '.')
    .option('--out <folder>', 'where the file goes (default: dist of the checkout)')
    .option('--arch <architecture>', 'amd64 or arm64 (default: that of this machine)')
    .option('--level <number>', 'zstd level, 1 to 19', '12')
    .action(runBuild);
  const existing = (command: Command) =>
    command.argument(
      '[bundle]',
      'file, or folder that it was unpacked to (default: dist/, here, or /opt/kinit/current)',
    );
  existing(bundle.command('inspect'))
    .description('print what a bundle is made of')
    .option('--files', 'each file')
    .option('--sbom', 'the bill of materials: SPDX 2.3 as JSON')
    .option('-o, --output <format>', 'text or json (the manifest)', 'text')
    .action(runInspect);
  existing(bundle.command('verify'))
    .description('compare every file and image with the sha256 in the manifest')
    .action(runVerify);
  bundle
    .command('add-image')
    .description('put images into a bundle; every node loads them')
    .argument('<bundle>', 'file, or folder that it was unpacked to')
    .argument('<archives...>', 'of docker save, podman save, or OCI layouts in a tar; gzip and zstd are understood')
    .option('--name <reference>', 'what the image is called, for an archive that does not say it')
    .option('--out <file>', 'a new bundle (default: the bundle itself is changed)')
    .action(runAddImage);
  bundle
    .command('serve')
    .description('serve the parts that this host keeps to other hosts, until standard input ends; kinit up does it')
    .action(runServe);
}

async function runServe(): Promise<void> {
  const { serveParts } = await import('../installer/bundle/serve.ts');
  const { partsFolder } = await import('../installer/bundle/run-file.ts');
  const { close, ...access } = await serveParts(partsFolder);
  write(`${JSON.stringify(access)}\n`);
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('close', resolve));
  await close();
}

/** The bundle that is named, or the usual places, the unpacked one last. */
async function placeOf(named: string | undefined): Promise<string> {
  if (named) return resolve(named);
  const { findBundle } = await import('./fleet-session.ts');
  const { bundlePaths } = await import('../installer/config/paths.ts');
  try {
    return findBundle(undefined);
  } catch (error) {
    if (existsSync(bundlePaths.current)) return bundlePaths.current;
    throw error;
  }
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function runBuild({
  repository,
  out,
  level,
  arch,
}: {
  repository: string;
  out?: string;
  arch?: string;
  level: string;
}): Promise<void> {
  const checkout = resolve(repository);
  if (!isCheckout(checkout)) {
    throw new KinitError('Usage', `${checkout} is no checkout of kinit`, { advice: 'name it with --repository' });
  }
  const compression = Number(level);
  if (!Number.isInteger(compression) || compression < 1 || compression > 19)
    throw new KinitError('Usage', `--level is "${level}"; it takes a number from 1 to 19`);
  const { buildBundle } = await import('../installer/bundle/build.ts');
  const { architectureNamed } = await import('../installer/bundle/architecture.ts');
  const { path, size, manifest } = await buildBundle({
    repository: checkout,
    out: out === undefined ? join(checkout, 'dist') : resolve(out),
    level: compression,
    ...(arch === undefined ? {} : { architecture: architectureNamed(arch) }),
    log: (line) => process.stderr.write(`${line}\n`),
  });
  write(`${path}: ${megabytes(size)}, ${manifest.images.length} images, ${manifest.files.length} files\n`);
}

function isCheckout(folder: string): boolean {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) return false;
  return (JSON.parse(readFileSync(path, 'utf8')) as { name?: string }).name === 'kinit';
}

interface InspectFlags {
  files?: boolean;
  sbom?: boolean;
  output: string;
}

async function runInspect(named: string | undefined, flags: InspectFlags): Promise<void> {
  if (flags.output !== 'text' && flags.output !== 'json')
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const { openBundle, readManifest } = await import('../installer/bundle/payload.ts');
  const path = await placeOf(named);
  const bundle = await openBundle(path);
  const manifest = await readManifest(bundle);
  if (flags.sbom) {
    const { spdxOf } = await import('../installer/bundle/sbom.ts');
    write(`${JSON.stringify(spdxOf(manifest, new Date().toISOString().replace(/\.\d+Z$/, 'Z')), null, 2)}\n`);
  } else if (flags.output === 'json') write(`${JSON.stringify(manifest, null, 2)}\n`);
  else write(inspection(path, bundle.run?.size, manifest, flags.files ?? false));
}

export function inspection(
  path: string,
  size: number | undefined,
  manifest: BundleManifest,
  withFiles: boolean,
): string {
  const { kinit, kubernetes, architecture, images, files, libraries = [] } = manifest;
  const unpacked = files.reduce((sum, file) => sum + file.size, 0);
  const head = [
    ['Bundle', path],
    ['kinit', kinit],
    ['Kubernetes', kubernetes],
    ['Platform', `linux/${architecture}`],
    ['Size', `${size === undefined ? '' : `${megabytes(size)}, `}${megabytes(unpacked)} unpacked`],
    ['Libraries', `${libraries.length} npm packages in kinit's programs`],
  ];
  const lines = head.map(([name, value]) => `${`${name}:`.padEnd(12)} ${value}\n`).join('');
  const imageTable = formatTable(
    ['IMAGE', 'DIGEST', 'MADE OF'],
    images.map(({ reference, digest, contents, added }) => [
      reference,
      digest.replace('sha256:', '').slice(0, 12),
      added ? 'added' : contents ? `${contents.length} ${contents.length === 1 ? 'package' : 'packages'}` : 'kinit',
    ]),
  );
  const fileTable = withFiles
    ? formatTable(
        ['FILE', 'SIZE', 'SHA256', 'ORIGIN', 'VERSION'],
        files.map(({ path: name, size: bytes, sha256, origin, version }) => [
          name,
          String(bytes),
          sha256.slice(0, 12),
          origin,
          version,
        ]),
      )
    : formatTable(['COMPONENT', 'VERSION', 'FILES', 'SIZE'], componentRows(manifest));
  return `${lines}\n${imageTable}\n${fileTable}`;
}

/** Files on the host by their origin; images have a table of their own. */
function componentRows({ files }: BundleManifest): string[][] {
  const onHost = files.filter(({ path }) => !path.startsWith('images/'));
  const groups = Map.groupBy(onHost, ({ origin, version }) => `${origin} ${version}`);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, members]) => {
      const [origin = '', version = ''] = key.split(' ');
      const bytes = members.reduce((sum, { size }) => sum + size, 0);
      return [origin, version, String(members.length), megabytes(bytes)];
    });
}

async function runVerify(named: string | undefined): Promise<void> {
  const { openBundle } = await import('../installer/bundle/payload.ts');
  const { verifyBundle } = await import('../installer/bundle/verify.ts');
  const path = await placeOf(named);
  const { files, images, bytes, problems } = await verifyBundle(await openBundle(path));
  if (problems.length) {
    throw new KinitError('Bundle', `${path} is not what its manifest says`, {
      seen: problems.join('\n'),
      advice: 'copy it again, or build it anew',
    });
  }
  write(`${path}: ${files} files (${megabytes(bytes)}) and ${images} images are what the manifest says\n`);
}

async function runAddImage(
  named: string,
  archives: string[],
  { name, out }: { name?: string; out?: string },
): Promise<void> {
  if (name && archives.length > 1)
    throw new KinitError('Usage', '--name is for one archive', { advice: 'add the archives one after the other' });
  const { addImages } = await import('../installer/bundle/add-image.ts');
  const path = resolve(named);
  const target = out === undefined ? path : resolve(out);
  const chosen = archives.map((archive) => ({ path: archive, ...(name ? { name } : {}) }));
  const { images, grown } = await addImages(path, chosen, target);
  for (const { reference, digest } of images) write(`${reference} ${digest.slice(0, 19)} added\n`);
  write(`${target} has grown by ${megabytes(grown)}\n`);
}
