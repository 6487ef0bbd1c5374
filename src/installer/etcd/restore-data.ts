/** Puts the data of a snapshot where etcd looks for it, as the only member of a new cluster. */
import { KinitError } from '../errors.ts';
import { exists, type Host, runOrFail } from '../host/host.ts';
import { type RestoreState, readRestoreState, writeRestoreState } from './restore-state.ts';
import { etcdutlPath } from './snapshot-file.ts';

export interface NewMember {
  name: string;
  peerUrl: string;
  dataDir: string;
}

/**
 * Revisions go on this far behind those of the snapshot: nothing that a client saw after it was taken can have the number
 * of something else, and everybody who watches is told to list again.
 */
const revisionBump = 1_000_000_000;

const restoreTimeoutMs = 1_800_000;

/**
 * Safe to be killed at any point: the new data is made beside the old, which is moved aside and not removed.
 * @returns the state with where the old data lies
 */
export async function restoreData(
  host: Host,
  snapshot: string,
  { name, peerUrl, dataDir }: NewMember,
  state: RestoreState,
  signal: AbortSignal,
): Promise<RestoreState> {
  const draft = `${dataDir}/restore.kinit-draft`;
  const member = `${dataDir}/member`;
  await host.remove(draft);
  const tool = await etcdutlPath(host);
  const words = [
    'snapshot',
    'restore',
    snapshot,
    `--data-dir=${draft}`,
    `--name=${name}`,
    `--initial-cluster=${name}=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    // A cluster id of its own: members of the old cluster that come back are not taken for members of this one.
    `--initial-cluster-token=restored-${state.sha256.slice(0, 12)}`,
    `--bump-revision=${revisionBump}`,
    '--mark-compacted',
  ];
  await runOrFail(host, tool, words, {
    timeoutMs: restoreTimeoutMs,
    signal,
    advice: 'check the snapshot: kinit etcd snapshot verify; the old data is where it was',
  });
  if (!(await exists(host, `${draft}/member`))) {
    throw new KinitError('Command', `etcdutl has made no data in ${draft}`);
  }
  // etcd need not run as root: its data are of whoever the folder is of.
  const owner = await host.stat(dataDir);
  if (owner && owner.uid !== 0) await runOrFail(host, 'chown', ['-R', `${owner.uid}:${owner.gid}`, draft]);
  let now = state;
  if (now.movedAside && (await exists(host, now.movedAside))) {
    // A run before this one came so far and was killed: what is here now is its work, which no etcd has used yet.
    await host.remove(member);
  } else if (await exists(host, member)) {
    const movedAside = `${dataDir}/member.before-restore-${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`;
    now = { ...now, movedAside };
    // Known before it is done: a run that is killed in between still tells where the data is.
    await writeRestoreState(host, now);
    await runOrFail(host, 'mv', ['-T', member, movedAside]);
  }
  await runOrFail(host, 'mv', ['-T', `${draft}/member`, member]);
  await runOrFail(host, 'sync', [], { timeoutMs: restoreTimeoutMs });
  await host.remove(draft);
  now = { ...now, dataInPlace: true };
  await writeRestoreState(host, now);
  return now;
}

/**
 * The state of this restore: that of a run that was killed, or a new one.
 * @throws KinitError when another snapshot has come too far on a host that was no control plane
 */
export async function beginRestore(host: Host, sha256: string, isControlPlane: boolean): Promise<RestoreState> {
  const before = await readRestoreState(host);
  if (before?.sha256 === sha256) return before;
  if (before?.mode === 'new-host' && before.dataInPlace) {
    throw new KinitError('Validation', 'the restore of another snapshot has begun on this host and is not finished', {
      advice: 'finish it with that snapshot, or begin anew after kinit reset',
    });
  }
  const mode = before?.mode ?? (isControlPlane ? 'in-place' : 'new-host');
  return { sha256, mode, dataInPlace: false };
}
