/** The next version of kinit, for tests of upgrades: this checkout with other version numbers, built and bundled beside it. */
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { kinitVersion, kubernetesVersion } from '../../src/machinery/version.ts';

const root = join(import.meta.dirname, '../..');

export interface NextBundle {
  kinit: string;
  kubernetes: string;
  /** Its command line. */
  program: string;
  /** Its `.run` file. */
  file: string;
}

/** `v1.36.3` after `v1.36.2`. */
export const nextPatch = (version: string): string => version.replace(/\d+$/, (patch) => String(Number(patch) + 1));

/**
 * Only what depends on the version is made anew: dependencies and Debian's packages are those of the checkout, and what they
 * give is the same to the byte. Compressed for speed.
 * @param folder is emptied before
 */
export async function buildNextBundle(folder: string): Promise<NextBundle> {
  const [kinit, kubernetes] = [nextPatch(kinitVersion), nextPatch(kubernetesVersion)];
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '.cache'), { recursive: true });
  for (const name of ['src', 'templates', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json'])
    await cp(join(root, name), join(folder, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await symlink(join(root, '.cache/bundle'), join(folder, '.cache/bundle'));
  const path = join(folder, 'src/machinery/version.ts');
  const text = await readFile(path, 'utf8');
  const changed = text.replace(`'${kubernetesVersion}'`, `'${kubernetes}'`).replace(`'${kinitVersion}'`, `'${kinit}'`);
  await writeFile(path, changed);
  const node = join(root, 'node_modules/.bin/node');
  for (const script of [['scripts/build.ts'], ['scripts/bundle.ts', '--level', '1']])
    await execa(node, script, { cwd: folder, timeout: 300_000 });
  const file = (await readdir(join(folder, 'dist'))).find((name) => name.endsWith('.run'));
  if (!file) throw new Error(`no bundle was built in ${folder}/dist`);
  return { kinit, kubernetes, program: join(folder, 'dist/kinit/main.mjs'), file: join(folder, 'dist', file) };
}
