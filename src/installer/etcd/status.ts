/** What every member of etcd says of itself, and what that means for the whole. */
import { etcdDataDir } from '../config/paths.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { exists, type Host } from '../host/host.ts';
import { noRoom } from '../host/no-room.ts';
import { type EtcdAccess, knownMembers, targetOf } from './access.ts';
import { etcdMessage, withEtcd } from './connection.ts';
import { hexId } from './members.ts';
import { describeQuorum, type Quorum, quorumOf } from './quorum.ts';
import { type ScheduleState, scheduleState } from './schedule-state.ts';

export interface MemberStatus {
  /** Hexadecimal, as etcdctl prints it. */
  id: string;
  name: string;
  peerUrls: string[];
  clientUrls: string[];
  learner: boolean;
  leader: boolean;
  healthy: boolean;
  /** Only of a member that answers. */
  version?: string;
  raftTerm?: number;
  raftIndex?: number;
  raftAppliedIndex?: number;
  dbSizeBytes?: number;
  dbSizeInUseBytes?: number;
  /** Of the status call. */
  latencyMs?: number;
  alarms: string[];
  /** Why it is not healthy. */
  error?: string;
}

export interface EtcdStatus {
  clusterId: string;
  external: boolean;
  members: MemberStatus[];
  quorum: Quorum & { verdict: string };
  /** Of this host, when there are any. */
  snapshots?: ScheduleState;
  /** What the owner should do something about. */
  problems: string[];
}

const callTimeoutMs = 5_000;

interface Answer {
  clusterId?: string;
  status: Partial<MemberStatus>;
  leaderId?: string;
}

async function ask(access: EtcdAccess, endpoint: string): Promise<Answer> {
  return withEtcd(targetOf(access, endpoint), async ({ maintenance }) => {
    // The first call also makes the connection, which says nothing about etcd.
    await maintenance.status({ deadline: Date.now() + callTimeoutMs });
    const started = performance.now();
    const answer = await maintenance.status({ deadline: Date.now() + callTimeoutMs });
    const latencyMs = Math.round((performance.now() - started) * 10) / 10;
    const { header, version, leader, raftTerm, raftIndex, raftAppliedIndex, dbSize, dbSizeInUse, errors } = answer;
    const noLeader = BigInt(leader) === 0n;
    return {
      clusterId: hexId(header.cluster_id),
      leaderId: hexId(leader),
      status: {
        healthy: !noLeader,
        version,
        raftTerm: Number(raftTerm),
        raftIndex: Number(raftIndex),
        raftAppliedIndex: Number(raftAppliedIndex),
        dbSizeBytes: Number(dbSize),
        dbSizeInUseBytes: Number(dbSizeInUse),
        latencyMs,
        ...(noLeader ? { error: 'it has no leader' } : errors.length ? { error: errors.join('; ') } : {}),
      },
    };
  });
}

/** Asks a member on each of its addresses until one answers. */
async function askMember(access: EtcdAccess, clientUrls: readonly string[]): Promise<Answer> {
  let seen = 'it has not started yet';
  for (const endpoint of clientUrls) {
    try {
      return await ask(access, endpoint);
    } catch (error) {
      seen = `${endpoint}: ${etcdMessage(error)}`;
    }
  }
  return { status: { healthy: false, error: seen } };
}

export interface Alarm {
  memberId: string;
  alarm: string;
}

export async function activeAlarms(access: EtcdAccess, endpoints: readonly string[]): Promise<Alarm[]> {
  for (const endpoint of endpoints) {
    try {
      const { alarms } = await withEtcd(targetOf(access, endpoint), ({ maintenance }) =>
        maintenance.alarm({ action: 'Get', memberID: 0, alarm: 'None' }, { deadline: Date.now() + callTimeoutMs }),
      );
      return alarms.map(({ memberID, alarm }) => ({ memberId: hexId(memberID), alarm: String(alarm).toUpperCase() }));
    } catch {
      // Alarms are read through raft: without a majority nobody can tell.
    }
  }
  return [];
}

