/** `npm run bundle [-- --arch arm64] [--level 1]`: builds the programs' bundle into dist/; the same as `kinit bundle build` from a checkout. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { architectureNamed } from '../src/installer/bundle/architecture.ts';
import { buildBundle } from '../src/installer/bundle/build.ts';

const repository = join(import.meta.dirname, '..');
const { arch, level } = parseArgs({ options: { arch: { type: 'string' }, level: { type: 'string' } } }).values;
const started = performance.now();
const { path, size, manifest } = await buildBundle({
  repository,
  out: join(repository, 'dist'),
  ...(arch === undefined ? {} : { architecture: architectureNamed(arch) }),
  ...(level === undefined ? {} : { level: Number(level) }),
  log: (line) => process.stdout.write(`${line}\n`),
});
const seconds = ((performance.now() - started) / 1000).toFixed(1);
process.stdout.write(
  `${path}: ${(size / 1e6).toFixed(1)} MB, ${manifest.images.length} images, ${manifest.files.length} files, ${seconds} s\n`,
);
