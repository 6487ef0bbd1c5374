/** The Node executable of an architecture: the one that the checkout has, or the same version from the npm registry. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { KinitError } from '../errors.ts';
import { type Architecture, ownArchitecture } from './architecture.ts';

interface Lockfile {
  packages: Record<string, { version?: string; integrity?: string }>;
}

/**
 * The package of the architecture is an optional one of package.json: npm leaves it out on this machine, and the lock file says
 * which bytes it has.
 */
export async function nodeFor(
  architecture: Architecture,
  repository: string,
  cache: string,
  log: (line: string) => void,
): Promise<string> {
  if (architecture === ownArchitecture()) return join(repository, 'node_modules/node/bin/node');
  const name = `node-linux-${architecture.node}`;
  const { packages } = JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8')) as Lockfile;
  const version = packages['node_modules/node']?.version;
  const pinned = packages[`node_modules/${name}`];
  if (!version || !pinned?.integrity || pinned.version !== version) {
    throw new KinitError('Bundle', `package-lock.json does not pin Node for ${architecture.debian}`, {
      seen: `node is ${version ?? 'missing'}, ${name} is ${pinned?.version ?? 'missing'}`,
      advice: `npm install --save-optional --save-exact ${name}@${version ?? '<version of node>'}`,
    });
  }
  const folder = join(cache, `${name}-${version}`);
  const node = join(folder, 'node');
  if (existsSync(node)) return node;
  const draft = `${folder}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  log(`fetching ${name} ${version}`);
  await execa('npm', ['pack', '--silent', '--pack-destination', draft, `${name}@${version}`], { cwd: draft });
  const archive = join(draft, (await readdir(draft)).find((file) => file.endsWith('.tgz')) ?? 'nothing');
  const seen = `sha512-${createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')}`;
  if (seen !== pinned.integrity) {
    throw new KinitError('Bundle', `${name} ${version} of the registry is not what package-lock.json pins`, {
      seen: `${seen}, expected ${pinned.integrity}`,
      advice: 'ask whoever runs the registry',
    });
  }
  await execa('tar', ['-xzf', archive, '-C', draft, '--strip-components=2', 'package/bin/node']);
  await rm(archive);
  await rename(draft, folder);
  return node;
}
