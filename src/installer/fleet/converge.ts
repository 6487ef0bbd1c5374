/** A cluster that runs and its inventory: what cannot be changed is refused, nodes get what is said of them, what is left over is told or removed. */
import type { ConfigMap, Node } from '../../machinery/api/types.ts';
import { kubernetesVersion } from '../../machinery/version.ts';
import { parseConfig } from '../config/read-config.ts';
import { resolveInit } from '../config/resolve.ts';
import type { Documents } from '../config/schema.ts';
import { fixedDifferences, withFixedFields } from '../converge/cluster-settings.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { isReady, kubectl } from './cluster.ts';
import { quote } from './connection.ts';
import { taintsOf } from './documents.ts';
import { drain } from './drain.ts';
import { type HostFailure, onAll } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { appliedAnnotation, nodeDifference } from './node-settings.ts';
import type { FleetCommandOptions, Plan } from './plan.ts';
import { checkQuorum, isControlPlaneNode, takeOut } from './take-out.ts';
import { drainOptions, openAgain } from './undisturbed.ts';

/** An SSH server gives a connection ten sessions (MaxSessions). */
const sessions = 6;

/**
 * What a living cluster cannot change, before anything is touched on any host.
 * @throws KinitError Validation
 */
export async function checkFixed(founder: Member, { inventory, given }: Plan, signal: AbortSignal): Promise<void> {
  if (!founder.facts.isControlPlane) return;
  // Without discovery, which kubectl would keep in files.
  const read = `${kubectl} get --raw /api/v1/namespaces/kube-system/configmaps/kubeadm-config --request-timeout=10s`;
  const { code, stdout } = await founder.connection.root(read, { signal, timeoutMs: 20_000, again: true });
  // An API server that does not answer may be what this run mends; kinit looks again on the host.
  const text = code === 0 ? (JSON.parse(stdout) as ConfigMap).data?.['ClusterConfiguration'] : undefined;
  if (!text) return;
  const stored = parseConfig(text, 'configmap kubeadm-config');
  const identity = { hostname: founder.facts.hostname, address: founder.facts.addresses[0] ?? '127.0.0.1' };
  const resolve = (document: object | undefined) => {
    const ClusterConfiguration = { ...document, kubernetesVersion } as NonNullable<Documents['ClusterConfiguration']>;
    return resolveInit({}, { documents: { ClusterConfiguration }, place: () => '' }, identity, []).cluster;
  };
  const document = stored.documents.ClusterConfiguration ?? ({} as NonNullable<Documents['ClusterConfiguration']>);
  const wanted = { ...given.ClusterConfiguration, ...inventory.cluster } as NonNullable<
    Documents['ClusterConfiguration']
  >;
  const file = withFixedFields(
    { documents: { ClusterConfiguration: wanted }, place: () => '' },
    { document, node: { name: founder.host.nodeName, advertiseAddress: identity.address, bindPort: 6443 } },
  );
  const differences = fixedDifferences(resolve(file.documents.ClusterConfiguration), resolve(document));
  if (!differences.length) return;
  throw new KinitError('Validation', `${inventory.path}: these settings of a living cluster cannot be changed`, {
    seen: differences.join('\n'),
    advice:
      'give what the cluster has, or leave the fields out of cluster; for another value make a new cluster (kinit reset --inventory). Nothing was changed',
  });
}

export interface Settled {
  changed: boolean;
  failures: HostFailure[];
}

/** Labels, annotations and taints of the nodes of these hosts. */
export async function settleNodes(
  fleet: Fleet,
  asked: Member,
  members: readonly Member[],
  nodes: readonly Node[],
  plan: Plan,
  options: FleetCommandOptions,
): Promise<Settled> {
  const { dryRun, prune = false } = options;
  const { InitConfiguration, JoinConfiguration } = plan.given;
  const settle = async (member: Member): Promise<boolean> => {
    const { name, host, facts } = member;
    if (!dryRun) await openAgain(fleet, asked, member, nodes, options.signal);
    const found = nodes.find(({ metadata }) => metadata?.name === host.nodeName);
    if (!found) return false;
    const registration = (facts.isFounder ? InitConfiguration : JoinConfiguration)?.nodeRegistration;
    const { labels, annotations } = host;
    const wanted = { labels, annotations, taints: taintsOf(host, registration?.taints) };
    const { patch, changes, leftovers } = nodeDifference(found, wanted, prune);
    for (const what of leftovers) fleet.emit({ type: 'leftover', host: name, what });
    if (dryRun) {
      for (const what of changes) fleet.emit({ type: 'planned', host: name, action: 'set', what, step: 'labels' });
      return false;
    }
    if (!patch) return false;
    const apply = () => applyTo(asked, found, (node) => nodeDifference(node, wanted, prune).patch, options.signal);
    if (changes.length === 0) await apply();
    else {
      await fleet.step(name, 'labels', 'Set labels, annotations and taints', async () => {
        await apply();
        return { changed: true, detail: changes.join(', ') };
      });
    }
    return changes.length > 0;
  };
  const { done, failures } = await onAll(members, settle, (failure) => fleet.failed(failure), sessions);
  return { changed: [...done.values()].some(Boolean), failures };
}

