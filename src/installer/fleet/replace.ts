/** Puts another machine into the place of a node, dead or alive; what a run before has done is not done again. */
import type { Node } from '../../machinery/api/types.ts';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { inventoryRewrite } from '../inventory/rewrite.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { addLabels, findNodes, kubectl, waitForNodes } from './cluster.ts';
import { inFleet } from './commands.ts';
import { type Connection, quote } from './connection.ts';
import { settleNodes } from './converge.ts';
import type { DrainOptions } from './drain.ts';
import { gatherFacts } from './facts.ts';
import { fleetError } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { checkBundles, joinAll, secretFor } from './joining.ts';
import { goesWith, type KnownAddress, moveKnownAddress, readKnownAddress, refuseToLose } from './known-address.ts';
import { connectFirst, whyNoApi } from './on-control-plane.ts';
import { checkIdentities, checkWays, runningNodes } from './peers.ts';
import { type FleetCommandOptions, isControlPlane, type Plan, planOf } from './plan.ts';
import { type InventoryChange, type Marks, marksOf, replacementOf, withMarks } from './replacement.ts';
import { checkQuorum, isControlPlaneNode, reach, takeOut } from './take-out.ts';

export interface ReplaceOptions extends FleetCommandOptions {
  draining: DrainOptions;
  /** The old machine is gone for good: it is not asked. */
  dead: boolean;
  /** A host of the inventory or an address; absent: the same machine, reinstalled. */
  with?: string;
  writeInventory: boolean;
}

/** What is kept in the cluster while a replacement is under way: the old node may be gone before the new one is there. */
interface UnderWay extends Marks {
  controlPlane: boolean;
  /** The node that comes. */
  by: string;
  /** The old one is out. */
  removed: boolean;
}

interface Replacing {
  options: ReplaceOptions;
  plan: Plan;
  fleet: Fleet;
  /** A control plane that stays. */
  plane: Member;
  newcomer: Member;
  nodeName: string;
  node: Node | undefined;
  oldHost: InventoryHost | undefined;
  /** The new host as the inventory has it, without what it takes over. */
  planned: InventoryHost;
  /** The machine stays, or is another one under the same address. */
  sameMachine: boolean;
  /** Under which the cluster is known, and which goes with the old node. */
  address?: KnownAddress;
  record: UnderWay;
}

export interface Replaced {
  /** What is to be changed in the inventory, or was. */
  change: InventoryChange;
  /** Kubeconfigs may name this address, at which nobody is any more. */
  lostServer?: string;
}

export async function replaceNode(old: string, options: ReplaceOptions): Promise<Replaced> {
  const { signal } = options;
  const plan = await planOf(options);
  const { inventory } = plan;
  const oldHost =
    inventory.hosts.find(({ name }) => name === old) ?? inventory.hosts.find(({ nodeName }) => nodeName === old);
  const nodeName = oldHost?.nodeName ?? old;
  const staying = inventory.hosts.filter(
    (host) => isControlPlane(host) && host !== oldHost && host.name !== options.with,
  );
  if (!staying.length) {
    const message = `${nodeName} is the only control plane of ${inventory.path}; nobody is left to let another one in`;
    const advice = 'join a second one first (kinit up), or make the cluster again of a snapshot: kinit etcd restore';
    throw new KinitError('Usage', message, { advice });
  }
  const seen = await look(staying, nodeName, signal);
  const known = seen.record ?? (seen.node ? recordOf(seen.node) : undefined);
  if (!known) {
    const names = `nodes: ${seen.names.join(', ')}`;
    throw new KinitError('Usage', `there is no node "${nodeName}" in the cluster`, { seen: names });
  }
  const { host: planned, change } = replacementOf(inventory, oldHost, options.with);
  const by = planned.nodeName;
  const record = { ...known, by };
  if (by !== nodeName && seen.record?.by !== by && seen.names.includes(by)) {
    throw new KinitError('Usage', `${by} is a node of the cluster already`, {
      advice: `to take ${nodeName} out: kinit nodes remove ${nodeName}`,
    });
  }
  const rewrite = options.writeInventory ? await rewriteOf(inventory.path, change) : undefined;
  checkRole(planned, record, nodeName);
  const movesAddress = goesWith(seen.known, seen.node, oldHost, planned);
  if (movesAddress) refuseToLose(seen.known, nodeName);
  const host = withMarks(planned, record);
  // From here on the inventory is as it will be.
  plan.inventory = {
    ...inventory,
    hosts: [...inventory.hosts.filter((one) => one !== oldHost && one !== planned), host],
  };
  await inFleet([seen.plane, host], plan, options, async (fleet) => {
    checkBundles(fleet);
    const replacing = {
      options,
      plan,
      fleet,
      plane: fleet.member(seen.plane.name),
      newcomer: fleet.member(host.name),
      nodeName,
      node: seen.node,
      oldHost,
      planned,
      sameMachine: planned === oldHost,
      ...(movesAddress ? { address: seen.known } : {}),
      record,
    };
    return replace(replacing);
  });
  await rewrite?.();
  return { change, ...(movesAddress && seen.known.endpoint ? { lostServer: seen.known.endpoint } : {}) };
}

