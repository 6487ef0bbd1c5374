/**
 * What a host knows of an upgrade that was begun: from where to where, and what there was before. It is written before the first
 * change, so that a second run goes on where the first one was broken off, and the way back is always known.
 */
import { temporaryDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { stateFolder } from '../host/journal.ts';
import { type BundleVersion, describeBundle, sameBundle } from './bundle-folders.ts';

export const upgradeStatePath = `${stateFolder}/upgrade.json`;

/** A file as it was before the upgrade. */
export interface SavedFile {
  path: string;
  /** Of the copy; absent: there was no such file. */
  mode?: number;
}

export interface UpgradeState {
  from: BundleVersion;
  to: BundleVersion;
  /** ISO 8601. */
  started: string;
  /** Folder with the copies, below /etc/kubernetes/tmp as kubeadm has it. */
  backup: string;
  saved: SavedFile[];
  /** Of etcd, taken before; absent on workers, and on the control planes that come later. */
  snapshot?: string;
  ended?: 'done' | 'rolled-back';
}

/** `2026-01-31-12-00-00`, as kubeadm names its backups. */
const stamp = (time: Date) => time.toISOString().slice(0, 19).replace(/[T:]/g, '-');

export async function readUpgradeState(host: Host): Promise<UpgradeState | undefined> {
  const text = await readText(host, upgradeStatePath);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as UpgradeState;
  } catch {
    throw new KinitError('Validation', `${upgradeStatePath} is damaged`, {
      advice: `look into it; without it kinit takes ${temporaryDir} for what there was before, so move it away only when the node is well`,
    });
  }
}

export async function writeUpgradeState(host: Host, state: UpgradeState): Promise<void> {
  await host.makeDirectory(stateFolder, 0o700);
  await host.writeFile(upgradeStatePath, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
}

export type Beginning =
  /** Nothing was begun, or what was begun has ended. */
  | { kind: 'new'; state: UpgradeState }
  /** The same upgrade was broken off, or has been made: its backup stands. */
  | { kind: 'again'; state: UpgradeState };

/**
 * What a run is: a new upgrade, or one that goes on.
 * @throws KinitError Validation when another upgrade was broken off
 */
export function beginningOf(
  before: UpgradeState | undefined,
  from: BundleVersion,
  to: BundleVersion,
  now: Date,
): Beginning {
  const fresh: UpgradeState = {
    from,
    to,
    started: now.toISOString(),
    backup: `${temporaryDir}/kubeadm-backup-manifests-${stamp(now)}`,
    saved: [],
  };
  if (!before || before.ended === 'rolled-back') return { kind: 'new', state: fresh };
  if (sameBundle(before.to, to)) {
    // After an upgrade and a later one back, the same target is a new upgrade.
    return before.ended === 'done' && !sameBundle(from, to)
      ? { kind: 'new', state: fresh }
      : { kind: 'again', state: before };
  }
  if (before.ended === 'done') return { kind: 'new', state: fresh };
  throw new KinitError('Validation', `an upgrade of this host to ${describeBundle(before.to)} was broken off`, {
    seen: `${upgradeStatePath}: from ${describeBundle(before.from)}, begun ${before.started}`,
    advice: `finish it with ${before.to.folder}/bin/kinit upgrade, or go back first with kinit upgrade rollback`,
  });
}
