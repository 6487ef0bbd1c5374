/**
 * A Debian root of another architecture: packages with what they depend on, unpacked and not set up, since that would run
 * programs of that architecture. What setting up would have left is written here: dpkg's records and the trust store.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

interface ForeignRoot {
  suite: string;
  architecture: string;
  packages: readonly string[];
  target: string;
}

export async function unpackForeignRoot({ suite, architecture, packages, target }: ForeignRoot): Promise<void> {
  await execa('mmdebstrap', [
    '--variant=extract',
    `--architectures=${architecture}`,
    `--include=${packages.join(',')}`,
    '--skip=cleanup/apt/cache',
    suite,
    target,
  ]);
  const archives = join(target, 'var/cache/apt/archives');
  const found = (await readdir(archives)).filter((name) => name.endsWith('.deb')).sort();
  const info = join(target, 'var/lib/dpkg/info');
  await mkdir(info, { recursive: true });
  const stanzas: string[] = [];
  for (const name of found) {
    const archive = join(archives, name);
    const { stdout: fields } = await execa('dpkg-deb', ['--field', archive, 'Package', 'Version']);
    stanzas.push(`${fields}\n`);
    const owner = /^Package: (.+)$/m.exec(fields)?.[1] ?? name;
    await writeFile(join(info, `${owner}.list`), await pathsOf(archive));
  }
  await writeFile(join(target, 'var/lib/dpkg/status'), stanzas.join('\n'));
  await rm(archives, { recursive: true });
  await writeTrustStore(target);
}

/** What a package holds, as dpkg lists it: absolute paths, one per line. */
async function pathsOf(archive: string): Promise<string> {
  const { stdout } = await execa({ shell: true })`dpkg-deb --fsys-tarfile ${archive} | tar -t`;
  return stdout
    .split('\n')
    .map((path) => path.replace(/^\.?\/?/, '/').replace(/(.)\/$/, '$1'))
    .join('\n');
}

/** As update-ca-certificates does: all certificates of the package, by name. */
async function writeTrustStore(root: string): Promise<void> {
  const folder = join(root, 'usr/share/ca-certificates/mozilla');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.crt')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  await mkdir(join(root, 'etc/ssl/certs'), { recursive: true });
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), texts.join(''));
}
