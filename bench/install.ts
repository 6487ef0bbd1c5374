/**
 * `npm run bench -- install`: what an installation takes, on fresh lab hosts: times of init and join by phase, start times, and
 * memory and CPU time of idle components; each with its budget, and as a ratio to a reference of the same run.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { byFleet, byHand, freshLab } from './cluster-run.ts';
import { measureKubeletStart, measureStarts } from './component-start.ts';
import { type IdleComponent, measureIdle } from './idle.ts';
import { measureReference } from './reference.ts';
import { endReport, type Figure, type Report } from './report.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    network: { type: 'string', default: '190' },
    lab: { type: 'string', default: 'bench' },
    bundle: { type: 'string' },
    idle: { type: 'string', default: '60' },
    /** The repository has one report as a sample: this one becomes that. */
    keep: { type: 'boolean', default: false },
  },
});
const say = (line: string) => process.stdout.write(`${line}\n`);

function run(...args: string[]): void {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function bundlePath(): string {
  if (values.bundle) return values.bundle;
  const name = readdirSync(join(root, 'dist')).find((file) => file.endsWith('.run'));
  if (!name) throw new Error('there is no bundle in dist/');
  return join(root, 'dist', name);
}

const idleBudgets: Record<string, { memory?: number; cpu?: number }> = {
  'kube-apiserver': { memory: 150, cpu: 0.7 },
  'kube-controller-manager': { memory: 95, cpu: 0.3 },
  'kube-scheduler': { memory: 80, cpu: 0.1 },
  kubelet: { memory: 95 },
};

function idleFigures(host: string, components: IdleComponent[]): Figure[] {
  return components.flatMap(({ name, rssMb, pssMb, cpuSecondsPerMinute }) => {
    const { memory, cpu } = idleBudgets[name] ?? {};
    return [
      { what: `memory ${name} ${host}`, value: rssMb, unit: 'MB', ...(memory ? { budget: memory } : {}) },
      { what: `memory ${name} ${host}, own share`, value: pssMb, unit: 'MB' },
      { what: `CPU ${name} ${host}`, value: cpuSecondsPerMinute, unit: 's/min', ...(cpu ? { budget: cpu } : {}) },
    ] satisfies Figure[];
  });
}

run('scripts/prepare-machine.ts');
if (!values.bundle) {
  run('scripts/build.ts');
  run('scripts/bundle.ts');
}
const bundle = bundlePath();
const network = Number(values.network);
const figures: Figure[] = [{ what: 'bundle, compressed', value: statSync(bundle).size / 1e6, unit: 'MB', budget: 150 }];
const phases: Report['phases'] = {};

say('reference');
const reference = await measureReference(process.execPath);

say('start times');
const starts = await measureStarts(join(root, 'dist'));
figures.push(
  { what: 'start apiserver to /readyz, empty etcd', value: starts.apiserver, unit: 's', budget: 1 },
  { what: 'start controller-manager to /healthz', value: starts['controller-manager'], unit: 's', budget: 0.4 },
  { what: 'start scheduler to /healthz', value: starts.scheduler, unit: 's', budget: 0.4 },
);

say('bundle on the host: init, join');
let lab = await freshLab(values.lab, network);
try {
  const { unpack, init, join: joined } = await byHand(lab, bundle);
  figures.push(
    { what: 'unpack the bundle', value: unpack.seconds, unit: 's' },
    { what: 'init to node Ready, bundle on the host', value: init.seconds, unit: 's', budget: 8 },
    { what: 'CPU time of the host meanwhile, init', value: init.cpuSeconds ?? Number.NaN, unit: 's' },
    { what: 'join to node Ready, bundle on the host', value: joined.seconds, unit: 's', budget: 2 },
    { what: 'CPU time of the host meanwhile, join', value: joined.cpuSeconds ?? Number.NaN, unit: 's' },
  );
  phases['init, bundle on the host'] = init.phases;
  phases['join, bundle on the host'] = joined.phases;
  const idleSeconds = Number(values.idle);
  say(`idle for ${idleSeconds} s, after a minute to settle`);
  await delay(60_000);
  const idle = await Promise.all(lab.hosts.map((host) => measureIdle(host, idleSeconds)));
  lab.hosts.forEach((host, index) => {
    figures.push(...idleFigures(host.name, idle[index] ?? []));
  });
  figures.push({ what: 'start kubelet to /healthz', value: await measureKubeletStart(lab.host('w1')), unit: 's' });
} finally {
  await lab.down();
}

say('bare hosts: kinit up, bundle pushed over SSH');
lab = await freshLab(values.lab, network);
try {
  const pushed = await byFleet(lab, { node: process.execPath, program: join(root, 'dist/kinit/main.mjs'), bundle });
  figures.push(
    { what: 'kinit up, two bare hosts, both Ready', value: pushed.all.seconds, unit: 's' },
    { what: 'init of it, on the host', value: pushed.init.seconds, unit: 's' },
    { what: 'join of it, on the host', value: pushed.join.seconds, unit: 's' },
    {
      what: 'init to node Ready, bundle pushed over SSH',
      value: pushed.all.seconds - pushed.join.seconds,
      unit: 's',
      budget: 12,
    },
  );
  phases['init by kinit up'] = pushed.init.phases;
  phases['join by kinit up'] = pushed.join.phases;
} finally {
  await lab.down();
}

await endReport({
  name: 'install',
  folder: join(root, 'bench/results'),
  sample: values.keep ? 'sample-install' : undefined,
  reference,
  figures,
  phases,
});
