/** `kinit etcd snapshot save | list | status | verify` */

import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { defaultSnapshotFolder } from '../installer/config/paths.ts';
import { KinitError } from '../installer/errors.ts';
import { infoPath, pkiPath } from '../installer/etcd/snapshot-file.ts';
import type { SavedSnapshot } from '../installer/etcd/snapshot-save.ts';
import { localHost } from '../installer/host/host.ts';
import { type AskFlags, askOptions, here, json, wordsFor, write } from './etcd.ts';
import { askPassphrase } from './passphrase.ts';
import { interruptSignal } from './session.ts';

interface SaveFlags extends AskFlags {
  directory: string;
  name?: string;
  keep?: string;
  withPki?: boolean;
  pkiKeyFile?: string;
  out?: string;
}

export function addSnapshotCommands(etcd: Command): void {
  const snapshot = etcd.command('snapshot').description('backups of etcd');
  askOptions(snapshot.command('save').description('write a snapshot of the whole cluster’s state to a file'))
    .option('--directory <path>', 'folder of the snapshots', defaultSnapshotFolder)
    .option('--name <file>', 'name of the file (default: snapshot-<node>-<time>.db)')
    .option('--keep <number>', 'make it one of a series, and remove all but this many newest ones of the series')
    .option('--with-pki', 'also write the keys of the cluster beside it: who has them is its administrator')
    .option(
      '--pki-key-file <file>',
      'with --with-pki: encrypt them with the key in this file (kinit certs certificate-key)',
    )
    .option('--out <folder>', 'with --inventory: copy it into this folder of the workstation')
    .action(save);
  askOptions(snapshot.command('list').description('list the snapshots of a host'))
    .option('--directory <path>', 'folder of the snapshots', defaultSnapshotFolder)
    .action(listAll);
  for (const [name, description] of [
    ['status', 'what is in a snapshot'],
    ['verify', 'check that a snapshot is whole: its checksum, and what was noted when it was taken'],
  ] as const) {
    snapshot
      .command(name)
      .argument('<file>', 'the snapshot')
      .description(description)
      .option('-o, --output <format>', 'text or json', 'text')
      .action((file: string, flags: { output: string }) => look(file, flags.output, name === 'verify'));
  }
}

function keepOf({ keep }: SaveFlags): { keep?: number } {
  if (keep === undefined) return {};
  if (!/^[1-9]\d{0,4}$/.test(keep)) throw new KinitError('Usage', `--keep is "${keep}"; it takes a number from 1`);
  return { keep: Number(keep) };
}

async function save(flags: SaveFlags, command: Command): Promise<void> {
  const kept = keepOf(flags);
  if (flags.name && flags.keep)
    throw new KinitError('Usage', '--name is not for use with --keep: a series has names of its own');
  if (flags.pkiKeyFile && !flags.withPki) throw new KinitError('Usage', '--pki-key-file is for --with-pki');
  if (flags.out !== undefined && !flags.inventory) {
    throw new KinitError('Usage', '--out is for --inventory', { advice: 'on the host itself give --directory' });
  }
  if (flags.out !== undefined) return saveAndFetch(flags, flags.out, command);
  await here(flags, command, async (access, signal) => {
    const { saveSnapshot } = await import('../installer/etcd/snapshot-save.ts');
    const { directory, name, withPki, pkiKeyFile } = flags;
    const saved = await saveSnapshot(localHost(), access, {
      folder: resolve(directory),
      ...(name ? { name } : {}),
      ...kept,
      ...(withPki ? { withPki } : {}),
      ...(pkiKeyFile ? { pkiKeyFile } : {}),
      signal,
    });
    await tell(saved, flags.output);
  });
}

async function tell(saved: SavedSnapshot, output: string): Promise<void> {
  const { path, info, removed } = saved;
  if (output === 'json') {
    const { clusterConfiguration: _text, ...rest } = info;
    return json({ path, ...rest, removed });
  }
  const { formatSnapshot } = await import('./render/etcd.ts');
  write(formatSnapshot(path, info));
  for (const old of removed) write(`removed ${old}\n`);
}

/** On a control plane first, then here. */
async function saveAndFetch(flags: SaveFlags, out: string, command: Command): Promise<void> {
  const { download, runThere, withControlPlane } = await import('../installer/fleet/on-control-plane.ts');
  const { mkdir } = await import('node:fs/promises');
  const signal = interruptSignal();
  const source = { ...flags, inventory: flags.inventory as string, askPassphrase };
  await withControlPlane(source, signal, async (connection) => {
    const words = [...wordsFor(command, ['out', 'output']), '--output', 'json'];
    const { path, removed, ...info } = JSON.parse(
      await runThere(connection, words, signal),
    ) as SavedSnapshot['info'] & {
      path: string;
      removed: string[];
    };
    const folder = resolve(out);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const local = join(folder, path.slice(path.lastIndexOf('/') + 1));
    await download(connection, infoPath(path), infoPath(local), signal);
    if (info.pki) await download(connection, pkiPath(path), pkiPath(local), signal);
    const sha256 = await download(connection, path, local, signal);
    if (sha256 !== info.sha256) {
      throw new KinitError('Validation', `${local} is not what ${connection.host} sent`, {
        seen: `sha256 ${sha256}, there ${info.sha256}`,
        advice: 'run the command again',
      });
    }
    await tell({ path: local, info, removed }, flags.output);
  });
}

async function listAll(flags: AskFlags & { directory: string }, command: Command): Promise<void> {
  const print = async () => {
    const { listSnapshots } = await import('../installer/etcd/snapshot-file.ts');
    const entries = await listSnapshots(localHost(), resolve(flags.directory));
    if (flags.output === 'json') {
      return json(
        entries.map(({ info: { clusterConfiguration: _text, ...info } = {} as never, ...rest }) => ({
          ...rest,
          ...info,
        })),
      );
    }
    const { formatSnapshots } = await import('./render/etcd.ts');
    write(entries.length ? formatSnapshots(entries) : `there are no snapshots in ${resolve(flags.directory)}\n`);
  };
  if (!flags.inventory) return print();
  await here(flags, command, print);
}

async function look(file: string, output: string, verifying: boolean): Promise<void> {
  if (!['text', 'json'].includes(output))
    throw new KinitError('Usage', `--output is "${output}"; it takes text or json`);
  const path = resolve(file);
  const { databaseFacts, readInfo, verifySnapshot } = await import('../installer/etcd/snapshot-file.ts');
  const host = localHost();
  const checksum = await verifySnapshot(path);
  const info = await readInfo(host, path);
  if (verifying && info && info.sha256 !== checksum.sha256) {
    throw new KinitError('Validation', `${path} is not the file that ${infoPath(path)} describes`, {
      seen: `sha256 ${checksum.sha256}, noted ${info.sha256}`,
    });
  }
  const { revision, keys } = await databaseFacts(host, path);
  const { clusterConfiguration: _text, ...noted } = info ?? ({} as never);
  const facts = { ...noted, ...checksum, revision, keys };
  if (output === 'json') return json({ path, ...facts });
  const { formatSnapshot } = await import('./render/etcd.ts');
  write(formatSnapshot(path, facts));
  if (verifying) write('the snapshot is whole\n');
}
