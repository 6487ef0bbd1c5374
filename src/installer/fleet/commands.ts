/** The commands over an inventory: init, join, up, reset. */
import type { Node } from '../../machinery/api/types.ts';
import { transferFolder } from '../bundle/run-file.ts';
import { bundlePaths, kubeconfigPaths, linkDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { createJoinSecret, ensureLabels, fetchKubeconfig, findNodes, waitForNodes } from './cluster.ts';
import { initDocuments, type JoinSecret, joinByFileDocuments, joinDocuments } from './documents.ts';
import type { FleetSink } from './events.ts';
import { fleetError, type HostFailure } from './failures.ts';
import { Fleet, type Member } from './fleet.ts';
import { controlPlaneOf, type FleetCommandOptions, isControlPlane, type Plan, planOf, serverFor } from './plan.ts';
import { hasBundle } from './ship.ts';

export type { FleetCommandOptions } from './plan.ts';

export interface UpOptions extends FleetCommandOptions {
  /** Where the administrator's kubeconfig goes on the workstation. */
  kubeconfigOut: string;
}

export interface JoinOptions extends FleetCommandOptions {
  /** Given on the command line; otherwise the control plane makes one. */
  secret?: JoinSecret;
}

export interface FleetResult {
  changed: boolean;
  /** All nodes of the cluster, after `up`. */
  nodes: Node[];
}

/** Opens the fleet, runs the work, and tells how it ended, whatever happens. */
async function inFleet(
  hosts: readonly InventoryHost[],
  options: FleetCommandOptions,
  work: (fleet: Fleet) => Promise<Node[]>,
  open: { needsRoom?: boolean } = {},
): Promise<FleetResult> {
  const started = performance.now();
  let fleet: Fleet | undefined;
  const failed = new Set<string>();
  const events: FleetSink = (event) => {
    if (event.type === 'host-failed') failed.add(event.host);
    options.events(event);
  };
  let ok = false;
  try {
    fleet = await Fleet.open(hosts, { ...options, events }, open);
    const nodes = await work(fleet);
    ok = true;
    return { changed: fleet.changed.size > 0, nodes };
  } finally {
    const changed = fleet?.changed ?? new Set<string>();
    events({
      type: 'fleet-ended',
      time: new Date().toISOString(),
      ok,
      dryRun: options.dryRun ?? false,
      changed: changed.size > 0,
      ms: Math.round(performance.now() - started),
      untouched: hosts.map(({ name }) => name).filter((name) => !changed.has(name) && !failed.has(name)),
      failed: [...failed],
    });
    fleet?.close();
  }
}

/** What a failure means for the hosts that did not fail. */
function others(fleet: Fleet, failures: readonly HostFailure[], joined: readonly string[]): string | undefined {
  const texts = fleet.members
    .filter(({ name }) => !failures.some(({ host }) => host === name))
    .map(({ name }) => {
      if (joined.includes(name)) return `${name} is done`;
      return fleet.changed.has(name)
        ? `${name} has the bundle and nothing else was changed there`
        : `${name} was not changed`;
    });
  return texts.length ? texts.join('; ') : undefined;
}

const argumentsOf = ({ arguments: given = [], dryRun }: FleetCommandOptions) => [
  ...given,
  ...(dryRun ? ['--dry-run'] : []),
];

/** A dry run changes nothing, not even by copying the bundle: without it there is only this to say. */
function planned(fleet: Fleet, { name, facts }: Member, command: string): boolean {
  if (hasBundle(facts, fleet.bundle)) return false;
  const what = `the bundle to the host, and run kinit ${command}`;
  fleet.emit({ type: 'planned', host: name, action: 'copy', what });
  return true;
}

async function initOn(fleet: Fleet, member: Member, plan: Plan, options: FleetCommandOptions): Promise<void> {
  if (options.dryRun && planned(fleet, member, 'init')) return;
  const config = initDocuments(plan.inventory, member.host, member.facts, plan.given);
  await fleet.run(member, { command: 'init', arguments: argumentsOf(options), config });
}

async function joinOn(
  fleet: Fleet,
  member: Member,
  plan: Plan,
  options: FleetCommandOptions,
  secret: JoinSecret | undefined,
): Promise<void> {
  if (options.dryRun && planned(fleet, member, 'join')) return;
  const { host, facts } = member;
  // A node finds its cluster again by its own kubeconfig; no token is needed.
  const config =
    facts.isNode || !secret
      ? joinByFileDocuments(host, facts, kubeconfigPaths.kubelet, plan.given)
      : joinDocuments(host, facts, secret, plan.given);
  await fleet.run(member, { command: 'join', arguments: argumentsOf(options), config });
}

async function secretFor(fleet: Fleet, controlPlane: Member, signal: AbortSignal): Promise<JoinSecret> {
  let secret: JoinSecret | undefined;
  await fleet.step(controlPlane.name, 'token', 'Create a token for joining', async () => {
    secret = await createJoinSecret(controlPlane.connection, signal);
    return { changed: true };
  });
  return secret as unknown as JoinSecret;
}

/** `kinit init --inventory`: makes the control plane. */
export async function initFleet(options: FleetCommandOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  const host = controlPlaneOf(plan);
  return inFleet([host], options, async (fleet) => {
    const { failures } = await fleet.all(fleet.members, async (member) => {
      if (!options.dryRun) await fleet.supply(member);
      await initOn(fleet, member, plan, options);
    });
    if (failures.length) throw fleetError(failures, undefined);
    return [];
  });
}

/** `kinit join --inventory`: joins the workers to the control plane of the inventory, or to the one that is named. */
export async function joinFleet(options: JoinOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  const workers = plan.hosts.filter((host) => !isControlPlane(host));
  if (workers.length === 0) throw new KinitError('Usage', `there is no worker to join in ${plan.inventory.path}`);
  const asks = options.secret === undefined && !options.dryRun;
  const controlPlane = asks ? controlPlaneOf(plan) : undefined;
  return inFleet([...(controlPlane ? [controlPlane] : []), ...workers], options, async (fleet) => {
    const members = fleet.members.filter(({ host }) => !isControlPlane(host));
    let secret = options.secret;
    if (controlPlane && members.some(({ facts }) => !facts.isNode)) {
      const member = fleet.member(controlPlane.name);
      if (!member.facts.isControlPlane) {
        throw new KinitError('Preflight', 'this host is no control plane yet', {
          host: member.name,
          advice: 'run kinit init --inventory first, or kinit up; nothing was changed',
        });
      }
      secret = await secretFor(fleet, member, options.signal);
    }
    const { done, failures } = await fleet.all(members, async (member) => {
      if (!options.dryRun) await fleet.supply(member);
      await joinOn(fleet, member, plan, options, secret);
    });
    if (failures.length) throw fleetError(failures, others(fleet, failures, [...done.keys()]));
    return [];
  });
}

/** `kinit up`: a control plane, workers, all Ready, and a kubeconfig; again and again with the same result. */
export async function upFleet(options: UpOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  const controlPlane = controlPlaneOf(plan);
  const hosts = plan.hosts.includes(controlPlane) ? plan.hosts : [controlPlane, ...plan.hosts];
  return inFleet(hosts, options, async (fleet) => {
    const { signal, dryRun } = options;
    const first = fleet.member(controlPlane.name);
    const needsToken = fleet.members.some(({ facts, host }) => !facts.isNode && !isControlPlane(host));
    const ready = Promise.withResolvers<JoinSecret | undefined>();
    ready.promise.catch(() => undefined);
    const notMade = new KinitError('Command', 'the control plane was not made');
    const waitsInVain = new Set<string>();
    const outcomes = await fleet.all(fleet.members, async (member) => {
      if (member === first) {
        try {
          if (!dryRun) await fleet.supply(member);
          await initOn(fleet, member, plan, options);
          ready.resolve(needsToken && !dryRun ? await secretFor(fleet, member, signal) : undefined);
        } catch (error) {
          ready.reject(notMade);
          throw error;
        }
        return;
      }
      if (!dryRun) await fleet.supply(member);
      const secret = await ready.promise.catch(() => {
        waitsInVain.add(member.name);
      });
      if (!waitsInVain.has(member.name)) await joinOn(fleet, member, plan, options, secret as JoinSecret | undefined);
    });
    const joined = [...outcomes.done.keys()].filter((name) => !waitsInVain.has(name));
    if (outcomes.failures.length) throw fleetError(outcomes.failures, others(fleet, outcomes.failures, joined));
    if (dryRun) return [];
    return finishUp(fleet, first, plan, options);
  });
}

async function finishUp(fleet: Fleet, first: Member, plan: Plan, options: UpOptions): Promise<Node[]> {
  const { signal, kubeconfigOut } = options;
  await fleet.step(first.name, 'kubeconfig', `Write ${kubeconfigOut}`, async () => ({
    changed: await fetchKubeconfig(first.connection, kubeconfigOut, serverFor(first, plan), signal),
  }));
  const names = fleet.members.map(({ host }) => host.nodeName);
  let nodes: Node[] = [];
  await fleet.step(first.name, 'ready', 'Wait until all nodes are Ready', async () => {
    nodes = await waitForNodes(first.connection, names, signal, () => undefined);
    return { changed: false };
  });
  await fleet.step(first.name, 'labels', 'Label the nodes', async () => {
    const hosts = fleet.members.map(({ host }) => host);
    const changed = await ensureLabels(first.connection, hosts, nodes, signal);
    if (changed.length) nodes = (await findNodes(first.connection, signal)) ?? nodes;
    return { changed: changed.length > 0, ...(changed.length ? { detail: changed.join(', ') } : {}) };
  });
  return nodes;
}

/** `kinit reset --inventory`: workers first, then the control plane. */
export async function resetFleet(options: FleetCommandOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  return inFleet(
    plan.hosts,
    options,
    async (fleet) => {
      const reset = async (member: Member) => {
        if (!(await canReset(member, options.dryRun ?? false))) return;
        await fleet.run(member, { command: 'reset', arguments: ['--force', ...argumentsOf(options)] });
      };
      const done: string[] = [];
      for (const group of [
        fleet.members.filter(({ host }) => !isControlPlane(host)),
        fleet.members.filter(({ host }) => isControlPlane(host)),
      ]) {
        const outcome = await fleet.all(group, reset);
        done.push(...outcome.done.keys());
        if (outcome.failures.length) throw fleetError(outcome.failures, others(fleet, outcome.failures, done));
      }
      return [];
    },
    { needsRoom: false },
  );
}

/** Without kinit there is nothing to reset but what an unfinished copy left, or nothing to do it with. */
async function canReset({ connection, facts, name }: Member, dryRun: boolean): Promise<boolean> {
  const { code } = await connection.root('test -x /opt/kinit/current/bin/kinit');
  if (code === 0) return true;
  if (!facts.hasJournal) {
    if (dryRun) return false;
    await connection.root(`rm -rf ${bundlePaths.parent} ${transferFolder}/kinit-v*-????????????.run`);
    await connection.root(
      `case $(readlink ${linkDir}/kinit) in ${bundlePaths.parent}/*) rm -f ${linkDir}/kinit ;; esac`,
    );
    return false;
  }
  throw new KinitError('Bundle', 'kinit has changed this host, but its bundle is gone from /opt/kinit', {
    host: name,
    advice: 'copy the bundle to the host, run it with sh, then kinit reset',
  });
}
