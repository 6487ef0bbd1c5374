/** Single nodes of a cluster, from a workstation: drained before maintenance, taken out, also when their machine is gone. */
import type { Node } from '../../machinery/api/types.ts';
import { asKinitError, KinitError } from '../errors.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { findNodes, isReady, kubectl } from './cluster.ts';
import { connectHost } from './connect-host.ts';
import { type Connection, quote } from './connection.ts';
import type { FleetSink, FleetStep } from './events.ts';
import { followJob, forgetJob, startJob } from './job.ts';
import { connectFirst, controlPlanesIn, type InventorySource, runThere } from './on-control-plane.ts';
import { openInventory } from './plan.ts';

export interface DrainOptions {
  /** Seconds that pods get to end; their own without it. */
  gracePeriodSeconds?: number;
  /** Go's notation: `5m`. */
  timeout: string;
  /** Pods whose data lies in an emptyDir are ended, too. */
  deleteEmptyDirData: boolean;
  /** Pods that nobody will start elsewhere are ended, too. */
  force: boolean;
}

export interface NodesOptions {
  source: InventorySource;
  signal: AbortSignal;
  events: FleetSink;
}

const controlPlaneLabel = 'node-role.kubernetes.io/control-plane';

interface Work {
  /** A control plane that is not the node itself, unless there is no other. */
  connection: Connection;
  node: Node;
  nodeName: string;
  /** Of the inventory; absent when the node is in no inventory any more. */
  host?: InventoryHost;
  nodes: Node[];
  step(step: FleetStep, title: string, run: () => Promise<Outcome>): Promise<void>;
}

interface Outcome {
  changed: boolean;
  detail?: string;
}

/** Finds the node by its name in the cluster or its host's name in the inventory, and a control plane to ask. */
async function onNode(name: string, given: NodesOptions, work: (work: Work) => Promise<void>): Promise<void> {
  const started = performance.now();
  let changed = false;
  let ok = false;
  const events: FleetSink = (event) => {
    if ('outcome' in event && event.outcome === 'changed') changed = true;
    given.events(event);
  };
  try {
    await findAndWork(name, { ...given, events }, work);
    ok = true;
  } finally {
    const ms = Math.round(performance.now() - started);
    const outcome = { ok, dryRun: false, changed, untouched: [], failed: ok ? [] : [name] };
    events({ type: 'fleet-ended', time: new Date().toISOString(), ms, ...outcome });
  }
}

async function findAndWork(name: string, options: NodesOptions, work: (work: Work) => Promise<void>): Promise<void> {
  const { source, signal } = options;
  const { limit: _, ...whole } = source;
  const planes = await controlPlanesIn(whole);
  const { inventory: inventoryPath, askPassphrase, hostKeyChecking, acceptHostKeys } = source;
  const policy = hostKeyChecking ?? (acceptHostKeys ? ('accept-new' as const) : undefined);
  const { hosts } = await openInventory({ inventoryPath, askPassphrase, hostKeyChecking: policy });
  const host = hosts.find((one) => one.name === name) ?? hosts.find(({ nodeName }) => nodeName === name);
  const nodeName = host?.nodeName ?? name;
  // The node's own host comes last: it may be about to go.
  const sorted = [...planes].sort((a, b) => Number(a.nodeName === nodeName) - Number(b.nodeName === nodeName));
  const { connection } = await connectFirst(sorted, signal, async (candidate) =>
    (await findNodes(candidate, signal)) ? undefined : 'its API server does not answer',
  );
  try {
    const nodes = (await findNodes(connection, signal)) ?? [];
    const node = nodes.find(({ metadata }) => metadata?.name === nodeName);
    if (!node) {
      const names = nodes.map(({ metadata }) => metadata?.name).join(', ');
      throw new KinitError('Usage', `there is no node "${nodeName}" in the cluster`, { seen: `nodes: ${names}` });
    }
    await work({ connection, node, nodeName, nodes, ...(host ? { host } : {}), step: stepper(nodeName, options) });
  } finally {
    connection.close();
  }
}

function stepper(host: string, { events }: NodesOptions): Work['step'] {
  return async (step, title, run) => {
    const started = performance.now();
    const time = () => new Date().toISOString();
    const ms = () => Math.round(performance.now() - started);
    events({ type: 'step-started', time: time(), host, step, title });
    try {
      const { changed, detail } = await run();
      const outcome = changed ? 'changed' : 'unchanged';
      events({ type: 'step-ended', time: time(), host, step, title, outcome, ms: ms(), ...(detail ? { detail } : {}) });
    } catch (error) {
      events({ type: 'step-ended', time: time(), host, step, title, outcome: 'failed', ms: ms() });
      throw error;
    }
  };
}

/** The words after `kubectl drain NODE`. */
export function drainWords({ gracePeriodSeconds, timeout, deleteEmptyDirData, force }: DrainOptions): string[] {
  return [
    '--ignore-daemonsets',
    `--timeout=${timeout}`,
    ...(gracePeriodSeconds === undefined ? [] : [`--grace-period=${gracePeriodSeconds}`]),
    ...(deleteEmptyDirData ? ['--delete-emptydir-data'] : []),
    ...(force ? ['--force'] : []),
  ];
}

