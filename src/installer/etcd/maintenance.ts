/** Changes to a running etcd: members leave or get a vote, databases are defragmented, alarms are disarmed. */
import { KinitError } from '../errors.ts';
import { waitUntil } from '../host/wait.ts';
import { type EtcdAccess, membersOf, targetOf } from './access.ts';
import { etcdMessage, withEtcd } from './connection.ts';
import { describeQuorum, quorumWithout, removalDanger } from './quorum.ts';
import { type MemberStatus, memberStatuses } from './status.ts';

const changeTimeoutMs = 20_000;
/** etcd answers nobody while it defragments; a large database takes minutes. */
const defragTimeoutMs = 600_000;
const healthTimeoutMs = 60_000;

const decimalId = (id: string) => BigInt(`0x${id}`).toString();

/** By name or by hexadecimal id. */
export function findMember(members: readonly MemberStatus[], named: string): MemberStatus {
  const found = members.filter(({ id, name }) => name === named || id === named.replace(/^0x/, '').toLowerCase());
  if (found.length === 1) return found[0]!;
  const known = members.map(({ id, name }) => (name ? `${name} (${id})` : id)).join(', ');
  throw new KinitError(
    'Usage',
    found.length ? `"${named}" names several members of etcd` : `there is no member "${named}" of etcd`,
    { seen: `members: ${known}`, advice: 'give the id' },
  );
}

const healthyUrls = (members: readonly MemberStatus[]) =>
  members.filter(({ healthy }) => healthy).flatMap(({ clientUrls }) => clientUrls);

export interface RemovalPlan {
  member: MemberStatus;
  /** What will be, in one sentence. */
  afterwards: string;
  danger?: string;
}

export async function planRemoval(access: EtcdAccess, named: string): Promise<RemovalPlan> {
  const { members } = await memberStatuses(access);
  const member = findMember(members, named);
  const danger = removalDanger(members, member.id);
  return { member, afterwards: describeQuorum(quorumWithout(members, member.id)), ...(danger ? { danger } : {}) };
}

/** @throws KinitError when etcd would be worse off, unless it is forced */
export async function removeMember(
  access: EtcdAccess,
  { member, danger }: RemovalPlan,
  { force, signal }: { force: boolean; signal: AbortSignal },
): Promise<void> {
  const who = member.name || member.id;
  if (danger && !force) {
    throw new KinitError('Validation', `${who} is not removed from etcd: ${danger}`, {
      advice: 'add another member first (kinit join --control-plane), or give --force',
    });
  }
  const { members } = await memberStatuses(access);
  const others = healthyUrls(members.filter(({ id }) => id !== member.id));
  if (!others.length) {
    throw new KinitError('Validation', `${who} is not removed from etcd: no other member answers`, {
      advice: 'without a majority the membership cannot be changed: kinit etcd restore makes a new one of a snapshot',
    });
  }
  await membersOf(access, others, changeTimeoutMs, signal).removeById(decimalId(member.id));
}

/** Gives a learner its vote. @returns false when it has one */
export async function promoteMember(access: EtcdAccess, named: string, signal: AbortSignal): Promise<boolean> {
  const { members } = await memberStatuses(access);
  const member = findMember(members, named);
  if (!member.learner) return false;
  const url = member.peerUrls[0];
  if (!member.healthy || !url) {
    throw new KinitError('Validation', `${member.name || member.id} does not answer and cannot get a vote`, {
      ...(member.error ? { seen: member.error } : {}),
      advice: 'start etcd there first; a voter that is not there makes every other loss worse',
    });
  }
  return membersOf(access, healthyUrls(members), changeTimeoutMs, signal).promote(url);
}

export interface DefragResult {
  member: string;
  beforeBytes: number;
  afterBytes: number;
  ms: number;
}

/** One member after the other, the leader last; all are healthy before the next one begins. */
export async function defragment(
  access: EtcdAccess,
  { only, signal, done }: { only?: string; signal: AbortSignal; done(result: DefragResult): void },
): Promise<void> {
  const { members } = await memberStatuses(access);
  const chosen = only === undefined ? members : [findMember(members, only)];
  const ill = members.find(({ healthy }) => !healthy);
  if (ill) {
    throw new KinitError(
      'Validation',
      'etcd is not defragmented while a member is missing: it stops each for a while',
      {
        seen: `${ill.name || ill.id}: ${ill.error}`,
        advice: 'mend or remove that member first (kinit etcd status)',
      },
    );
  }
  for (const member of [...chosen].sort((a, b) => Number(a.leader) - Number(b.leader))) {
    signal.throwIfAborted();
    const [url] = member.clientUrls;
    const started = performance.now();
    await withEtcd(targetOf(access, url!), ({ maintenance }) =>
      maintenance.defragment({ deadline: Date.now() + defragTimeoutMs }),
    ).catch((error: unknown) => {
      throw new KinitError('Command', `defragmenting ${member.name} failed`, { seen: etcdMessage(error) });
    });
    const after = await allHealthy(access, member, signal);
    done({
      member: member.name,
      beforeBytes: member.dbSizeBytes ?? 0,
      afterBytes: after.dbSizeBytes ?? 0,
      ms: Math.round(performance.now() - started),
    });
  }
}

async function allHealthy(access: EtcdAccess, just: MemberStatus, signal: AbortSignal): Promise<MemberStatus> {
  let members: MemberStatus[] = [];
  await waitUntil(
    async () => {
      ({ members } = await memberStatuses(access));
      return members.every(({ healthy }) => healthy);
    },
    {
      timeoutMs: healthTimeoutMs,
      signal,
      failure: () =>
        new KinitError('Timeout', `not all members of etcd are healthy after ${just.name} was defragmented`, {
          seen: members
            .map(({ name, error }) => error && `${name}: ${error}`)
            .filter(Boolean)
            .join('\n'),
          advice: 'the others were left alone: look at kinit etcd status',
        }),
    },
  );
  return members.find(({ id }) => id === just.id) ?? just;
}

/** As etcd's protocol spells them. */
const alarmNames: Record<string, string> = { NOSPACE: 'Nospace', CORRUPT: 'Corrupt' };

/** @param only this kind @returns how many alarms there were */
export async function disarmAlarms(access: EtcdAccess, only?: 'NOSPACE'): Promise<number> {
  const { members } = await memberStatuses(access);
  const [endpoint] = healthyUrls(members);
  if (!endpoint) throw new KinitError('Connection', 'no member of etcd answers');
  let count = 0;
  for (const { id, alarms } of members) {
    for (const alarm of alarms) {
      if (only !== undefined && alarm !== only) continue;
      await withEtcd(targetOf(access, endpoint), ({ maintenance }) =>
        maintenance.alarm(
          { action: 'Deactivate' as never, memberID: decimalId(id), alarm: alarmNames[alarm] as never },
          { deadline: Date.now() + changeTimeoutMs },
        ),
      );
      count++;
    }
  }
  return count;
}