/** The members as they are now; nothing of this host is looked at. */
export async function memberStatuses(access: EtcdAccess): Promise<{ clusterId: string; members: MemberStatus[] }> {
  const members = await knownMembers(access);
  const answers = await Promise.all(members.map(({ clientUrls }) => askMember(access, clientUrls)));
  const reachable = members.flatMap(({ clientUrls }, i) => (answers[i]?.status.healthy ? clientUrls : []));
  const alarms = await activeAlarms(access, reachable);
  const leaderId = answers.find((answer) => answer.status.healthy)?.leaderId;
  return {
    clusterId: answers.find((answer) => answer.clusterId)?.clusterId ?? '',
    members: members.map(({ id, name, peerUrls, clientUrls, learner }, i) => {
      const memberId = hexId(id);
      return {
        id: memberId,
        name,
        peerUrls,
        clientUrls,
        learner,
        leader: memberId === leaderId,
        healthy: false,
        ...answers[i]?.status,
        alarms: alarms.filter((alarm) => alarm.memberId === memberId).map(({ alarm }) => alarm),
      };
    }),
  };
}

/** Behind this many entries a member is told of; followers are always a little behind. */
const behind = 1_000;

export function problemsOf(members: readonly MemberStatus[], quorum: Quorum): string[] {
  const problems: string[] = [];
  if (!quorum.has) problems.push(`${describeQuorum(quorum)}; start the members again, or restore a snapshot`);
  const versions = new Set(members.flatMap(({ version }) => version ?? []));
  if (versions.size > 1) problems.push(`members run different versions: ${[...versions].sort().join(', ')}`);
  const newest = Math.max(...members.map(({ raftIndex }) => raftIndex ?? 0));
  for (const { id, name, learner, healthy, error, alarms, raftIndex, dbSizeBytes, dbSizeInUseBytes } of members) {
    const who = name || id;
    if (!healthy) problems.push(`${who} does not answer: ${error}`);
    if (learner && healthy) problems.push(`${who} is a learner without a vote: kinit etcd member promote ${who}`);
    for (const alarm of alarms) {
      problems.push(
        alarm === 'NOSPACE'
          ? `${who} has the alarm NOSPACE, etcd takes no writes: kinit doctor --fix makes room (by hand: kinit etcd defrag --compact, then kinit etcd alarm disarm)`
          : `${who} has the alarm ${alarm}`,
      );
    }
    if (healthy && raftIndex !== undefined && newest - raftIndex > behind) {
      problems.push(`${who} is ${newest - raftIndex} raft entries behind`);
    }
    if (dbSizeBytes && dbSizeInUseBytes && dbSizeBytes > 512 << 20 && dbSizeInUseBytes < dbSizeBytes / 2) {
      problems.push(`more than half of the database of ${who} is free space: kinit etcd defrag`);
    }
  }
  if (quorum.has && quorum.voters > 1 && quorum.voters % 2 === 0) {
    problems.push(
      `${quorum.voters} voting members bear no more losses than ${quorum.voters - 1}: add one, or remove one`,
    );
  }
  return problems;
}

/** A member whose disk is full ends, again and again. */
async function withDisk(host: Host, thrown: unknown): Promise<KinitError> {
  const error = asKinitError(thrown);
  if (!(await exists(host, `${etcdDataDir}/member`))) return error;
  const { details } = await noRoom(etcdDataDir);
  return new KinitError(error.code, error.message, {
    ...error.details,
    seen: [error.details.seen, details.seen && `${etcdDataDir}: ${details.seen}`].filter(Boolean).join('\n'),
  });
}

export async function etcdStatus(host: Host, access: EtcdAccess): Promise<EtcdStatus> {
  const { clusterId, members } = await memberStatuses(access).catch(async (thrown: unknown) => {
    throw access.external ? thrown : await withDisk(host, thrown);
  });
  const quorum = quorumOf(members);
  const snapshots = await scheduleState(host);
  return {
    clusterId,
    external: access.external,
    members,
    quorum: { ...quorum, verdict: describeQuorum(quorum) },
    ...(snapshots ? { snapshots } : {}),
    problems: [...problemsOf(members, quorum), ...(snapshots?.problem ? [snapshots.problem] : [])],
  };
}