/** @param stays false: whoever asks lets pods come again when it fails */
export async function drain(
  { connection, nodeName }: Pick<Work, 'connection' | 'nodeName'>,
  options: DrainOptions,
  signal: AbortSignal,
  stays = true,
): Promise<Outcome> {
  const words = ['drain', nodeName, ...drainWords(options)].map(quote).join(' ');
  const { code, stdout, stderr } = await connection.root(`${kubectl} ${words}`, { signal, timeoutMs: 0 });
  if (code !== 0) {
    throw new KinitError('Command', `the node ${nodeName} cannot be drained${stays ? '; it stays cordoned' : ''}`, {
      host: connection.host,
      seen: stderr.trim() || stdout.trim(),
      advice: `a budget (PodDisruptionBudget) may forbid it for now; --delete-emptydir-data and ${stays ? '--force' : '--drain-force'} end pods that are left alone otherwise${stays ? '; take it back with: kinit nodes uncordon' : ''}`,
    });
  }
  const ended = stdout.split('\n').filter((line) => /^pod\/\S+ (evicted|deleted)/.test(line)).length;
  return { changed: true, detail: `${ended} pod${ended === 1 ? '' : 's'} moved on` };
}

/** Cordons the node and moves its pods on, within their budgets. */
export function drainNode(name: string, drainOptions: DrainOptions, options: NodesOptions): Promise<void> {
  return onNode(name, options, (work) =>
    work.step('drain', 'Drain the node', () => drain(work, drainOptions, options.signal)),
  );
}

export function uncordonNode(name: string, options: NodesOptions): Promise<void> {
  return onNode(name, options, ({ connection, node, nodeName, step }) =>
    step('uncordon', 'Let pods come again', async () => {
      const changed = node.spec?.unschedulable ?? false;
      if (changed) await connection.must('uncordon', `${kubectl} uncordon ${quote(nodeName)}`, options);
      return { changed };
    }),
  );
}

export interface RemoveOptions extends DrainOptions {
  /** The machine is gone for good: it is not asked to reset itself. */
  dead: boolean;
}

/** Takes a node out of the cluster: drained, its host reset, its member of etcd and its object removed. */
export function removeNode(name: string, remove: RemoveOptions, options: NodesOptions): Promise<void> {
  const { signal } = options;
  return onNode(name, options, async (work) => {
    const { connection, node, nodeName, nodes, host, step } = work;
    const isControlPlane = controlPlaneLabel in (node.metadata?.labels ?? {});
    const planes = nodes.filter(({ metadata }) => controlPlaneLabel in (metadata?.labels ?? {}));
    if (isControlPlane && planes.length === 1) {
      throw new KinitError('Usage', `${nodeName} is the only control plane; without it there is no cluster`, {
        advice: 'join another one first, or end the cluster with kinit reset --inventory',
      });
    }
    // Asked before anything is done: a host that is away must be known to be gone for good.
    const target = remove.dead ? undefined : await reach(host, nodeName, signal);
    try {
      if (isReady(node)) await step('drain', 'Drain the node', () => drain(work, remove, signal));
      if (target) {
        await step('reset', 'Reset the host', () => resetOn(target, host as InventoryHost, options));
      } else if (isControlPlane) {
        await step('etcd-member', 'Remove its member of etcd', () => removeMember(connection, nodeName, signal));
      }
      await step('node', 'Remove the node from the cluster', async () => {
        const gone = await connection.must(
          'removing the node',
          `${kubectl} delete node ${quote(nodeName)} --ignore-not-found`,
          { signal },
        );
        return { changed: gone.includes('deleted') };
      });
    } finally {
      target?.close();
    }
  });
}

async function reach(host: InventoryHost | undefined, nodeName: string, signal: AbortSignal): Promise<Connection> {
  const advice = `if its machine is gone for good: kinit nodes remove ${nodeName} --dead`;
  if (!host) throw new KinitError('Usage', `the node ${nodeName} is not in the inventory`, { advice });
  try {
    return await connectHost(host, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message, details } = asKinitError(thrown, { host: host.name });
    throw new KinitError(code, message, { ...details, advice });
  }
}

async function resetOn(connection: Connection, host: InventoryHost, options: NodesOptions): Promise<Outcome> {
  const { signal, events } = options;
  let current = connection;
  const job = await startJob(current, { command: 'reset', arguments: ['--force'] }, signal);
  const ended = await followJob(current, job, {
    signal,
    events: (event) => events({ ...event, host: host.name }),
    reconnect: async () => {
      current.close();
      current = await connectHost(host, signal);
      return current;
    },
  });
  await forgetJob(current, job);
  if (current !== connection) current.close();
  if (ended.ok) return { changed: true };
  const { code, message, phase, seen, advice } = ended.error;
  const details = { ...(phase ? { phase } : {}), ...(seen ? { seen } : {}), ...(advice ? { advice } : {}) };
  throw new KinitError(code, message, { host: host.name, ...details });
}

async function removeMember(connection: Connection, nodeName: string, signal: AbortSignal): Promise<Outcome> {
  const members = JSON.parse(await runThere(connection, ['etcd', 'member', 'list', '--output', 'json'], signal)) as {
    name: string;
  }[];
  if (!members.some(({ name }) => name === nodeName)) return { changed: false, detail: 'it has none' };
  await runThere(connection, ['etcd', 'member', 'remove', nodeName], signal);
  return { changed: true };
}
