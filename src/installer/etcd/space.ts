/** An etcd whose quota is used up (alarm NOSPACE): old versions of objects are forgotten, the databases made small, writes allowed again. */
import { statfs } from 'node:fs/promises';
import { etcdDataDir, manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { type EtcdAccess, manifestArgument, targetOf } from './access.ts';
import { etcdMessage, withEtcd } from './connection.ts';
import { type DefragResult, defragment, disarmAlarms } from './maintenance.ts';
import { type MemberStatus, memberStatuses } from './status.ts';

/** etcd's own when its flag is not given or 0. */
const defaultQuotaBytes = 2 ** 31;
/** Of the quota: above it the alarm would be back with the next few objects. */
const roomFraction = 0.95;
/** Of the quota: below it nothing needs to be made smaller. */
const plentyFraction = 0.8;
/** A database of gigabytes may have much to forget. */
const compactTimeoutMs = 300_000;

export interface Room {
  quotaBytes: number;
  /** Of this host's member. */
  dataDir: string;
}

/** What this host's manifest says; undefined when etcd is elsewhere. */
export async function roomOf(host: Host): Promise<Room | undefined> {
  const manifest = await readText(host, `${manifestsDir}/etcd.yaml`);
  if (manifest === undefined) return undefined;
  const quotaBytes = Number(manifestArgument(manifest, 'quota-backend-bytes') ?? 0) || defaultQuotaBytes;
  return { quotaBytes, dataDir: manifestArgument(manifest, 'data-dir') ?? etcdDataDir };
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;

/** `17.1 MB of its 16.8 MB, 0.9 MB of it in use` */
export function describeFill({ dbSizeBytes = 0, dbSizeInUseBytes = dbSizeBytes }: MemberStatus, quotaBytes?: number) {
  const quota = quotaBytes ? ` of its ${megabytes(quotaBytes)}` : '';
  return `${megabytes(dbSizeBytes)}${quota}, ${megabytes(dbSizeInUseBytes)} of it in use`;
}

const isBelow = (fraction: number, quotaBytes: number, { dbSizeBytes }: MemberStatus) =>
  dbSizeBytes !== undefined && dbSizeBytes < quotaBytes * fraction;

export const isOutOfSpace = ({ alarms }: MemberStatus): boolean => alarms.includes('NOSPACE');

/** @throws KinitError when one of the databases has no room for more */
function checkRoom(members: readonly MemberStatus[], quotaBytes: number, advice: string): void {
  const full = members.filter((member) => !isBelow(roomFraction, quotaBytes, member));
  if (!full.length) return;
  throw new KinitError('Validation', 'the alarm NOSPACE stays: etcd has no room for more', {
    seen: full.map((member) => `${member.name || member.id}: ${describeFill(member, quotaBytes)}`).join('\n'),
    advice,
  });
}

const raiseAdvice = (quotaBytes: number): string =>
  `delete what is not needed, or raise the quota on each control plane, one after the other: --quota-backend-bytes=${Math.max(quotaBytes * 2, defaultQuotaBytes)} in ${manifestsDir}/etcd.yaml (to keep it: etcd.local.extraArgs of the cluster's configuration); then again: kinit doctor --fix`;

/** Forgets all but the newest version of each object. Who watches an older one is told to begin anew. */
export async function compact(access: EtcdAccess): Promise<void> {
  const { members } = await memberStatuses(access);
  const endpoint = members.find(({ healthy }) => healthy)?.clientUrls[0];
  if (!endpoint) throw new KinitError('Connection', 'no member of etcd answers');
  await withEtcd(targetOf(access, endpoint), async ({ kv }) => {
    const deadline = Date.now() + compactTimeoutMs;
    const { header } = await kv.range({ key: Buffer.from('compact_rev_key'), limit: 1 }, { deadline });
    await kv.compact({ revision: header.revision, physical: true }, { deadline });
  }).catch((error: unknown) => {
    // An API server, or another kinit, was faster.
    if (/revision has been compacted/.test(etcdMessage(error))) return;
    throw new KinitError('Command', 'etcd cannot forget old versions of objects', { seen: etcdMessage(error) });
  });
}

/** A database that is made small is written anew beside the old one. */
async function checkDisk(dataDir: string, members: readonly MemberStatus[]): Promise<void> {
  const { bavail, bsize } = await statfs(dataDir);
  const needed = Math.max(...members.map(({ dbSizeInUseBytes = 0 }) => dbSizeInUseBytes));
  if (bavail * bsize > needed) return;
  throw new KinitError('Validation', `etcd is not defragmented: there is no room for it in ${dataDir}`, {
    seen: `${megabytes(bavail * bsize)} of its file system are free, ${megabytes(needed)} are needed`,
    advice: 'free some space there first (df -h)',
  });
}

/**
 * The steps of etcd's documentation: compact, defragment one member after the other, disarm the alarm. With room already (the quota was
 * raised) the last one is enough.
 * @throws KinitError when there is no room afterwards; the alarm then stays
 */
export async function freeSpace(
  access: EtcdAccess,
  { quotaBytes, dataDir, signal, done }: Room & { signal: AbortSignal; done?(result: DefragResult): void },
): Promise<void> {
  let { members } = await memberStatuses(access);
  if (!members.every((member) => isBelow(plentyFraction, quotaBytes, member))) {
    await compact(access);
    ({ members } = await memberStatuses(access));
    await checkDisk(dataDir, members);
    await defragment(access, { signal, done: (result) => done?.(result) });
    ({ members } = await memberStatuses(access));
  }
  checkRoom(members, quotaBytes, raiseAdvice(quotaBytes));
  await disarmAlarms(access, 'NOSPACE');
}

/** Clears all alarms, unless that of a database without room would be back at once. @returns how many there were */
export async function disarm(access: EtcdAccess, room?: Room): Promise<number> {
  const { members } = await memberStatuses(access);
  if (room && members.some(isOutOfSpace))
    checkRoom(members, room.quotaBytes, 'make room first: kinit doctor --fix, or kinit etcd defrag --compact');
  return disarmAlarms(access);
}
