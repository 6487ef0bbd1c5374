/** `kinit inventory import`: files of another tool in, an inventory out. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { KinitError } from '../../errors.ts';
import { parseInventory } from '../read-inventory.ts';
import { importAnsible } from './ansible.ts';
import { importCloudInit, isSeedFile } from './cloud-init.ts';
import { detectFormat } from './detect.ts';
import { importHosts } from './hosts-list.ts';
import { type Rendered, renderInventory } from './render.ts';
import { importTerraform } from './terraform.ts';
import { type Importer, type ImportFile, type ImportFormat, importFormats } from './types.ts';
import { importVagrant } from './vagrant.ts';

const importers: Record<ImportFormat, Importer> = {
  vagrant: importVagrant,
  ansible: importAnsible,
  terraform: importTerraform,
  'cloud-init': importCloudInit,
  hosts: importHosts,
};

export interface ImportOptions {
  /** Absent: judged by the files. */
  format?: ImportFormat;
  /** Path of the inventory to write. */
  out: string;
  controlPlane?: readonly string[];
}

/** Pure: the text of an inventory from those of files. */
export function convertFiles(
  files: readonly ImportFile[],
  options: ImportOptions,
): Rendered & { format: ImportFormat } {
  const format = options.format ?? files.map(detectFormat).find((found) => found !== undefined);
  const shown = files.map(({ name }) => name).join(', ');
  if (!format) {
    throw new KinitError('Validation', `${shown}: it is not clear which tool this comes from`, {
      advice: `say it with --from: ${importFormats.join(', ')}`,
    });
  }
  const imported = importers[format](files);
  const names = imported.hosts.map(({ name }) => name);
  const unknown = options.controlPlane?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new KinitError('Usage', `--control-plane ${unknown}: ${shown} has no such host`, {
      advice: `it has ${names.join(', ')}`,
    });
  }
  const source = files[0]?.name ?? '';
  const rebase = (path: string) => relative(dirname(resolve(options.out)), resolve(dirname(source), path)) || '.';
  const rendered = renderInventory(imported, {
    from: shown,
    out: options.out,
    rebase,
    ...(options.controlPlane ? { controlPlane: options.controlPlane } : {}),
  });
  if (!rendered.nodes) throw new KinitError('Validation', `${shown}: none of the hosts is a node: ${names.join(', ')}`);
  return { ...rendered, format };
}

export interface WrittenInventory extends Rendered {
  format: ImportFormat;
  path: string;
  /** What has to be corrected by hand before the inventory can be used. */
  mistakes: string[];
}

/**
 * @param sources files, folders, or `-` for standard input
 * @throws KinitError Validation when the inventory is there already and `force` is not given
 */
export async function importInventory(
  sources: readonly string[],
  options: ImportOptions & { force: boolean; stdin: () => Promise<string> },
): Promise<WrittenInventory> {
  const files = (await Promise.all(sources.map((source) => readSource(source, options.stdin)))).flat();
  const converted = convertFiles(files, options);
  const { out } = options;
  if (out !== '-') {
    await writeFile(out, converted.text, { flag: options.force ? 'w' : 'wx' }).catch((error: NodeJS.ErrnoException) => {
      const exists = error.code === 'EEXIST';
      throw new KinitError('Validation', exists ? `${out} is there already` : `cannot write ${out}: ${error.code}`, {
        advice: exists ? 'give another file with --out, or --force to replace it' : 'check the path given with --out',
      });
    });
  }
  return { ...converted, path: out, mistakes: mistakesIn(converted.text, out) };
}

/** Environment variables may be set later: only what is wrong in the file itself counts. */
function mistakesIn(text: string, path: string): string[] {
  try {
    parseInventory(text, path, process.env);
    return [];
  } catch (error) {
    if (error instanceof KinitError) return error.message.split('\n');
    throw error;
  }
}

/** Files of a folder that are inventories of the tools. */
const inFolder = /^(hosts|inventory)(\.(ini|ya?ml|json))?$|^terraform\.tfstate$/;

async function readSource(source: string, stdin: () => Promise<string>): Promise<ImportFile[]> {
  if (source === '-') return [{ name: 'standard input', text: await stdin() }];
  const failed = (error: NodeJS.ErrnoException) => {
    throw new KinitError('Validation', `cannot read ${source}: ${error.code}`, { advice: 'check the path' });
  };
  const info = await stat(source).catch(failed);
  if (!info.isDirectory()) return [{ name: source, text: await readFile(source, 'utf8').catch(failed) }];
  const names = (await readdir(source, { recursive: true })).map((name) => join(source, name)).sort();
  const seeds = names.filter(isSeedFile);
  const chosen = seeds.length
    ? seeds
    : names.filter((name) => dirname(name) === join(source) && inFolder.test(relative(source, name)));
  if (!chosen.length) {
    throw new KinitError('Validation', `${source}: the folder has no inventory`, {
      advice:
        'looked for hosts, inventory.ini, inventory.yml, terraform.tfstate, user-data and meta-data; name the file itself',
    });
  }
  return Promise.all(chosen.map(async (name) => ({ name, text: await readFile(name, 'utf8') })));
}