async function rewriteOf(path: string, change: InventoryChange): Promise<(() => Promise<void>) | undefined> {
  if (change.kind === 'none') return undefined;
  const { name } = change;
  return inventoryRewrite(path, change.kind === 'edit' ? { name, fields: change.fields, drop: change.drop } : { name });
}

async function replace(replacing: Replacing): Promise<Node[]> {
  const { options, plan, fleet, plane, newcomer, nodeName, node, record, sameMachine } = replacing;
  const { signal } = options;
  const sameName = newcomer.host.nodeName === nodeName;
  // A living node is only taken out when the new one is there, where their names allow that.
  const removesFirst = options.dead || sameName;
  const out = async () => {
    if (!record.removed) await removeOld(replacing);
  };
  if (options.dead && sameMachine && newcomer.facts.isNode) {
    throw new KinitError('Usage', `${nodeName} is not dead: its host answers, and it is a node`, {
      advice: 'leave --dead away, and it is drained, reset and joined again; or say with --with who takes its place',
    });
  }
  if (!record.removed && record.controlPlane) {
    await checkQuorum(plane.connection, nodeName, signal, { joinsBefore: !removesFirst });
  }
  const sameMachineLives = sameMachine && newcomer.facts.isNode;
  if (!record.removed && !options.dead && !sameMachine) (await reachOld(replacing)).connection.close();
  await remember(replacing);
  // In its own place nothing can be tried before it is reset.
  if (sameMachineLives) {
    await out();
    if (!record.removed) newcomer.facts = await gatherFacts(newcomer.connection, newcomer.host, signal);
    record.removed = true;
    await remember(replacing);
  }
  const { failures } = await joinAll({
    fleet,
    plan,
    options,
    members: [newcomer],
    check: await checkOthers(replacing),
    way: async () => {
      if (removesFirst && !record.removed) {
        await out();
        record.removed = true;
        await remember(replacing);
      }
      return { secret: await secretFor(fleet, plane, [newcomer], plan, signal) };
    },
  });
  if (failures.length)
    throw fleetError(
      failures,
      `${nodeName} is ${record.removed || !node ? 'out' : 'still a node'}; the same command goes on from here`,
    );
  const { host } = newcomer;
  let nodes: Node[] = [];
  await fleet.step(host.name, 'ready', 'Wait until the node is Ready', async () => {
    nodes = await waitForNodes(plane.connection, [host.nodeName], signal, () => undefined);
    return { changed: false };
  });
  // What the old node had beside the inventory's words is nobody's but its owner's: kinit does not remember it as its own.
  const said = { ...newcomer, host: replacing.planned };
  const { failures: unsettled } = await settleNodes(fleet, plane, [said], nodes, plan, options);
  if (unsettled.length) throw fleetError(unsettled, undefined);
  await addLabels(plane.connection, host, nodes, signal);
  const { address } = replacing;
  if (address) {
    const newNode = nodes.find(({ metadata }) => metadata?.name === host.nodeName);
    await fleet.step(plane.name, 'address', 'Tell those who join the address of the new control plane', async () => ({
      changed: await moveKnownAddress(plane.connection, address, newNode, signal),
    }));
  }
  if (!removesFirst) await out();
  await forget(plane.connection, nodeName, signal);
  return (await findNodes(plane.connection, signal)) ?? nodes;
}

