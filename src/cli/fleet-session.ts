/** Runs a command over an inventory for the command line: bundle, flags for the hosts, drawing, closing words. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { architectures, ownArchitecture } from '../installer/bundle/architecture.ts';
import { runFileName } from '../installer/bundle/run-file.ts';
import { KinitError } from '../installer/errors.ts';
import type { FleetCommandOptions, FleetResult } from '../installer/fleet/commands.ts';
import type { FleetEvent, FleetSink } from '../installer/fleet/events.ts';
import type { BundleSource, HostKeyChecking } from '../installer/inventory/types.ts';
import { askPassphrase } from './passphrase.ts';
import { fleetLines } from './render/fleet-plain.ts';
import { summaryTable } from './render/fleet-summary.ts';
import { fleetTimings } from './render/fleet-timings.ts';
import { interruptSignal } from './session.ts';

export interface FleetFlags {
  output: string;
  inventory?: string;
  limit?: string[];
  bundle?: string;
  bundleFrom?: BundleSource;
  acceptHostKeys?: boolean;
  hostKeyChecking?: HostKeyChecking;
  config?: string;
  dryRun?: boolean;
  prune?: boolean;
  parallel?: number;
  drainTimeout?: string;
}

/** Flags that are about the workstation, or that differ from host to host. */
const ownFlags = new Set([
  'inventory',
  'limit',
  'bundle',
  'bundleFrom',
  'acceptHostKeys',
  'hostKeyChecking',
  'config',
  'output',
  'dryRun',
  'detailedExitcode',
  'parallel',
  'drainTimeout',
  'force',
  'kubeconfigOut',
  'timings',
  'yes',
]);
const perHostFlags: Record<string, string> = {
  controlPlane: 'the roles of the inventory say which hosts are control planes',
  nodeName: 'give nodeName to the host in the inventory',
  dryRunDir: 'take --dry-run, which shows the differences',
  patches: 'put the folder on each host and name it as patches.directory in a --config file',
  apiserverAdvertiseAddress: 'give localAPIEndpoint.advertiseAddress in a --config file',
};
/** Anybody on the host could read these in the process list. */
const secretFlags: Record<string, string> = {
  token: 'kinit makes a token itself; another one can be given in a --config file',
  discoveryToken: 'give it in a --config file',
  tlsBootstrapToken: 'give it in a --config file',
  certificateKey: 'kinit makes a key itself',
  discoveryFile: 'it would have to be on each of the hosts; give the endpoint with --token instead',
};

/** The flags of the command line that kinit gets on the hosts. */
export function hostArguments(command: Command, handled: readonly string[] = []): string[] {
  const words: string[] = [];
  for (const option of command.options) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) !== 'cli' || ownFlags.has(name) || handled.includes(name)) continue;
    const why = perHostFlags[name] ?? secretFlags[name];
    if (why) throw new KinitError('Usage', `${option.long} is not for use with --inventory: ${why}`);
    const value: unknown = command.getOptionValue(name);
    if (typeof value === 'boolean') words.push(option.long as string);
    else words.push(option.long as string, String(value));
  }
  return words;
}

/** The bundle that is named, or the usual places. */
export function findBundle(named: string | undefined): string {
  if (named) return resolve(named);
  const fromEnvironment = process.env['KINIT_BUNDLE'];
  const own = ownArchitecture();
  const files = [own, ...architectures.filter((each) => each !== own)].map(runFileName);
  const folders = ['dist', '.', join(import.meta.dirname, '../../dist'), join(import.meta.dirname, '..')];
  const places = [
    ...(fromEnvironment ? [fromEnvironment] : []),
    ...files.flatMap((file) => folders.map((folder) => join(folder, file))),
  ].map((place) => resolve(place));
  const found = places.find((place) => existsSync(place));
  if (found) return found;
  throw new KinitError('Bundle', `there is no bundle ${files.join(' or ')}`, {
    seen: `looked for ${[...new Set(places)].join(', ')}`,
    advice: 'build it with npm run bundle, or name it with --bundle',
  });
}

export type HostKeyFlags = Pick<FleetFlags, 'acceptHostKeys' | 'hostKeyChecking'>;

/** What the command line says of unknown host keys. */
export function hostKeyChecking(flags: HostKeyFlags): {
  hostKeyChecking?: HostKeyChecking;
} {
  const how = flags.hostKeyChecking ?? (flags.acceptHostKeys ? 'accept-new' : undefined);
  return how ? { hostKeyChecking: how } : {};
}

/** Draws what happens on hosts until the work has ended, and then how long it took. */
export async function drawEvents<T>(output: string, work: (events: FleetSink) => Promise<T>): Promise<T> {
  if (!['text', 'plain', 'json'].includes(output)) {
    throw new KinitError('Usage', `--output is "${output}"; it takes text, plain or json`);
  }
  const write = (line: string) => process.stdout.write(`${line}\n`);
  const renderer = await rendererFor(output, write);
  const timings = fleetTimings();
  let summary = '';
  try {
    return await work((event) => {
      timings.sink(event);
      if (event.type === 'fleet-ended') summary = summaryTable(event);
      renderer.sink(event);
    });
  } finally {
    await renderer.finish();
    const table = timings.table();
    if (output !== 'json' && table) process.stdout.write(`\n${table}`);
    if (output !== 'json' && summary) process.stdout.write(`\n${summary}`);
  }
}

export function drawFleet<T = FleetResult>(
  flags: FleetFlags,
  hostFlags: string[],
  run: (options: FleetCommandOptions) => Promise<T>,
): Promise<T> {
  return drawEvents(flags.output, (events) =>
    run({
      inventoryPath: flags.inventory as string,
      ...(flags.limit ? { limit: flags.limit } : {}),
      bundlePath: findBundle(flags.bundle),
      ...(flags.bundleFrom ? { bundleFrom: flags.bundleFrom } : {}),
      ...hostKeyChecking(flags),
      askPassphrase,
      ...(flags.config ? { configPath: flags.config } : {}),
      arguments: hostFlags,
      dryRun: flags.dryRun ?? false,
      prune: flags.prune ?? false,
      ...(flags.parallel ? { parallel: flags.parallel } : {}),
      ...(flags.drainTimeout ? { drainTimeout: flags.drainTimeout } : {}),
      signal: interruptSignal(),
      events,
    }),
  );
}

async function rendererFor(output: string, write: (line: string) => void) {
  const finish = async () => undefined;
  if (output === 'json') return { sink: (event: FleetEvent) => write(JSON.stringify(event)), finish };
  // A terminal that does not say how wide it is cannot be drawn on.
  if (output === 'text' && process.stdout.isTTY && process.stdout.columns >= 40) {
    const { fleetTree } = await import('./render/fleet-tree.ts');
    return fleetTree(write);
  }
  const lineOf = fleetLines();
  const sink = (event: FleetEvent) => {
    const line = lineOf(event);
    if (line !== undefined) write(line);
  };
  return { sink, finish };
}
