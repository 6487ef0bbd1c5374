/** How far a restore of etcd has come on this host, on disk: a run that was killed is continued by the next one. */
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { stateFolder } from '../host/journal.ts';

export const restoreFolder = `${stateFolder}/etcd-restore`;
const statePath = `${restoreFolder}/state.json`;
/** Manifests of static pods wait here while etcd's data is exchanged. */
export const heldManifests = `${restoreFolder}/manifests`;
/** The configuration of a control plane that is made of a backup. */
export const restoredConfig = `${restoreFolder}/config.yaml`;

export interface RestoreState {
  /** Of the snapshot. */
  sha256: string;
  /** `new-host`: the host becomes a control plane; `in-place`: it is one. */
  mode: 'new-host' | 'in-place';
  /** The data of the snapshot is where etcd looks for it. */
  dataInPlace: boolean;
  /** Where the data lies that was there before. */
  movedAside?: string;
}

export async function readRestoreState(host: Host): Promise<RestoreState | undefined> {
  const text = await readText(host, statePath);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as RestoreState;
  } catch (cause) {
    throw new KinitError('Internal', `${statePath} is no JSON`, {
      cause,
      advice: `remove it and run the command again`,
    });
  }
}

export async function writeRestoreState(host: Host, state: RestoreState): Promise<void> {
  await host.makeDirectory(restoreFolder, 0o700);
  await host.writeFile(statePath, `${JSON.stringify(state)}\n`, { mode: 0o600 });
}

/** The restore is over. */
export const endRestore = (host: Host): Promise<void> => host.remove(restoreFolder);
