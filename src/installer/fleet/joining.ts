/** Hosts that become nodes of a cluster: workers at once, control planes one after the other. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import { kinitVersion } from '../../machinery/version.ts';
import { bundlePaths, kubeconfigPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { createJoinSecret } from './cluster.ts';
import { uploadCertificates } from './control-planes.ts';
import { type JoinSecret, joinByFileDocuments, joinDocuments } from './documents.ts';
import type { FleetStep } from './events.ts';
import type { HostFailure } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { type FleetCommandOptions, isControlPlane, type Plan } from './plan.ts';
import { hasBundle } from './ship.ts';
import { undisturbed } from './undisturbed.ts';

export const argumentsOf = ({ arguments: given = [], dryRun }: FleetCommandOptions) => [
  ...given,
  ...(dryRun ? ['--dry-run'] : []),
];

/**
 * A dry run changes nothing, not even by copying the bundle: without it, or without a token for a host that is to join, there is
 * only this to say.
 */
export function planned(fleet: Fleet, member: Member, command: 'init' | 'join', secret?: JoinSecret): boolean {
  const { name, facts, bundle } = member;
  if (!hasBundle(facts, bundle)) {
    const what = `the bundle to the host, and run kinit ${command}`;
    fleet.emit({ type: 'planned', host: name, action: 'copy', what, step: command });
    return true;
  }
  // To make one would be a change.
  if (command === 'init' || isMember(member) || secret) return false;
  const as = isControlPlane(member.host) ? ' --control-plane' : '';
  fleet.emit({ type: 'planned', host: name, action: 'run', what: `kinit ${command}${as}`, step: command });
  return true;
}

/** How hosts come to the cluster. */
export interface Way {
  /** Of those that are no members yet. */
  secret?: JoinSecret | undefined;
  /** In a dry run: the cluster's settings as they would be. */
  stored?: readonly UnknownObject[] | undefined;
}

export async function joinOn(
  fleet: Fleet,
  member: Member,
  plan: Plan,
  options: FleetCommandOptions,
  { secret, stored }: Way = {},
): Promise<void> {
  if (options.dryRun && planned(fleet, member, 'join', secret)) return;
  const { host, facts } = member;
  // A node finds its cluster again by its own kubeconfig; no token is needed.
  const config =
    isMember(member) || !secret
      ? joinByFileDocuments(host, facts, kubeconfigPaths.kubelet, plan.given, stored)
      : joinDocuments(host, facts, secret, plan.given);
  await fleet.run(member, { command: 'join', arguments: argumentsOf(options), config });
}

/**
 * Nodes of one cluster run from one version of kinit, except in the midst of an upgrade.
 * @throws KinitError Preflight when nodes run from another bundle than this kinit's
 */
export function checkBundles({ members }: Pick<Fleet, 'members'>): void {
  const others = members.filter(
    ({ facts }) => facts.isNode && facts.currentBundle !== undefined && facts.currentBundle !== bundlePaths.prefix,
  );
  if (!others.length) return;
  const seen = others.map(({ name, facts }) => `${name}: ${facts.currentBundle}`).join('\n');
  throw new KinitError(
    'Preflight',
    `nodes run from another bundle than that of this kinit (${kinitVersion}); nothing was changed`,
    {
      seen,
      advice: 'upgrade them with kinit upgrade apply --inventory, or take the kinit that the cluster was made with',
    },
  );
}

/** A control plane is one only when it has come to its API server. */
export const isMember = ({ host, facts }: Pick<Member, 'host' | 'facts'>) =>
  isControlPlane(host) ? facts.isControlPlane : facts.isNode;

/** A token, and a certificate key when any of those who join becomes a control plane; undefined when nobody needs them. */
export async function secretFor(
  fleet: Fleet,
  founder: Member,
  joining: readonly Member[],
  plan: Plan,
  signal: AbortSignal,
): Promise<JoinSecret | undefined> {
  const newcomers = joining.filter((member) => !isMember(member));
  if (!newcomers.length) return undefined;
  const secret: { found?: JoinSecret } = {};
  await fleet.step(founder.name, 'token', 'Create a token for joining', async () => {
    secret.found = await createJoinSecret(founder.connection, signal);
    return { changed: true };
  });
  if (newcomers.some(({ host }) => isControlPlane(host))) {
    await fleet.step(founder.name, 'certificates', 'Upload the certificates of the control plane', async () => {
      secret.found = { ...secret.found!, certificateKey: await uploadCertificates(founder.connection, plan, signal) };
      return { changed: true };
    });
  }
  return secret.found;
}

