/** From what was seen of etcd to what is wrong with it. */
import { describeQuorum } from '../etcd/quorum.ts';
import { describeFill, isOutOfSpace, megabytes } from '../etcd/space.ts';
import type { MemberStatus } from '../etcd/status.ts';
import type { EtcdObservation, Problem } from './types.ts';

type Found = Omit<Problem, 'where'>;
type Judge = (etcd: EtcdObservation) => Found[];

/** Of the quota; above it the API server can still tell of everything. */
const fullPercent = 80;
/** Entries; followers are always a little behind. */
const behindLimit = 1_000;
/** etcd's members expect each other's words every 100 ms, and elect anew after a second. */
const slowAnswerMs = 500;
const worthDefragmenting = 512 << 20;

const whoIs = ({ name, id }: MemberStatus) => name || id;

const silence: Judge = ({ error }) =>
  error === undefined
    ? []
    : [
        {
          id: 'etcd-silent',
          level: 'error',
          message: 'etcd does not answer',
          seen: error,
          advice: 'on its host, look at: /var/log/pods/kube-system_etcd-*; journalctl -u kubelet -n 50',
        },
      ];

const quorum: Judge = ({ error, members, quorum: seen }) => {
  if (error !== undefined || seen.has) return [];
  const lost = members.filter(({ healthy, learner }) => !healthy && !learner);
  return [
    {
      id: 'etcd-no-quorum',
      level: 'error',
      message: describeQuorum(seen),
      seen: lost.map((member) => `${whoIs(member)}: ${member.error ?? 'no answer'}`).join('\n'),
      advice: `start ${lost.map(whoIs).join(' and ')} again; if they are gone for good: kinit etcd restore SNAPSHOT --force`,
    },
  ];
};

const silentMembers: Judge = ({ members, quorum: seen }) =>
  seen.has
    ? members
        .filter(({ healthy }) => !healthy)
        .map((member) => ({
          id: 'etcd-member-silent',
          level: seen.spare === 0 && !member.learner ? 'error' : 'warning',
          message: `${whoIs(member)} of etcd does not answer; ${describeQuorum(seen)}`,
          seen: member.error ?? 'no answer',
          advice: `start it again; if its machine is gone for good: kinit nodes replace ${whoIs(member)} --with NEW-HOST --dead -i INVENTORY`,
        }))
    : [];

const damage: Judge = ({ members }) =>
  members.flatMap((member) =>
    member.alarms
      .filter((alarm) => alarm !== 'NOSPACE')
      .map(
        (alarm): Found => ({
          id: 'etcd-alarm',
          level: 'error',
          message: `${whoIs(member)} of etcd has the alarm ${alarm}`,
          advice: 'its data differ from the others: replace it (kinit nodes replace), or restore a snapshot',
        }),
      ),
  );

/** One member's alarm keeps all of them from writing. */
const outOfSpace: Judge = ({ members, quotaBytes }) => {
  const full = members.filter(isOutOfSpace);
  if (!full.length) return [];
  const told = {
    id: 'etcd-alarm',
    level: 'error',
    message: `${full.map(whoIs).join(', ')} of etcd ${full.length === 1 ? 'has' : 'have'} the alarm NOSPACE: etcd takes no writes`,
    seen: members.map((member) => `${whoIs(member)}: ${describeFill(member, quotaBytes)}`).join('\n'),
  } as const;
  // Of an etcd that is elsewhere nobody here knows the quota.
  if (!quotaBytes) {
    return [{ ...told, advice: 'make room there: kinit etcd defrag --compact; kinit etcd alarm disarm' }];
  }
  return [
    {
      ...told,
      advice: 'compact and defragment it, then disarm the alarm',
      fix: 'etcd-space',
    },
  ];
};

const space: Judge = ({ members, quotaBytes }) =>
  members.flatMap((member): Found[] => {
    const { dbSizeBytes = 0, dbSizeInUseBytes = dbSizeBytes } = member;
    if (isOutOfSpace(member)) return [];
    const percent = quotaBytes ? Math.round((dbSizeBytes / quotaBytes) * 100) : 0;
    const mostlyFree = dbSizeInUseBytes < dbSizeBytes / 2;
    if (percent >= fullPercent && quotaBytes) {
      return [
        {
          id: 'etcd-space',
          level: 'warning',
          message: `the database of ${whoIs(member)} has ${percent} % of its ${megabytes(quotaBytes)}; at 100 % etcd takes no writes`,
          seen: describeFill(member),
          advice: mostlyFree
            ? 'give the free part back: kinit etcd defrag'
            : "look at what fills it: kubectl get --raw /metrics | grep apiserver_resource_objects; or raise etcd's quota-backend-bytes (extraArgs)",
        },
      ];
    }
    if (!mostlyFree || dbSizeBytes < worthDefragmenting) return [];
    return [
      {
        id: 'etcd-fragmented',
        level: 'warning',
        message: `more than half of the database of ${whoIs(member)} is free space`,
        seen: describeFill(member),
        advice: 'kinit etcd defrag',
      },
    ];
  });

const learners: Judge = ({ members }) =>
  members
    .filter(({ learner, healthy }) => learner && healthy)
    .map((member) => ({
      id: 'etcd-learner',
      level: 'warning',
      message: `${whoIs(member)} is a learner of etcd: it has no vote yet`,
      advice: `a join that was broken off goes on with kinit up; otherwise: kinit etcd member promote ${whoIs(member)}`,
    }));

const lag: Judge = ({ members }) => {
  const newest = Math.max(0, ...members.map(({ raftIndex }) => raftIndex ?? 0));
  return members
    .filter(({ healthy, raftIndex }) => healthy && raftIndex !== undefined && newest - raftIndex > behindLimit)
    .map((member) => ({
      id: 'etcd-behind',
      level: 'warning',
      message: `${whoIs(member)} of etcd is ${newest - (member.raftIndex ?? 0)} entries behind the others`,
      advice: 'look at its disk (dd, iostat) and at the network between the control planes',
    }));
};

const slowness: Judge = ({ members }) =>
  members
    .filter(({ healthy, latencyMs = 0 }) => healthy && latencyMs > slowAnswerMs)
    .map((member) => ({
      id: 'etcd-slow',
      level: 'warning',
      message: `${whoIs(member)} of etcd took ${Math.round(member.latencyMs ?? 0)} ms to answer`,
      advice: 'look at the load of its host (top) and at its disk; etcd wants one that others leave alone',
    }));

const judges: readonly Judge[] = [silence, quorum, silentMembers, damage, outOfSpace, space, learners, lag, slowness];

export function judgeEtcd(etcd: EtcdObservation): Problem[] {
  return judges.flatMap((judge) => judge(etcd)).map((problem) => ({ where: 'cluster', ...problem }));
}
