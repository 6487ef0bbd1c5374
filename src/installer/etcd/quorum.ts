/** How many members etcd needs, and what becomes of that when one goes. */

export interface Voter {
  id: string;
  learner: boolean;
  healthy: boolean;
}

export interface Quorum {
  voters: number;
  /** More than half of the voters. */
  needed: number;
  healthy: number;
  /** etcd takes writes. */
  has: boolean;
  /** How many more may be lost. */
  spare: number;
}

export function quorumOf(members: readonly Voter[]): Quorum {
  const voters = members.filter(({ learner }) => !learner);
  const needed = Math.floor(voters.length / 2) + 1;
  const healthy = voters.filter((voter) => voter.healthy).length;
  return { voters: voters.length, needed, healthy, has: healthy >= needed, spare: Math.max(0, healthy - needed) };
}

/** The quorum without one of the members. */
export const quorumWithout = (members: readonly Voter[], id: string): Quorum =>
  quorumOf(members.filter((member) => member.id !== id));

/** One sentence. */
export function describeQuorum({ voters, needed, healthy, has, spare }: Quorum): string {
  const state = `${healthy} of ${voters} voting ${voters === 1 ? 'member answers' : 'members answer'}, ${needed} ${needed === 1 ? 'is' : 'are'} needed`;
  if (!has) return `${state}: etcd takes no writes`;
  if (spare === 0) return `${state}: none may be lost`;
  return `${state}: ${spare} may be lost`;
}

/**
 * Why a member must not be removed.
 * @returns undefined when it may be
 */
export function removalDanger(members: readonly Voter[], id: string): string | undefined {
  const member = members.find((one) => one.id === id);
  if (!member) return undefined;
  const now = quorumOf(members);
  if (members.length === 1) return 'it is the last member';
  if (member.learner) return undefined;
  const then = quorumWithout(members, id);
  if (then.voters === 0) return 'no voting member would be left';
  if (!then.has) return `without it ${describeQuorum(then)}`;
  if (member.healthy && then.spare === 0 && now.spare > 0 && then.voters > 1) {
    return `it works, and without it ${describeQuorum(then)}`;
  }
  return undefined;
}