/** The old node is none that the new one has to reach. */
async function checkOthers({ fleet, plan, options, plane, nodeName }: Replacing) {
  const nodes = (await runningNodes(fleet, plane, options)).filter(({ metadata }) => metadata?.name !== nodeName);
  const check = { fleet, plan, options, nodes, founder: plane };
  checkIdentities(check);
  return (supplied: readonly Member[]) => checkWays(check, supplied);
}

/** @throws KinitError when its host is away, which must be known to be so for good */
function reachOld({ options, nodeName, oldHost }: Replacing) {
  const command = `kinit nodes replace ${nodeName}${options.with ? ` --with ${options.with}` : ''} --dead`;
  return reach(oldHost, nodeName, command, options);
}

async function removeOld(replacing: Replacing): Promise<void> {
  const { options, fleet, plane, newcomer, nodeName, node, sameMachine, record } = replacing;
  const { signal, events, draining, dead } = options;
  // A machine that was reinstalled is no node any more: there is nothing to drain or reset.
  const bare = sameMachine && !newcomer.facts.isNode;
  const found = dead || bare ? undefined : await reachOld(replacing);
  try {
    const resets = found && (await found.connection.root(`test -x ${bundlePaths.bin}/kinit`, { signal })).code === 0;
    await takeOut({
      connection: plane.connection,
      nodeName,
      node,
      isControlPlane: record.controlPlane,
      gone: bare || (found !== undefined && !resets),
      ...(resets ? { target: found } : {}),
      draining,
      signal,
      events,
      step: (step, title, run) => fleet.step(nodeName, step, title, run),
    });
  } finally {
    found?.connection.close();
  }
}

interface Seen {
  plane: InventoryHost;
  names: string[];
  node: Node | undefined;
  record: UnderWay | undefined;
  known: KnownAddress;
}

/** Asks the first control plane that answers. */
async function look(staying: readonly InventoryHost[], nodeName: string, signal: AbortSignal): Promise<Seen> {
  const { host: plane, connection } = await connectFirst(staying, signal, (candidate) => whyNoApi(candidate, signal));
  try {
    const nodes = (await findNodes(connection, signal)) ?? [];
    const get = (what: string) =>
      connection.must('reading the cluster', `${kubectl} -n kube-system get configmap ${what} --ignore-not-found`, {
        signal,
      });
    const text = await get(`${recordName(nodeName)} -o jsonpath={.data.record}`);
    return {
      plane,
      names: nodes.map(({ metadata }) => metadata?.name ?? ''),
      node: nodes.find(({ metadata }) => metadata?.name === nodeName),
      record: text ? (JSON.parse(text) as UnderWay) : undefined,
      known: await readKnownAddress(connection, signal),
    };
  } finally {
    connection.close();
  }
}

const recordOf = (node: Node): Omit<UnderWay, 'by'> => ({
  ...marksOf(node.metadata?.labels, node.spec?.taints),
  controlPlane: isControlPlaneNode(node),
  removed: false,
});

const recordName = (nodeName: string) => `kinit-replace-${nodeName}`;

async function remember({ plane, nodeName, record, options: { signal } }: Replacing): Promise<void> {
  const make = `create configmap ${quote(recordName(nodeName))} --from-literal=${quote(`record=${JSON.stringify(record)}`)} --dry-run=client -o yaml`;
  const command = `${kubectl} -n kube-system ${make} | ${kubectl} -n kube-system apply --server-side --force-conflicts -f -`;
  await plane.connection.must('noting the replacement', command, { signal });
}

async function forget(connection: Connection, nodeName: string, signal: AbortSignal): Promise<void> {
  const name = quote(recordName(nodeName));
  await connection.must('noting the end', `${kubectl} -n kube-system delete configmap ${name} --ignore-not-found`, {
    signal,
  });
}

function checkRole(host: InventoryHost, { controlPlane }: UnderWay, nodeName: string): void {
  if (isControlPlane(host) === controlPlane) return;
  const word = (is: boolean) => (is ? 'a control plane' : 'a worker');
  throw new KinitError(
    'Usage',
    `${host.name} is ${word(!controlPlane)} in the inventory, ${nodeName} is ${word(controlPlane)}`,
    {
      advice: 'give it the role of the node that it replaces; nothing was changed',
    },
  );
}
