/**
 * `npm run bench -- ha`: three control planes and three workers from bare hosts, a second run that changes nothing, and for how long clients
 * get no answer of the API when a control plane dies: by the local endpoint of a worker, and by the virtual address.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { observe } from '../test/parts/outage.ts';
import {
  hostsForSeveral,
  readOnce,
  type SeveralControlPlanes,
  serversInUse,
  virtualHolder,
  wayThrough,
  write,
} from '../test/parts/several-control-planes.ts';
import { hostCpuSeconds } from './cluster-run.ts';
import { measureReference } from './reference.ts';
import { endReport, type Figure } from './report.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    network: { type: 'string', default: '190' },
    lab: { type: 'string', default: 'bench' },
    masters: { type: 'string', default: '3' },
    workers: { type: 'string', default: '3' },
    /** How many times a control plane is killed. */
    rounds: { type: 'string', default: '3' },
    keep: { type: 'boolean', default: false },
  },
});
const [masters, workers, rounds] = [values.masters, values.workers, values.rounds].map(Number) as [
  number,
  number,
  number,
];
if (!(masters >= 3 && workers >= 1 && rounds >= 1))
  throw new Error('--masters takes 3 or more, --workers and --rounds 1 or more');
/** What a client may bear. */
const gapBudget = 10;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Seconds, and CPU time of all hosts meanwhile. */
async function timed(cluster: SeveralControlPlanes, run: () => Promise<unknown>) {
  const used = () => cluster.lab.hosts.reduce((sum, host) => sum + hostCpuSeconds(cluster.lab, host), 0);
  const [before, started] = [used(), performance.now()];
  await run();
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: used() - before };
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 120_000; !(await isSo()); await delay(500))
    if (Date.now() > deadline) throw new Error(`after two minutes still not: ${what}`);
}

const name = 'asked';

/** Kills the control plane that the worker's endpoint leads to, or the one with the virtual address; answers the longest gaps in seconds. */
async function killOne(cluster: SeveralControlPlanes, which: 'endpoint' | 'address'): Promise<Record<string, number>> {
  const [worker] = cluster.workers;
  if (!worker) throw new Error('no worker');
  const all = cluster.masters.map((host) => host.name);
  const inUse = await serversInUse(worker);
  const holder = await virtualHolder(cluster, all[0] as string);
  const victim = cluster.masters.find((host) =>
    which === 'endpoint' ? inUse.includes(host.ip) : host.name === holder,
  );
  if (!victim) throw new Error(`no control plane is used: endpoint ${inUse.join(', ')}, virtual address ${holder}`);
  const other = all.find((each) => each !== victim.name) as string;
  const way = await wayThrough(cluster.lab, worker);
  const server = which === 'endpoint' ? way.server : `${cluster.virtualIP}:6443`;
  const kept = await cluster.client(server);
  const observers = {
    'new connections, reads': observe(() => readOnce(cluster, server, name), 50),
    'a connection that is kept, writes': observe(write(kept, name), 50),
  };
  try {
    await Promise.all(Object.values(observers).map((each) => each.answers(10, 30_000)));
    for (const each of Object.values(observers)) each.seen();
    await victim.kill();
    await until(
      async () => !(await cluster.kubectl(other, 'get endpoints kubernetes -o yaml')).includes(victim.ip),
      `${victim.name} is out of the endpoints of the Service kubernetes`,
    );
    await Promise.all(Object.values(observers).map((each) => each.answers(10, 30_000)));
    const gaps = Object.entries(observers).map(([what, each]) => [what, each.seen().longestMs / 1000] as const);
    return Object.fromEntries(gaps);
  } finally {
    await Promise.all(Object.values(observers).map((each) => each.stop()));
    kept.close();
    way.close();
    await victim.start();
    await until(async () => {
      const listed = await cluster.kubectl(other, 'get endpoints kubernetes -o yaml');
      const node = await cluster.kubectl(other, `get node ${victim.name} --no-headers`);
      return listed.includes(victim.ip) && / Ready /.test(node);
    }, `${victim.name} is back`);
  }
}

say('reference');
const reference = await measureReference(process.execPath);
const figures: Figure[] = [];
const hosts = `${masters}+${workers} hosts`;
say(`a lab of ${hosts}`);
const cluster = await hostsForSeveral({ name: values.lab, network: Number(values.network), masters, workers });
try {
  say('kinit up');
  const init = await timed(cluster, () => cluster.up());
  figures.push({ what: `kinit up, bare ${hosts}`, value: init.seconds, unit: 's' });
  figures.push({ what: `kinit up, bare ${hosts}: CPU time of all`, value: init.cpuSeconds, unit: 's' });
  say('kinit up again');
  const again = await timed(cluster, async () => {
    const said = await cluster.up();
    if (!/unchanged|nothing had to be changed/i.test(said))
      throw new Error(`the second run has changed something:\n${said}`);
  });
  figures.push({ what: `kinit up again, ${hosts}, nothing to do`, value: again.seconds, unit: 's' });
  figures.push({ what: `kinit up again, ${hosts}: CPU time of all`, value: again.cpuSeconds, unit: 's' });
  const [first] = cluster.masters;
  await cluster.kubectl(first?.name as string, `create configmap ${name}`);
  for (const [which, title] of [
    ['endpoint', "a worker's endpoint"],
    ['address', 'the virtual address'],
  ] as const) {
    const worst = new Map<string, number>();
    for (let round = 1; round <= rounds; round++) {
      say(`a control plane dies: by ${title}, ${round} of ${rounds}`);
      for (const [what, gap] of Object.entries(await killOne(cluster, which)))
        worst.set(what, Math.max(worst.get(what) ?? 0, gap));
    }
    for (const [what, value] of worst)
      figures.push({ what: `longest gap by ${title}: ${what}`, value, unit: 's', budget: gapBudget });
  }
} finally {
  await cluster.down();
}

await endReport({
  name: 'ha',
  folder: join(root, 'bench/results'),
  sample: values.keep ? 'sample-ha' : undefined,
  reference,
  figures,
  phases: {},
});
