/** Packages that lab hosts install from a repository of their own, made once from what the lab's distribution has. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { flavourLayers, once } from './roots.ts';

/**
 * A folder that apt takes as a repository (`deb [trusted=yes] file:/… ./`): the packages with all that a lab host lacks for them.
 */
export async function packageRepository(names: readonly string[]): Promise<string> {
  const [, base] = await flavourLayers('debian');
  if (base === undefined) throw new Error('a lab host has no base');
  const key = createHash('sha256')
    .update(JSON.stringify([base, names]))
    .digest('hex')
    .slice(0, 12);
  return once(`packages-${key}`, (draft) => fetchPackages(base, names, draft));
}

/** The machine's apt works on the lists and the state of the lab's root, and leaves its own alone. */
async function fetchPackages(base: string, names: readonly string[], folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  const state = `${folder}.apt`;
  for (const path of [folder, `${state}/lists/partial`, `${state}/cache/archives/partial`])
    await mkdir(path, { recursive: true });
  const settings = {
    'Dir::Etc::sourcelist': join(base, 'etc/apt/sources.list'),
    'Dir::Etc::sourceparts': join(base, 'etc/apt/sources.list.d'),
    'Dir::State::lists': `${state}/lists`,
    'Dir::State::status': join(base, 'var/lib/dpkg/status'),
    'Dir::State::extended_states': `${state}/extended_states`,
    'Dir::Cache': `${state}/cache`,
    'APT::Sandbox::User': 'root',
    'Debug::NoLocking': 'true',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  try {
    await execa('apt-get', [...options, '-qq', 'update']);
    await execa('apt-get', [
      ...options,
      '-qq',
      '-y',
      '--download-only',
      '--no-install-recommends',
      'install',
      ...names,
    ]);
    const archives = `${state}/cache/archives`;
    const entries: string[] = [];
    for (const name of (await readdir(archives)).filter((file) => file.endsWith('.deb'))) {
      const path = join(archives, name);
      const { stdout } = await execa('dpkg-deb', ['--field', path]);
      const sha256 = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      entries.push(`${stdout}\nFilename: ./${name}\nSize: ${(await stat(path)).size}\nSHA256: ${sha256}\n`);
      await execa('mv', [path, folder]);
    }
    await writeFile(join(folder, 'Packages'), `${entries.join('\n')}\n`);
  } finally {
    await rm(state, { recursive: true, force: true });
  }
}

/** Path of a package in a repository. */
export async function packageFile(repository: string, name: string): Promise<string> {
  const found = (await readdir(repository)).find((file) => file.startsWith(`${name}_`));
  if (!found) throw new Error(`${repository} has no package ${name}`);
  return join(repository, found);
}