/** What `secretFor` would make. */
export function planSecret(fleet: Fleet, { name }: Member, joining: readonly Member[]): void {
  const newcomers = joining.filter((member) => !isMember(member));
  const create = (step: FleetStep, what: string) =>
    fleet.emit({ type: 'planned', host: name, action: 'create', what, step });
  if (newcomers.length) create('token', 'a token for joining');
  if (newcomers.some(({ host }) => isControlPlane(host))) create('certificates', 'Secret kube-system/kubeadm-certs');
}

/** Nothing is wrong with this host: another one failed before. */
class WaitedInVain extends Error {}

const inVain = (): never => {
  throw new WaitedInVain();
};

/** A worker that is a node already needs the control plane for nothing but its settings; what is wrong with these concerns all. */
const goesOnAlone = (member: Member, error: unknown): boolean =>
  isMember(member) &&
  !isControlPlane(member.host) &&
  error instanceof KinitError &&
  !['Validation', 'Preflight', 'Usage', 'Interrupted'].includes(error.code);

export interface Joining {
  joined: string[];
  failures: HostFailure[];
}

export interface JoinPlan {
  fleet: Fleet;
  plan: Plan;
  options: FleetCommandOptions;
  members: readonly Member[];
  /** Made in the same run. */
  founder?: Member;
  /** Looks at all hosts that have the bundle, before any of them is changed. */
  check(supplied: readonly Member[]): Promise<void>;
  /** Makes sure of the cluster, and says how to join it. */
  way(): Promise<Way>;
}

/** A host that cannot get the bundle stays behind; the others go on without it. */
async function supplyAll(
  { fleet, options }: JoinPlan,
  members: readonly Member[],
): Promise<{ supplied: Member[]; failures: HostFailure[] }> {
  if (options.dryRun) return { supplied: [...members], failures: [] };
  const { failures } = await fleet.all(members, (member) => fleet.supply(member));
  return { supplied: members.filter(({ name }) => !failures.some(({ host }) => host === name)), failures };
}

export async function joinAll(joinPlan: JoinPlan): Promise<Joining> {
  const { fleet, plan, options, members, founder, way, check } = joinPlan;
  const { supplied, failures: unsupplied } = await supplyAll(joinPlan, founder ? [founder, ...members] : members);
  if (founder && !supplied.includes(founder)) return { joined: [], failures: unsupplied };
  if (!options.dryRun) await check(supplied);
  const ready = Promise.withResolvers<Way>();
  ready.promise.catch(() => undefined);
  const waitedInVain = new Set<string>();
  let before: Promise<unknown> = Promise.resolve();
  const joinOne = async (member: Member, turn: Promise<unknown>) => {
    const found = await ready.promise.catch((error: unknown) => (goesOnAlone(member, error) ? {} : inVain()));
    await turn.catch(inVain);
    await undisturbed(fleet, founder, member, plan, options, () => joinOn(fleet, member, plan, options, found));
  };
  const queued = (member: Member) => {
    if (!isControlPlane(member.host) || options.dryRun) return joinOne(member, Promise.resolve());
    const joining = joinOne(member, before);
    before = joining;
    return joining;
  };
  const found = async () => {
    try {
      ready.resolve(await way());
    } catch (error) {
      ready.reject(error);
      throw error;
    }
  };
  fleet.expect(founder ? [founder, ...members] : members);
  if (!founder) await found();
  const { done, failures } = await fleet.all(supplied, async (member) => {
    if (member === founder) return found();
    return queued(member).catch((error: unknown) => {
      if (!(error instanceof WaitedInVain)) throw error;
      waitedInVain.add(member.name);
    });
  });
  const joined = [...done.keys()].filter((name) => !waitedInVain.has(name));
  return { joined, failures: [...unsupplied, ...failures] };
}
