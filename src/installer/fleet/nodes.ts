/** Single nodes of a cluster, from a workstation: drained before maintenance, taken out, also when their machine is gone. */
import type { Node } from '../../machinery/api/types.ts';
import { KinitError } from '../errors.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { findNodes, kubectl } from './cluster.ts';
import { type Connection, quote } from './connection.ts';
import { type DrainOptions, drain } from './drain.ts';
import type { FleetSink, FleetStep } from './events.ts';
import { connectFirst, controlPlanesIn, type InventorySource, whyNoApi } from './on-control-plane.ts';
import { openInventory } from './plan.ts';
import { checkQuorum, isControlPlaneNode, type Outcome, reach, takeOut } from './take-out.ts';

export interface NodesOptions {
  source: InventorySource;
  signal: AbortSignal;
  events: FleetSink;
}

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
  const { connection } = await connectFirst(sorted, signal, (candidate) => whyNoApi(candidate, signal));
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
  const { signal, events } = options;
  const { dead, ...draining } = remove;
  return onNode(name, options, async ({ connection, node, nodeName, nodes, host, step }) => {
    const isControlPlane = isControlPlaneNode(node);
    if (isControlPlane && nodes.filter(isControlPlaneNode).length === 1) {
      throw new KinitError('Usage', `${nodeName} is the only control plane; without it there is no cluster`, {
        advice: 'join another one first, or end the cluster with kinit reset --inventory',
      });
    }
    if (isControlPlane) await checkQuorum(connection, nodeName, signal);
    // Asked before anything is done: a host that is away must be known to be gone for good.
    const target = dead
      ? undefined
      : await reach(host, nodeName, `kinit nodes remove ${nodeName} --dead`, { signal, events });
    try {
      const leaving = { connection, node, nodeName, isControlPlane, gone: false, draining, signal, events, step };
      await takeOut({ ...leaving, ...(target ? { target } : {}) });
    } finally {
      target?.connection.close();
    }
  });
}
