/** Clusters on fresh lab hosts, and how long each step takes; phases come from the event logs on the hosts. */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type PhaseEvent, parseEvent } from '../src/installer/phases/events.ts';
import { createLab, type Lab, type LabHost } from '../test/lab/lab.ts';
import { cgroupOf } from '../test/lab/state.ts';

export interface Run {
  seconds: number;
  /** CPU time of the host meanwhile: hardly depends on what else the machine does. */
  cpuSeconds?: number;
  phases: { name: string; ms: number }[];
}

export const freshLab = (name: string, network: number): Promise<Lab> =>
  createLab({
    name,
    network,
    hosts: [
      { name: 'cp1', flavour: 'debian' },
      { name: 'w1', flavour: 'debian' },
    ],
  });

/** CPU time that everything on a host has taken, from its control group. */
export function hostCpuSeconds(lab: Lab, host: LabHost): number {
  const group = join('kinit-lab', cgroupOf(lab.state, host.name));
  const separate = join('/sys/fs/cgroup/cpuacct', group, 'cpuacct.usage');
  if (existsSync(separate)) return Number(readFileSync(separate, 'utf8')) / 1e9;
  const unified = readFileSync(join('/sys/fs/cgroup', group, 'cpu.stat'), 'utf8');
  return Number(/^usage_usec (\d+)/m.exec(unified)?.[1]) / 1e6;
}

function runOf(text: string): Run & { joinCommand?: string } {
  const events = text.split('\n').flatMap((line) => parseEvent(line) ?? []);
  const ended = events.find((event): event is Extract<PhaseEvent, { type: 'ended' }> => event.type === 'ended');
  if (!ended) throw new Error(`no last event in:\n${text}`);
  if (!ended.ok) throw new Error(`${ended.error.message}: ${ended.error.seen ?? ''}`);
  const phases = events.flatMap((event) =>
    event.type === 'phase-ended' && event.outcome !== 'skipped' ? [{ name: event.phase, ms: event.ms }] : [],
  );
  return { seconds: ended.ms / 1000, phases, ...(ended.joinCommand ? { joinCommand: ended.joinCommand } : {}) };
}

async function timed(lab: Lab, host: LabHost, command: string): Promise<Run & { joinCommand?: string }> {
  const before = hostCpuSeconds(lab, host);
  const started = performance.now();
  const { code, stdout, stderr } = await host.exec(`${command} --output json`, { timeoutMs: 600_000 });
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0 && !stdout) throw new Error(`${host.name}: ${command}: ${stderr}`);
  return { ...runOf(stdout), seconds, cpuSeconds: hostCpuSeconds(lab, host) - before };
}

/** The bundle lies on the hosts: unpack, init, join, each by hand. */
export async function byHand(lab: Lab, bundle: string): Promise<{ unpack: Run; init: Run; join: Run }> {
  const [control, worker] = [lab.host('cp1'), lab.host('w1')];
  let unpackSeconds = 0;
  for (const host of lab.hosts) {
    await host.copy(bundle, '/var/tmp/kinit.run');
    const started = performance.now();
    await host.must('sh /var/tmp/kinit.run --quiet', { timeoutMs: 600_000 });
    unpackSeconds = (performance.now() - started) / 1000;
  }
  const init = await timed(lab, control, '/opt/kinit/current/bin/kinit init');
  if (!init.joinCommand) throw new Error('kinit init has not told how to join');
  const join = await timed(lab, worker, init.joinCommand.replace(/^kinit /, '/opt/kinit/current/bin/kinit '));
  return { unpack: { seconds: unpackSeconds, phases: [] }, init, join };
}

/** `kinit up` from this machine: bare hosts, the bundle pushed over SSH. */
export async function byFleet(
  lab: Lab,
  kinit: { node: string; program: string; bundle: string },
): Promise<{ all: Run; init: Run; join: Run }> {
  const inventory = join(lab.state.folder, 'inventory.json');
  const document = {
    apiVersion: 'kinit.local/v1alpha1',
    kind: 'Inventory',
    cluster: { clusterName: 'bench' },
    defaults: { user: 'root', identityFile: lab.sshKeyPath, knownHosts: lab.knownHosts },
    hosts: lab.hosts.map(({ name, ip }, index) => ({
      name,
      address: ip,
      roles: [index ? 'worker' : 'control-plane'],
    })),
  };
  await writeFile(inventory, JSON.stringify(document));
  const kubeconfig = join(lab.state.folder, 'kubeconfig');
  const words = ['up', '--inventory', inventory, '--kubeconfig-out', kubeconfig, '--bundle', kinit.bundle];
  const started = performance.now();
  await execa(kinit.node, [kinit.program, ...words], { stdin: 'ignore' });
  const all = { seconds: (performance.now() - started) / 1000, phases: [] };
  const log = async (name: string) => runOf(await lab.host(name).must('cat /var/lib/kinit/jobs/*/events.jsonl'));
  return { all, init: await log('cp1'), join: await log('w1') };
}
