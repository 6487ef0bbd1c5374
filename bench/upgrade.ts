/**
 * `npm run bench -- upgrade`: three control planes and three workers go to the next version by `kinit upgrade apply --inventory`, while
 * two replicas with a budget are asked ten times a second: how long it takes, in all and for each host, what was not answered,
 * and for how long API servers were away.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import type { FleetEvent } from '../src/installer/fleet/events.ts';
import { busyboxImage } from '../test/images/build.ts';
import { createLab, type Lab } from '../test/lab/lab.ts';
import { loadTestImages } from '../test/parts/load-images.ts';
import { buildNextBundle } from '../test/parts/next-bundle.ts';
import { askServing, servingManifest, servingNamespace, stopAsking } from '../test/parts/serving.ts';
import { watchServers } from './api-gaps.ts';
import { distBundle } from './bundle-path.ts';
import { hostCpuSeconds } from './cluster-run.ts';
import { measureReference } from './reference.ts';
import { endReport, type Figure } from './report.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    network: { type: 'string', default: '190' },
    lab: { type: 'string', default: 'bench' },
    bundle: { type: 'string' },
    'max-unavailable': { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
});
const planes = ['cp1', 'cp2', 'cp3'];
const workers = ['w1', 'w2', 'w3'];

const say = (line: string) => process.stdout.write(`${line}\n`);

async function writeInventory(lab: Lab): Promise<string> {
  const document = {
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    cluster: { clusterName: 'bench' },
    defaults: { user: 'root', identityFile: lab.sshKeyPath, knownHosts: lab.knownHosts },
    hosts: lab.hosts.map(({ name, ip }) => ({
      name,
      address: ip,
      roles: [planes.includes(name) ? 'control-plane' : 'worker'],
    })),
  };
  const path = join(lab.state.folder, 'inventory.json');
  await writeFile(path, JSON.stringify(document));
  return path;
}

async function kinit(program: string, ...words: string[]): Promise<FleetEvent[]> {
  const { stdout } = await execa(process.execPath, [program, ...words, '--output', 'json'], {
    stdin: 'ignore',
    maxBuffer: 64 << 20,
  });
  return stdout.split('\n').map((line) => JSON.parse(line) as FleetEvent);
}

const kubectl = 'kubectl --kubeconfig /etc/kubernetes/admin.conf';

/** Two replicas with a budget, that serve. */
async function startServing(lab: Lab): Promise<void> {
  await loadTestImages(workers.map((name) => lab.host(name)));
  const manifest = Buffer.from(servingManifest(busyboxImage)).toString('base64');
  await lab
    .host('cp1')
    .must(
      `echo ${manifest} | base64 -d | ${kubectl} apply -f - && ${kubectl} -n ${servingNamespace} rollout status deployment web --timeout=120s`,
      { timeoutMs: 150_000 },
    );
  await askServing(lab.host('cp1'));
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

/** Mean milliseconds of each step and phase on these hosts; a phase that has run twice there counts with both. */
function phasesOf(events: readonly FleetEvent[], names: readonly string[]): { name: string; ms: number }[] {
  const times = new Map<string, number>();
  for (const event of events) {
    if (event.type !== 'step-ended' && event.type !== 'phase-ended') continue;
    if (!names.includes(event.host ?? '')) continue;
    const name = event.type === 'step-ended' ? event.step : event.phase;
    times.set(name, (times.get(name) ?? 0) + event.ms);
  }
  return [...times].map(([name, ms]) => ({ name, ms: Math.round(ms / names.length) }));
}

/** What was going on at a time, of each host that had begun something. */
function underwayAt(events: readonly FleetEvent[], time: number): string {
  const underway = new Map<string, string>();
  for (const event of events) {
    if (Date.parse(event.time) > time) break;
    if (event.type === 'step-started') underway.set(event.host, event.step);
    if (event.type === 'phase-started') underway.set(event.host ?? '', event.phase);
    if (event.type === 'step-ended' || event.type === 'phase-ended') underway.delete(event.host ?? '');
  }
  return [...underway].map(([host, what]) => `${host} ${what}`).join(', ') || 'nothing on any host';
}

/** What comes to all hosts at once, before the first one changes. */
const prepared = ['connect', 'ship', 'unpack'];
const turnOf = (phases: readonly { name: string; ms: number }[]) =>
  phases.filter(({ name }) => !prepared.includes(name)).reduce((sum, { ms }) => sum + ms, 0) / 1000;

async function upgrade(lab: Lab, program: string, bundle: string) {
  const inventory = await writeInventory(lab);
  await kinit(
    join(root, 'dist/kinit/main.mjs'),
    ...['up', '-i', inventory, '--bundle', distBundle(values.bundle)],
    ...['--kubeconfig-out', join(lab.state.folder, 'kubeconfig')],
  );
  await startServing(lab);
  say('the upgrade');
  const cpuBefore = lab.hosts.map((host) => hostCpuSeconds(lab, host));
  const stopWatching = watchServers(planes.map((name) => lab.host(name).ip));
  const started = performance.now();
  const events = await kinit(
    program,
    ...['upgrade', 'apply', '-i', inventory, '--bundle', bundle, '--yes', '--delete-emptydir-data'],
    ...['--max-unavailable', values['max-unavailable']],
  );
  const seconds = (performance.now() - started) / 1000;
  const gaps = await stopWatching();
  const served = await stopAsking(lab.host('cp1'));
  const cpu = lab.hosts.map((host, index) => hostCpuSeconds(lab, host) - cpuBefore[index]!);
  return { events, seconds, gaps, served, cpu };
}

say('reference');
const reference = await measureReference(process.execPath);
say('the next bundle');
const folder = join(root, '.cache/bench-next');
const next = await buildNextBundle(folder);
say('a lab of 6 hosts, and its cluster');
const lab = await createLab({
  name: values.lab,
  network: Number(values.network),
  hosts: [...planes, ...workers].map((name) => ({ name, flavour: 'debian' as const })),
});
let measured: Awaited<ReturnType<typeof upgrade>>;
try {
  measured = await upgrade(lab, next.program, next.file);
} finally {
  await lab.down();
  await rm(folder, { recursive: true, force: true });
}

const { events, seconds, gaps, served, cpu } = measured;
const [ofPlanes, ofWorkers] = [phasesOf(events, planes), phasesOf(events, workers)];
const figures: Figure[] = [
  { what: 'upgrade of 3 control planes and 3 workers', value: seconds, unit: 's' },
  { what: 'turn of a control plane, mean', value: turnOf(ofPlanes), unit: 's' },
  { what: 'turn of a worker, with its drain, mean', value: turnOf(ofWorkers), unit: 's' },
  { what: 'CPU time of each host', value: mean(cpu), unit: 's' },
  { what: 'questions to the workload', value: served.answered + served.failed.length, unit: '' },
  { what: 'questions without an answer', value: served.failed.length, unit: '', budget: 0 },
  { what: 'longest time without one API server', value: Math.max(...gaps.each.map((gap) => gap.seconds)), unit: 's' },
  { what: 'longest time without any API server', value: gaps.all.seconds, unit: 's' },
];
say(`no API server answered for ${gaps.all.seconds.toFixed(1)} s, since: ${underwayAt(events, gaps.all.since)}`);
await endReport({
  name: 'upgrade',
  folder: join(root, 'bench/results'),
  sample: values.keep ? 'sample-upgrade' : undefined,
  reference,
  figures,
  phases: { 'a control plane, mean': ofPlanes, 'a worker, mean': ofWorkers },
});
