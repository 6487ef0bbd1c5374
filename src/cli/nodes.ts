/** `kinit nodes drain | uncordon | remove | replace` */
import type { Command } from 'commander';
import { parseDuration } from '../installer/config/duration.ts';
import { KinitError } from '../installer/errors.ts';
import type { NodesOptions, RemoveOptions } from '../installer/fleet/nodes.ts';
import type { InventoryChange } from '../installer/fleet/replacement.ts';
import {
  drawEvents,
  drawFleet,
  type FleetFlags,
  type HostKeyFlags,
  hostArguments,
  hostKeyChecking,
} from './fleet-session.ts';
import { addFleetOptions, hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { interruptSignal, list, outputOption } from './session.ts';

interface SourceFlags extends HostKeyFlags {
  inventory: string;
  output: string;
}

interface DrainFlags extends SourceFlags {
  gracePeriod?: string;
  timeout: string;
  deleteEmptydirData?: boolean;
  force?: boolean;
  dead?: boolean;
}

export function addNodesCommand(program: Command): void {
  const nodes = program.command('nodes').description('single nodes of a running cluster');
  sourceOptions(nodes.command('drain'))
    .argument('<node>', 'name of the node, or of its host in the inventory')
    .description('move the pods of a node elsewhere, within their budgets, and let no new ones come');
  drainOptions(nodes.commands.at(-1) as Command).action(runDrain);
  sourceOptions(nodes.command('uncordon'))
    .argument('<node>', 'name of the node, or of its host in the inventory')
    .description('let pods come to a node again')
    .action(runUncordon);
  sourceOptions(nodes.command('remove'))
    .argument('<node>', 'name of the node, or of its host in the inventory')
    .description('take a node out: drained, its host reset, its member of etcd and its object removed')
    .option('--dead', 'its machine is gone for good and is not asked');
  drainOptions(nodes.commands.at(-1) as Command).action(runRemove);
  const replace = outputOption(nodes.command('replace'))
    .argument('<node>', 'name of the node, or of its host in the inventory')
    .description('put another machine, or the same one reinstalled, into the place of a node')
    .requiredOption('-i, --inventory <file>', 'the hosts')
    .option('--with <host>', 'who comes: a host of the inventory, ADDRESS, or NAME=ADDRESS (default: the same machine)')
    .option('--dead', 'the old machine is gone for good and is not asked')
    .option('--write-inventory', 'change the inventory, too')
    .option('--config <file>', 'configuration file, as for kinit join')
    .option('--ignore-preflight-errors <checks>', 'checks whose errors become warnings: names, or all', list);
  addFleetOptions(drainOptions(replace)).action(runReplace);
}

function sourceOptions(command: Command): Command {
  return outputOption(command)
    .requiredOption('-i, --inventory <file>', 'the hosts')
    .option('--accept-host-keys', 'accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption());
}

function drainOptions(command: Command): Command {
  return command
    .option('--grace-period <seconds>', 'how long pods get to end (default: as each pod says)')
    .option('--timeout <duration>', 'how long to try', '5m')
    .option('--delete-emptydir-data', 'also pods whose data lies on the node alone (emptyDir)')
    .option('--force', 'also pods that nobody will start elsewhere');
}

function withEvents(flags: SourceFlags, work: (options: NodesOptions) => Promise<void>): Promise<void> {
  const source = { inventory: flags.inventory, askPassphrase, ...hostKeyChecking(flags) };
  return drawEvents(flags.output, (events) => work({ source, signal: interruptSignal(), events }));
}

function drainingOf(flags: DrainFlags): Omit<RemoveOptions, 'dead'> {
  const { gracePeriod, timeout, deleteEmptydirData = false, force = false } = flags;
  if (parseDuration(timeout) === undefined)
    throw new KinitError('Usage', `--timeout is "${timeout}"; it takes a duration like 5m`);
  if (gracePeriod !== undefined && !/^\d+$/.test(gracePeriod))
    throw new KinitError('Usage', `--grace-period is "${gracePeriod}"; it takes seconds`);
  return {
    timeout,
    deleteEmptyDirData: deleteEmptydirData,
    force,
    ...(gracePeriod === undefined ? {} : { gracePeriodSeconds: Number(gracePeriod) }),
  };
}

async function runDrain(node: string, flags: DrainFlags): Promise<void> {
  const draining = drainingOf(flags);
  const { drainNode } = await import('../installer/fleet/nodes.ts');
  await withEvents(flags, (options) => drainNode(node, draining, options));
}

async function runUncordon(node: string, flags: SourceFlags): Promise<void> {
  const { uncordonNode } = await import('../installer/fleet/nodes.ts');
  await withEvents(flags, (options) => uncordonNode(node, options));
}

async function runRemove(node: string, flags: DrainFlags): Promise<void> {
  const draining = drainingOf(flags);
  const { removeNode } = await import('../installer/fleet/nodes.ts');
  await withEvents(flags, (options) => removeNode(node, { ...draining, dead: flags.dead ?? false }, options));
  if (flags.output === 'json') return;
  process.stdout.write(
    `\nTake ${node} out of ${flags.inventory}, or give its place to another machine and run: kinit up -i ${flags.inventory}\n`,
  );
}

type ReplaceFlags = FleetFlags & DrainFlags & { with?: string; writeInventory?: boolean };

async function runReplace(node: string, flags: ReplaceFlags, command: Command): Promise<void> {
  const draining = drainingOf(flags);
  const own = ['with', 'dead', 'writeInventory', 'gracePeriod', 'timeout', 'deleteEmptydirData'];
  const { replaceNode } = await import('../installer/fleet/replace.ts');
  const { change, lostServer } = await drawFleet(flags, hostArguments(command, own), (options) =>
    replaceNode(node, {
      ...options,
      draining,
      dead: flags.dead ?? false,
      writeInventory: flags.writeInventory ?? false,
      ...(flags.with === undefined ? {} : { with: flags.with }),
    }),
  );
  if (flags.output === 'json') return;
  const words = [inventoryWords(change, flags.inventory, flags.writeInventory ?? false)];
  if (lostServer)
    words.push(`Kubeconfigs with the server ${lostServer} need another one: kinit kubeconfig -i ${flags.inventory}`);
  const text = words.filter(Boolean).join('\n');
  if (text) process.stdout.write(`\n${text}\n`);
}

function inventoryWords(change: InventoryChange, path: string, written: boolean): string {
  if (change.kind === 'none') return '';
  const { name } = change;
  if (change.kind === 'remove') return written ? `${path}: ${name} is taken out` : `Take ${name} out of ${path}`;
  const fields = Object.entries(change.fields).map(([field, value]) => `${field}: ${value}`);
  const dropped = change.drop.length ? `; it has no ${change.drop.join(' or ')} of the old machine` : '';
  return written
    ? `${path}: ${name} has now ${fields.join(', ')}`
    : `Give ${name} in ${path} these fields: ${fields.join(', ')}${dropped}`;
}