const patchAttempts = 10;

/** Kubelets and controllers write to nodes, too: whoever was slower looks again. */
async function applyTo(
  { connection }: Member,
  found: Node,
  patchOf: (node: Node) => object | undefined,
  signal: AbortSignal,
): Promise<void> {
  const name = quote(found.metadata?.name ?? '');
  let node = found;
  for (let attempt = 1; ; attempt++) {
    const patch = patchOf(node);
    if (!patch) return;
    const words = `${kubectl} patch node ${name} --type merge --patch-file /dev/stdin`;
    const { code, stderr } = await connection.root(words, { stdin: JSON.stringify(patch), signal });
    if (code === 0) return;
    if (attempt === patchAttempts || !stderr.includes('(Conflict)')) {
      throw new KinitError('Command', 'labels, annotations and taints could not be set', {
        host: found.metadata?.name ?? '',
        seen: stderr.trim(),
        advice: `look at: kubectl describe node ${name}; then run the same command again`,
      });
    }
    const now = await connection.must('reading the node', `${kubectl} get node ${name} -o json`, {
      signal,
      again: true,
    });
    node = JSON.parse(now) as Node;
  }
}

/**
 * Nodes of the cluster that the inventory does not name: told, and with `--prune` taken out when an inventory has brought them.
 * @returns those that could not be taken out
 */
export async function settleStrangers(
  fleet: Fleet,
  asked: Member,
  nodes: readonly Node[],
  plan: Plan,
  options: FleetCommandOptions,
): Promise<HostFailure[]> {
  const { signal, dryRun, prune, limit } = options;
  if (limit?.length) return [];
  const known = new Set(plan.inventory.hosts.map(({ nodeName }) => nodeName));
  const strangers = nodes.filter(({ metadata }) => !known.has(metadata?.name ?? ''));
  const failures: HostFailure[] = [];
  for (const node of strangers) {
    const name = node.metadata?.name ?? '';
    const ours = node.metadata?.annotations?.[appliedAnnotation] !== undefined;
    if (!prune || !ours) {
      const how = ours ? '' : ` (no inventory has brought it; kinit nodes remove ${name} takes it out)`;
      fleet.emit({ type: 'leftover', host: asked.name, what: `node ${name}${how}` });
      continue;
    }
    if (dryRun) {
      const what = `the node ${name} from the cluster`;
      fleet.emit({ type: 'planned', host: asked.name, action: 'remove', what, step: 'node' });
      continue;
    }
    try {
      await removeStranger(fleet, asked, node, options);
    } catch (thrown) {
      signal.throwIfAborted();
      const failure = { host: name, error: asKinitError(thrown, { host: name }) };
      failures.push(failure);
      fleet.failed(failure);
    }
  }
  return failures;
}

async function removeStranger(fleet: Fleet, asked: Member, node: Node, options: FleetCommandOptions): Promise<void> {
  const { signal } = options;
  const { connection } = asked;
  const name = node.metadata?.name ?? '';
  const isControlPlane = isControlPlaneNode(node);
  if (isControlPlane) await checkQuorum(connection, name, signal);
  if (isReady(node)) {
    await fleet.step(name, 'drain', 'Drain the node', () =>
      drain({ connection, nodeName: name }, drainOptions(options), signal),
    );
  }
  await takeOut({
    connection,
    nodeName: name,
    node,
    isControlPlane,
    gone: true,
    draining: drainOptions(options),
    signal,
    events: options.events,
    step: (step, title, run) => fleet.step(name, step, title, run),
  });
  const message = `${name} is no node any more; what runs on its machine goes with kinit reset there`;
  fleet.emit({ type: 'warning', host: asked.name, message });
}
