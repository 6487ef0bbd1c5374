/**
 * `npm run bench -- joins`: bare lab hosts join a running cluster at once, by `kinit join --inventory`: how long it takes for one, for
 * several, for many; what each of them costs in CPU time; and how much goes over SSH to each.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import type { FleetEvent } from '../src/installer/fleet/events.ts';
import { createLab, type Lab, type LabHost } from '../test/lab/lab.ts';
import { distBundle } from './bundle-path.ts';
import { hostCpuSeconds } from './cluster-run.ts';
import { measureReference } from './reference.ts';
import { endReport, type Figure, type Report } from './report.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    network: { type: 'string', default: '190' },
    lab: { type: 'string', default: 'bench' },
    bundle: { type: 'string' },
    /** How many hosts join at once, one run after the other. */
    counts: { type: 'string', default: '1,5,20' },
    keep: { type: 'boolean', default: false },
  },
});
const counts = values.counts.split(',').map(Number);
if (counts.some((count) => !Number.isInteger(count) || count < 1))
  throw new Error(`--counts is "${values.counts}"; it takes numbers of hosts, for example 1,5,20`);
/** So many hosts may take this many times as long as the first run. */
const many = 20;
const budgetFactor = 3;

const say = (line: string) => process.stdout.write(`${line}\n`);
const bundle = distBundle(values.bundle);

async function writeInventory(lab: Lab): Promise<string> {
  const document = {
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    cluster: { clusterName: 'bench' },
    defaults: { user: 'root', identityFile: lab.sshKeyPath, knownHosts: lab.knownHosts },
    hosts: lab.hosts.map(({ name, ip }, i) => ({ name, address: ip, roles: [i ? 'worker' : 'control-plane'] })),
  };
  const path = join(lab.state.folder, 'inventory.json');
  await writeFile(path, JSON.stringify(document));
  return path;
}

async function kinit(...words: string[]): Promise<FleetEvent[]> {
  const program = join(root, 'dist/kinit/main.mjs');
  const { stdout } = await execa(process.execPath, [program, ...words, '--bundle', bundle, '--output', 'json'], {
    stdin: 'ignore',
    maxBuffer: 64 << 20,
  });
  return stdout.split('\n').map((line) => JSON.parse(line) as FleetEvent);
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

interface JoinRun {
  seconds: number;
  figures: Figure[];
  phases: { name: string; ms: number }[];
}

async function joinAtOnce(lab: Lab, inventory: string, hosts: readonly LabHost[]): Promise<JoinRun> {
  const cpuBefore = hosts.map((host) => hostCpuSeconds(lab, host));
  const started = performance.now();
  const events = await kinit('join', '--inventory', inventory, '--limit', hosts.map(({ name }) => name).join(','));
  const seconds = (performance.now() - started) / 1000;
  const cpuSeconds = mean(hosts.map((host, index) => hostCpuSeconds(lab, host) - cpuBefore[index]!));
  const names = new Set(hosts.map(({ name }) => name));
  const times = new Map<string, number[]>();
  let traffic: { commands: number; sent: number }[] = [];
  for (const event of events) {
    if (event.type === 'fleet-ended')
      traffic = Object.entries(event.traffic ?? {}).flatMap(([name, each]) => (names.has(name) ? [each] : []));
    else if ((event.type === 'step-ended' || event.type === 'phase-ended') && names.has(event.host ?? '')) {
      const name = event.type === 'step-ended' ? event.step : event.phase;
      times.set(name, [...(times.get(name) ?? []), event.ms]);
    }
  }
  const what = hosts.length === 1 ? '1 host' : `${hosts.length} hosts at once`;
  return {
    seconds,
    phases: [...times].map(([name, list]) => ({ name, ms: Math.round(mean(list)) })),
    figures: [
      { what: `${what}: CPU time of each`, value: cpuSeconds, unit: 's' },
      { what: `${what}: sent to each over SSH`, value: mean(traffic.map(({ sent }) => sent)) / 1e6, unit: 'MB' },
      { what: `${what}: SSH commands for each`, value: mean(traffic.map(({ commands }) => commands)), unit: '' },
    ],
  };
}

say('reference');
const reference = await measureReference(process.execPath);
const figures: Figure[] = [];
const phases: Report['phases'] = {};
const total = counts.reduce((sum, count) => sum + count, 0);
say(`a lab of ${total + 1} hosts, and its control plane`);
const lab = await createLab({
  name: values.lab,
  network: Number(values.network),
  hosts: Array.from({ length: total + 1 }, (_, i) => ({ name: i ? `w${i}` : 'cp1', flavour: 'debian' as const })),
});
try {
  const inventory = await writeInventory(lab);
  await kinit('up', '-i', inventory, '--limit', 'cp1', '--kubeconfig-out', join(lab.state.folder, 'kubeconfig'));
  let next = 1;
  let first: number | undefined;
  for (const count of counts) {
    say(`${count} at once`);
    const {
      seconds,
      figures: others,
      phases: run,
    } = await joinAtOnce(lab, inventory, lab.hosts.slice(next, next + count));
    next += count;
    const budget = count === many && first !== undefined ? { budget: first * budgetFactor } : {};
    first ??= seconds;
    const what = count === 1 ? 'a bare host joins, bundle over SSH' : `${count} bare hosts join at once`;
    figures.push({ what, value: seconds, unit: 's', ...budget }, ...others);
    phases[`join of ${count}, mean`] = run;
  }
} finally {
  await lab.down();
}

await endReport({
  name: 'joins',
  folder: join(root, 'bench/results'),
  sample: values.keep ? 'sample-joins' : undefined,
  reference,
  figures,
  phases,
});
