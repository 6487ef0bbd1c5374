/** Examines the hosts of an inventory: each looks at itself, the first control plane that answers also at the cluster. */
import { bundlePaths } from '../config/paths.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { judgeClocks, judgeHosts } from '../health/judge-cluster.ts';
import type { HealthReport, HostReport, Problem } from '../health/types.ts';
import { limitHosts } from '../inventory/read-inventory.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { connectHost } from './connect-host.ts';
import { type InventoryOptions, openInventory } from './plan.ts';

export interface ExamineOptions extends InventoryOptions {
  fix: boolean;
  signal: AbortSignal;
}

interface Examined {
  name: string;
  report?: HealthReport;
  error?: string;
  /** Seconds by which the host's clock is ahead of this machine's. */
  offset?: number;
}

const kinit = `${bundlePaths.bin}/kinit`;

/** A large etcd takes minutes to be made small. */
const clusterFixMs = 1_800_000;

/** @param fix the flag for the host's own doctor */
async function examineOne(
  host: InventoryHost,
  { signal, env }: ExamineOptions,
  fix?: '--fix' | '--fix-host',
): Promise<Examined> {
  const { name } = host;
  try {
    const connection = await connectHost(host, signal, env);
    try {
      const command = `${kinit} doctor --output json${fix ? ` ${fix}` : ''}`;
      const timeoutMs = fix === '--fix' ? clusterFixMs : 180_000;
      const { code, stdout, stderr } = await connection.root(command, { signal, timeoutMs });
      const received = Date.now();
      if (code === 127 || code === 126) return { name, error: `there is no kinit on this host: ${stderr.trim()}` };
      const report = parseReport(stdout);
      if (!report) return { name, error: stderr.trim() || `kinit doctor ended with exit code ${code}` };
      return { name, report, offset: (new Date(report.time).getTime() - received) / 1000 };
    } finally {
      connection.close();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    const { message, details } = asKinitError(thrown);
    return { name, error: [message, details.seen].filter(Boolean).join(': ') };
  }
}

function parseReport(text: string): HealthReport | undefined {
  try {
    const report = JSON.parse(text) as HealthReport;
    return Array.isArray(report.hosts) && Array.isArray(report.problems) ? report : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Problems of a host carry the host's own name there; the inventory's is what the reader knows. */
const renamed = (problems: readonly Problem[], name: string): Problem[] =>
  problems.filter(({ where }) => where !== 'cluster').map((problem) => ({ ...problem, where: name }));

/** Of those that look at the cluster: one whose API server answers says more than one whose does not. */
function sourceOf(all: readonly Examined[]): HealthReport | undefined {
  const answers = all.flatMap(({ report }) => (report?.cluster ? [report] : []));
  return (
    answers.find(({ cluster, etcd }) => cluster?.apiError === undefined && etcd?.error === undefined) ??
    answers.find(({ cluster }) => cluster?.apiError === undefined) ??
    answers.find(({ etcd }) => etcd?.error === undefined) ??
    answers[0]
  );
}

/** Each host mends itself; what they share is mended by one of them, after that. */
async function examineAll(hosts: readonly InventoryHost[], options: ExamineOptions): Promise<Examined[]> {
  const all = await Promise.all(hosts.map((host) => examineOne(host, options, options.fix ? '--fix-host' : undefined)));
  const shared = ({ where, fix }: Problem) => where === 'cluster' && fix !== undefined;
  const source = sourceOf(all);
  const index = all.findIndex(({ report }) => report !== undefined && report === source);
  const host = hosts[index];
  if (!options.fix || !host || !source?.problems.some(shared)) return all;
  const mended = await examineOne(host, options, '--fix');
  // With that the others may be well again.
  const after = await Promise.all(hosts.map((one, i) => (i === index ? mended : examineOne(one, options))));
  return after.map((one, i) => {
    const fixed = [...(all[i]?.report?.fixed ?? []), ...(one.report?.fixed ?? [])];
    return one.report ? { ...one, report: { ...one.report, fixed } } : one;
  });
}

export async function examineFleet(options: ExamineOptions): Promise<HealthReport> {
  const inventory = await openInventory(options);
  const hosts = limitHosts(inventory, options.limit);
  const all = await examineAll(hosts, options);
  const reports = all.map(
    ({ name, report, error }): HostReport => ({
      name,
      ...(report?.hosts[0]?.observation ? { observation: report.hosts[0].observation } : {}),
      ...(error === undefined ? {} : { error }),
    }),
  );
  const source = sourceOf(all);
  const offsets = new Map(all.flatMap(({ name, offset }) => (offset === undefined ? [] : [[name, offset] as const])));
  if (!reports.some(({ observation }) => observation)) {
    throw new KinitError('Connection', 'no host could be looked at', {
      seen: reports.map(({ name, error }) => `${name}: ${error}`).join('\n'),
      advice: 'check the inventory with kinit inventory list, and the hosts with ssh',
    });
  }
  return {
    time: new Date().toISOString(),
    hosts: reports,
    ...(source?.cluster ? { cluster: source.cluster } : {}),
    ...(source?.etcd ? { etcd: source.etcd } : {}),
    problems: [
      ...all.flatMap(({ name, report }) => (report ? renamed(report.problems, name) : [])),
      ...judgeHosts(reports),
      ...judgeClocks(offsets),
      ...(source?.problems.filter(({ where }) => where === 'cluster') ?? []),
    ],
    ...(options.fix ? { fixed: all.flatMap(({ name, report }) => renamedFixes(report, name)) } : {}),
  };
}

const renamedFixes = (report: HealthReport | undefined, name: string) =>
  (report?.fixed ?? []).map((one) =>
    one.problem.where === 'cluster' ? one : { ...one, problem: { ...one.problem, where: name } },
  );
