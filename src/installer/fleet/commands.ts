/** The commands over an inventory: init, join, up, reset. */
import type { Node } from '../../machinery/api/types.ts';
import { bundlePaths, linkDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { fetchKubeconfig, findNodes, waitForNodes, writeKubeconfig } from './cluster.ts';
import { ensureEndpoint, founderOf } from './control-planes.ts';
import { checkFixed, settleNodes, settleStrangers } from './converge.ts';
import { initDocuments, type JoinSecret, withStored } from './documents.ts';
import type { FleetSink } from './events.ts';
import { fleetError, type HostFailure } from './failures.ts';
import { Fleet, type Member, type OpenOptions } from './fleet.ts';
import { forgetEndedJobs } from './job.ts';
import {
  argumentsOf,
  checkBundles,
  isMember,
  joinAll,
  joinOn,
  planned,
  planSecret,
  secretFor,
  type Way,
} from './joining.ts';
import { withManifests } from './manifests.ts';
import { checkIdentities, checkWays, runningNodes } from './peers.ts';
import { controlPlaneOf, type FleetCommandOptions, isControlPlane, type Plan, planOf, serverFor } from './plan.ts';
import { summaryOf } from './summary.ts';
import { undisturbed } from './undisturbed.ts';

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
export async function inFleet(
  hosts: readonly InventoryHost[],
  { inventory }: Plan,
  options: FleetCommandOptions,
  work: (fleet: Fleet) => Promise<Node[]>,
  open: OpenOptions = {},
): Promise<FleetResult> {
  const started = performance.now();
  let fleet: Fleet | undefined;
  const failed = new Set<string>();
  const summary = summaryOf(hosts.map(({ name }) => name));
  const parallel = options.parallel ?? inventory.parallel;
  const events: FleetSink = (event) => {
    if (event.type === 'host-failed') failed.add(event.host);
    summary.take(event);
    options.events(event);
  };
  let ok = false;
  /** In a dry run: what would be changed. */
  const changedIn = (opened: Fleet | undefined): ReadonlySet<string> =>
    options.dryRun
      ? new Set(summary.hosts().flatMap(({ name, outcome }) => (outcome === 'changed' ? [name] : [])))
      : (opened?.changed ?? new Set());
  try {
    fleet = await Fleet.open(
      hosts,
      {
        ...options,
        bundleFrom: options.bundleFrom ?? inventory.bundleFrom,
        ...(parallel ? { parallel } : {}),
        events,
      },
      open,
    );
    const nodes = await work(fleet);
    ok = true;
    return { changed: changedIn(fleet).size > 0, nodes };
  } finally {
    const changed = changedIn(fleet);
    events({
      type: 'fleet-ended',
      time: new Date().toISOString(),
      ok,
      dryRun: options.dryRun ?? false,
      changed: changed.size > 0,
      ms: Math.round(performance.now() - started),
      untouched: hosts.map(({ name }) => name).filter((name) => !changed.has(name) && !failed.has(name)),
      failed: [...failed],
      hosts: summary.hosts(),
      traffic: Object.fromEntries(fleet?.traffic ?? []),
    });
    await fleet?.close();
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

/** @returns of a dry run: the cluster's settings as they would be */
async function initOn(
  fleet: Fleet,
  member: Member,
  plan: Plan,
  options: FleetCommandOptions,
): Promise<Pick<Way, 'stored'>> {
  if (options.dryRun && planned(fleet, member, 'init')) return {};
  const text = initDocuments(plan.inventory, member.host, member.facts, plan.given);
  const config = options.dryRun ? withStored(text, []) : text;
  const { stored } = await fleet.run(member, { command: 'init', arguments: argumentsOf(options), config });
  return stored ? { stored } : {};
}

/** `kinit init --inventory`: makes the first control plane. */
export async function initFleet(options: FleetCommandOptions): Promise<FleetResult> {
  const plan = await withManifests(await planOf(options));
  const host = controlPlaneOf(plan);
  return inFleet([host], plan, options, async (fleet) => {
    checkBundles(fleet);
    ensureEndpoint(fleet, plan);
    const { failures } = await fleet.all(fleet.members, async (member) => {
      if (!options.dryRun) await fleet.supply(member);
      await initOn(fleet, member, plan, options);
    });
    if (failures.length) throw fleetError(failures, undefined);
    return [];
  });
}

/** `kinit join --inventory`: joins the others to the first control plane of the inventory, or workers to the one that is named. */
export async function joinFleet(options: JoinOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  const first = controlPlaneOf(plan);
  const hosts = plan.hosts.filter((host) => (options.secret ? !isControlPlane(host) : host !== first));
  if (hosts.length === 0) throw new KinitError('Usage', `there is no host to join in ${plan.inventory.path}`);
  const asks = options.secret === undefined && !options.dryRun;
  const work = async (fleet: Fleet) => {
    checkBundles(fleet);
    const { secret, signal } = options;
    const founder = asks ? founderOf(fleet, plan) : undefined;
    const members = fleet.members.filter((member) => member !== founder && hosts.includes(member.host));
    if (founder && !founder.facts.isControlPlane && members.some((member) => !isMember(member))) {
      throw new KinitError('Preflight', 'this host is no control plane yet', {
        host: founder.name,
        advice: 'run kinit init --inventory first, or kinit up; nothing was changed',
      });
    }
    const { joined, failures } = await joinAll({
      fleet,
      plan,
      options,
      members,
      check: await peerCheck(fleet, plan, options, founder),
      way: async () => ({ secret: founder ? await secretFor(fleet, founder, members, plan, signal) : secret }),
    });
    const all = [...fleet.absent, ...failures];
    if (all.length) throw fleetError(all, others(fleet, all, joined));
    return [];
  };
  return inFleet([...(asks ? [first] : []), ...hosts], plan, options, work, { tolerant: true });
}

/** `kinit up`: control planes, workers, all as the inventory says, all Ready, and a kubeconfig; again and again with the same result. */
export async function upFleet(options: UpOptions): Promise<FleetResult> {
  const plan = await withManifests(await planOf(options));
  const first = controlPlaneOf(plan);
  const hosts = plan.hosts.includes(first) ? plan.hosts : [first, ...plan.hosts];
  const work = async (fleet: Fleet) => {
    const { signal, dryRun } = options;
    checkBundles(fleet);
    ensureEndpoint(fleet, plan);
    const founder = founderOf(fleet, plan);
    await checkFixed(founder, plan, signal);
    const members = fleet.members.filter((member) => member !== founder);
    const makeFounder = async (): Promise<Way> => {
      let stored: Way['stored'];
      await undisturbed(fleet, founder, founder, plan, options, async () => {
        // A control plane that has joined and outlived the first one is one like any other.
        if (founder.facts.isControlPlane && !founder.facts.isFounder) {
          tellStoredOnly(fleet, founder, plan);
          await joinOn(fleet, founder, plan, options);
        } else ({ stored } = await initOn(fleet, founder, plan, options));
      });
      if (dryRun) planSecret(fleet, founder, members);
      return dryRun ? { stored } : { secret: await secretFor(fleet, founder, members, plan, signal) };
    };
    const { joined, failures } = await joinAll({
      fleet,
      plan,
      options,
      members,
      founder,
      check: await peerCheck(fleet, plan, options, founder),
      way: makeFounder,
    });
    const done = fleet.members.filter(({ name }) => joined.includes(name));
    const finished = done.includes(founder) ? await finishUp(fleet, founder, done, plan, options) : undefined;
    const all = [...fleet.absent, ...failures, ...(finished?.failures ?? [])];
    if (all.length) throw fleetError(all, others(fleet, all, joined));
    return finished?.nodes ?? [];
  };
  return inFleet(hosts, plan, options, work, { tolerant: true });
}

/** Settings of the whole cluster are changed where it was made. */
function tellStoredOnly(fleet: Fleet, { name }: Member, { inventory, given }: Plan): void {
  const { ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration } = given;
  const settings = [inventory.cluster, ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration];
  if (!settings.some((fields) => fields && Object.keys(fields).length > 0)) return;
  const message = `the control plane on which the cluster was made is not there; ${name} stands in for it, and settings of the whole cluster (cluster, kubelet, kubeProxy) stay as they are stored`;
  fleet.emit({ type: 'warning', host: name, message });
}

/** Compares the hosts now, and answers what lets them try each other once they have the bundle. */
async function peerCheck(fleet: Fleet, plan: Plan, options: FleetCommandOptions, founder?: Member) {
  const nodes = await runningNodes(fleet, founder, options);
  const check = { fleet, plan, options, nodes, ...(founder ? { founder } : {}) };
  checkIdentities(check);
  return (supplied: readonly Member[]) => checkWays(check, supplied);
}

/** The workstation's own file is told, too. */
async function planKubeconfig(fleet: Fleet, first: Member, plan: Plan, options: UpOptions): Promise<void> {
  const { signal, kubeconfigOut } = options;
  const same =
    first.facts.isControlPlane &&
    (await fetchKubeconfig(first.connection, kubeconfigOut, serverFor(first, plan), signal)).isSame;
  if (same) return;
  const what = `${kubeconfigOut} of this machine`;
  fleet.emit({ type: 'planned', host: first.name, action: 'write', what, step: 'kubeconfig' });
}

/** What is left when the hosts are nodes. @param done those that are */
async function finishUp(
  fleet: Fleet,
  first: Member,
  done: readonly Member[],
  plan: Plan,
  options: UpOptions,
): Promise<{ nodes: Node[]; failures: HostFailure[] }> {
  const { signal, kubeconfigOut, dryRun } = options;
  let nodes: Node[] = [];
  if (dryRun) {
    if (first.facts.isControlPlane) nodes = (await findNodes(first.connection, signal)) ?? [];
    await planKubeconfig(fleet, first, plan, options);
  } else {
    await fleet.step(first.name, 'kubeconfig', `Write ${kubeconfigOut}`, async () => ({
      changed: await writeKubeconfig(first.connection, kubeconfigOut, serverFor(first, plan), signal),
    }));
    await fleet.step(first.name, 'ready', 'Wait until all nodes are Ready', async () => {
      const names = done.map(({ host }) => host.nodeName);
      nodes = await waitForNodes(first.connection, names, signal, () => undefined);
      return { changed: false };
    });
  }
  const { changed, failures: unsettled } = await settleNodes(fleet, first, done, nodes, plan, options);
  const strangers = await settleStrangers(fleet, first, nodes, plan, options);
  const failures = [...unsettled, ...strangers];
  if (!dryRun && (changed || options.prune)) nodes = (await findNodes(first.connection, signal)) ?? nodes;
  return { nodes: dryRun ? [] : nodes, failures };
}

/** `kinit reset --inventory`: workers first, then the control planes, one after the other and the first one last. */
export async function resetFleet(options: FleetCommandOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  return inFleet(
    plan.hosts,
    plan,
    options,
    async (fleet) => {
      const reset = async (member: Member) => {
        const { dryRun = false } = options;
        if (await canReset(member, dryRun))
          await fleet.run(member, { command: 'reset', arguments: ['--force', ...argumentsOf(options)] });
        if (!dryRun) await forgetEndedJobs(member.connection);
      };
      const done: string[] = [];
      for (const group of [
        fleet.members.filter(({ host }) => !isControlPlane(host)),
        ...fleet.members
          .filter(({ host }) => isControlPlane(host))
          .reverse()
          .map((member) => [member]),
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
    await connection.root(`rm -rf ${bundlePaths.parent}`);
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
