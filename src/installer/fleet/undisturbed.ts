/** Changes that pods of a node do not survive: its pods move away before, and come again after. */
import { kubectl } from './cluster.ts';
import { quote } from './connection.ts';
import { type DrainOptions, drain } from './drain.ts';
import type { Fleet, Member } from './fleet.ts';
import type { FleetCommandOptions, Plan } from './plan.ts';

export const drainOptions = ({ drainTimeout = '5m' }: Pick<FleetCommandOptions, 'drainTimeout'>): DrainOptions => ({
  timeout: drainTimeout,
  deleteEmptyDirData: false,
  force: false,
});

/** What of a node's settings cannot change under pods that run: how containers are stored, and in which cgroups. */
export function disturbs({ host, facts }: Pick<Member, 'host' | 'facts'>, { given }: Pick<Plan, 'given'>): string[] {
  if (!facts.isNode) return [];
  const { cgroupDriver = 'auto', snapshotter = 'auto' } = { ...given.HostConfiguration, ...host.settings };
  const { runtime } = facts;
  return [
    ...(snapshotter !== 'auto' && runtime?.snapshotter && runtime.snapshotter !== snapshotter
      ? [`snapshotter ${runtime.snapshotter} becomes ${snapshotter}`]
      : []),
    ...(cgroupDriver !== 'auto' && runtime?.cgroupDriver && runtime.cgroupDriver !== cgroupDriver
      ? [`cgroup driver ${runtime.cgroupDriver} becomes ${cgroupDriver}`]
      : []),
  ];
}

/** Moves the pods away before a change that disturbs them, within their budgets, and lets them come again after it. */
export async function undisturbed(
  fleet: Fleet,
  asked: Member | undefined,
  member: Member,
  plan: Plan,
  options: FleetCommandOptions,
  work: () => Promise<void>,
): Promise<void> {
  const why = asked ? disturbs(member, plan) : [];
  if (!asked || !why.length) return work();
  const { signal, dryRun } = options;
  const { name, host } = member;
  const { connection } = asked;
  if (dryRun) {
    fleet.emit({
      type: 'planned',
      host: name,
      action: 'run',
      what: `kubectl drain ${host.nodeName}: ${why.join(', ')}`,
    });
    return work();
  }
  await fleet.step(name, 'drain', `Drain the node: ${why.join(', ')}`, () =>
    drain({ connection, nodeName: host.nodeName }, drainOptions(options), signal),
  );
  await work();
  await fleet.step(name, 'uncordon', 'Let pods come again', async () => {
    await connection.must('uncordon', `${kubectl} uncordon ${quote(host.nodeName)}`, { signal });
    return { changed: true };
  });
}
