/** Changes that pods of a node do not survive: its pods move away before, and come again after. */
import type { Node } from '../../machinery/api/types.ts';
import { kubectl } from './cluster.ts';
import { quote } from './connection.ts';
import { type DrainOptions, drain } from './drain.ts';
import type { Fleet, Member } from './fleet.ts';
import type { FleetCommandOptions, Plan } from './plan.ts';

/** On a node that kinit has drained for a change of settings. */
const drainedAnnotation = 'kinit.local/drained';

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

/** Moves the pods away before a change that disturbs them, within their budgets. */
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
      step: 'drain',
      what: `kubectl drain ${host.nodeName}: ${why.join(', ')}`,
    });
    return work();
  }
  const node = quote(host.nodeName);
  const must = (what: string, words: string) => connection.must(what, `${kubectl} ${words}`, { signal });
  await fleet.step(name, 'drain', `Drain the node: ${why.join(', ')}`, async () => {
    const { spec } = JSON.parse(await must('reading the node', `get node ${node} -o json`)) as Node;
    // A node that somebody else has cordoned stays so.
    if (!spec?.unschedulable)
      await must('marking the node', `annotate node ${node} ${drainedAnnotation}=yes --overwrite`);
    return drain({ connection, nodeName: host.nodeName }, drainOptions(options), signal);
  });
  await work();
}

/** A node that kinit has drained takes pods again, also when the run that drained it was broken off. */
export async function openAgain(
  fleet: Fleet,
  { connection }: Member,
  { name, host }: Member,
  nodes: readonly Node[],
  signal: AbortSignal,
): Promise<void> {
  const node = nodes.find(({ metadata }) => metadata?.name === host.nodeName);
  if (node?.metadata?.annotations?.[drainedAnnotation] === undefined) return;
  const words = quote(host.nodeName);
  await fleet.step(name, 'uncordon', 'Let pods come again', async () => {
    const command = `${kubectl} uncordon ${words} && ${kubectl} annotate node ${words} ${drainedAnnotation}-`;
    await connection.must('uncordon', command, { signal });
    return { changed: true };
  });
}
