/** A node leaves the cluster: drained, its host reset, its member of etcd, its object, lease and pods gone. */
import type { Node } from '../../machinery/api/types.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { describeQuorum, quorumOf, type Voter } from '../etcd/quorum.ts';
import type { EtcdStatus } from '../etcd/status.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { findNodes, isReady, kubectl } from './cluster.ts';
import { connectLasting } from './connect-host.ts';
import { type Connection, quote } from './connection.ts';
import { type DrainOptions, drain } from './drain.ts';
import type { FleetSink, FleetStep } from './events.ts';
import { failureOf, followJob, forgetJob, startJob } from './job.ts';
import { connectingAgain, type LastingConnection } from './lasting-connection.ts';
import { runThere } from './on-control-plane.ts';

export interface Outcome {
  changed: boolean;
  detail?: string;
}

/** A host that can be asked to reset itself. */
export interface Reached {
  host: InventoryHost;
  connection: LastingConnection;
}

export interface Leaving {
  /** Of a control plane that stays. */
  connection: Connection;
  nodeName: string;
  /** Absent when it is gone already. */
  node: Node | undefined;
  isControlPlane: boolean;
  /** Its host, while kinit can still reset it. */
  target?: Reached;
  /** Nothing runs there any more: its pods need not be waited for. */
  gone: boolean;
  draining: DrainOptions;
  signal: AbortSignal;
  events: FleetSink;
  step(step: FleetStep, title: string, run: () => Promise<Outcome>): Promise<unknown>;
}

export const controlPlaneLabel = 'node-role.kubernetes.io/control-plane';
export const isControlPlaneNode = ({ metadata }: Node): boolean => controlPlaneLabel in (metadata?.labels ?? {});

/** The API server marks a node after 40 s without a word of its kubelet. */
const silenceMs = 90_000;

export async function takeOut(leaving: Leaving): Promise<void> {
  const { connection, nodeName, node, isControlPlane, target, gone, draining, signal, step } = leaving;
  if (node && isReady(node) && !gone) {
    if (target) await step('drain', 'Drain the node', () => drain({ connection, nodeName }, draining, signal));
    else await step('silence', 'Wait until nothing is heard of it', () => silent(connection, nodeName, signal));
  }
  if (target) {
    await step('reset', 'Reset the host', () => resetOn(target, leaving));
  } else if (isControlPlane) {
    await step('etcd-member', 'Remove its member of etcd', () => removeMember(connection, nodeName, signal));
  }
  await step('node', 'Remove the node from the cluster', async () => {
    const must = (what: string, command: string) =>
      connection.must(`removing the ${what}`, `${kubectl} ${command}`, { signal });
    const name = quote(nodeName);
    const removed = await must('node', `delete node ${name} --ignore-not-found`);
    await must('lease of the node', `-n kube-node-lease delete lease ${name} --ignore-not-found`);
    // Nobody is there who would end them.
    const pods = await must(
      'pods of the node',
      `delete pods -A --field-selector ${quote(`spec.nodeName=${nodeName}`)} --force --grace-period=0 --wait=false 2>/dev/null`,
    );
    const count = pods.split('\n').filter((line) => line.includes('deleted')).length;
    const detail = count ? { detail: `${count} pod${count === 1 ? '' : 's'} with it` } : {};
    return { changed: removed.includes('deleted') || count > 0, ...detail };
  });
}

/** @throws KinitError when its kubelet reports again and again: then it is not gone */
async function silent(connection: Connection, nodeName: string, signal: AbortSignal): Promise<Outcome> {
  const deadline = Date.now() + silenceMs;
  for (;;) {
    const nodes = (await findNodes(connection, signal)) ?? [];
    const node = nodes.find(({ metadata }) => metadata?.name === nodeName);
    if (!node || !isReady(node)) return { changed: false };
    if (Date.now() > deadline) {
      throw new KinitError('Validation', `the node ${nodeName} is not dead: its kubelet still reports`, {
        seen: `Ready after ${silenceMs / 1000} s`,
        advice: 'leave --dead away: it is drained and its host reset; or turn the machine off first',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** @param command what to type when its machine is gone for good */
export async function reach(
  host: InventoryHost | undefined,
  nodeName: string,
  command: string,
  { signal, events }: Pick<Leaving, 'signal' | 'events'>,
): Promise<Reached> {
  const advice = `if its machine is gone for good: ${command}`;
  if (!host) throw new KinitError('Usage', `the node ${nodeName} is not in the inventory`, { advice });
  try {
    const lost = () => tellLost(host.name, events);
    return { host, connection: await connectLasting(host, { signal, lost }) };
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message, details } = asKinitError(thrown, { host: host.name });
    throw new KinitError(code, message, { ...details, advice });
  }
}

function tellLost(host: string, events: FleetSink): void {
  events({ type: 'warning', time: new Date().toISOString(), host, message: connectingAgain });
}

async function resetOn(target: Reached, { signal, events }: Pick<Leaving, 'signal' | 'events'>): Promise<Outcome> {
  const { connection } = target;
  const { name } = target.host;
  const job = await startJob(connection, { command: 'reset', arguments: ['--force'] });
  const ended = await followJob(connection, job, {
    signal,
    events: (event) => events({ ...event, host: name }),
    lost: () => tellLost(name, events),
  });
  await forgetJob(connection, job);
  if (!ended.ok) throw failureOf(ended, name);
  return { changed: true };
}

type KnownMember = Voter & { name: string };

async function etcdThere(connection: Connection, signal: AbortSignal): Promise<KnownMember[]> {
  const status = JSON.parse(await runThere(connection, ['etcd', 'status', '--output', 'json'], signal)) as EtcdStatus;
  return status.external ? [] : status.members;
}

async function removeMember(connection: Connection, nodeName: string, signal: AbortSignal): Promise<Outcome> {
  const members = await etcdThere(connection, signal);
  if (!members.some(({ name }) => name === nodeName)) return { changed: false, detail: 'it has none' };
  await runThere(connection, ['etcd', 'member', 'remove', nodeName], signal);
  return { changed: true };
}

/**
 * Why etcd does not bear that a control plane leaves.
 * @param joinsBefore another member is there by then
 */
export function lossOf(members: readonly KnownMember[], nodeName: string, joinsBefore: boolean): string | undefined {
  const leaving = members.find(({ name }) => name === nodeName);
  if (!leaving || leaving.learner) return undefined;
  const others = members.filter((member) => member !== leaving);
  const newcomer = { id: '', learner: false, healthy: true };
  const then = quorumOf(joinsBefore ? [...others, newcomer] : others);
  return then.has ? undefined : describeQuorum(then);
}

/** @throws KinitError before anything is changed, when etcd would stop */
export async function checkQuorum(
  connection: Connection,
  nodeName: string,
  signal: AbortSignal,
  { joinsBefore = false } = {},
): Promise<void> {
  const members = await etcdThere(connection, signal);
  const loss = lossOf(members, nodeName, joinsBefore);
  if (loss === undefined) return;
  const silentOnes = members.filter(({ name, healthy }) => !healthy && name !== nodeName).map(({ name }) => name);
  throw new KinitError('Validation', `${nodeName} cannot be taken out: etcd would lose its majority`, {
    seen: `without it ${loss}`,
    advice: `bring ${silentOnes.join(' and ') || 'the other members'} back first, or take out what is dead for good; nothing was changed`,
  });
}
