/** Examines this host, and from a control plane the cluster; mends what may be mended. */
import { kubeconfigPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { exists, type Host } from '../host/host.ts';
import { pause } from '../host/wait.ts';
import { clientFromFile } from '../phases/run.ts';
import { fixHost } from './fix.ts';
import { judgeCluster } from './judge-cluster.ts';
import { judgeEtcd } from './judge-etcd.ts';
import { judgeHost } from './judge-host.ts';
import { observeCluster } from './observe-cluster.ts';
import { observeEtcd } from './observe-etcd.ts';
import { kubeletDocument, observeHealth } from './observe-host.ts';
import type { HealthReport, HostObservation, Problem } from './types.ts';

/** What was mended needs a moment until it shows: the kubelet starts, a node becomes Ready. */
const settleMs = 30_000;
const settlingProblems = ['component-unhealthy', 'node-not-ready', 'leader-silent'];

async function clusterFrom(host: Host) {
  if (!(await exists(host, kubeconfigPaths.admin))) return undefined;
  const client = await clientFromFile(host, kubeconfigPaths.admin);
  try {
    return await observeCluster(client, (await kubeletDocument(host)).clusterDomain || 'cluster.local');
  } finally {
    client.close();
  }
}

async function look(host: Host): Promise<HealthReport & { observation: HostObservation }> {
  const [observation, cluster] = await Promise.all([observeHealth(host), clusterFrom(host)]);
  // On its own: how long it takes to answer shall be etcd's doing.
  const etcd = await observeEtcd(host);
  const name = observation.hostname;
  return {
    time: new Date().toISOString(),
    hosts: [{ name, observation }],
    ...(cluster ? { cluster } : {}),
    ...(etcd ? { etcd } : {}),
    problems: [
      ...judgeHost(name, observation),
      ...(cluster ? judgeCluster(cluster) : []),
      ...(etcd ? judgeEtcd(etcd) : []),
    ],
    observation,
  };
}

const sameProblem = (a: Problem, b: Problem) => a.id === b.id && a.message === b.message;

/** @param fix `host`: all but what the hosts of a cluster share */
export async function examineHost(host: Host, fix?: 'host' | 'all'): Promise<HealthReport> {
  const { observation, ...report } = await look(host);
  if (!fix) return report;
  const fixable = report.problems.filter((problem) => problem.fix && (fix === 'all' || problem.where !== 'cluster'));
  if (!fixable.length) return { ...report, fixed: [] };
  if (process.getuid?.() !== 0) throw new KinitError('Usage', '--fix needs root', { advice: 'run it with sudo' });
  const fixed = await fixHost(host, observation, fixable);
  const worked = fixed.filter(({ error }) => error === undefined).map(({ problem }) => problem);
  const deadline = Date.now() + settleMs;
  for (;;) {
    const { observation: _, ...after } = await look(host);
    const remaining = after.problems.some((problem) => worked.some((one) => sameProblem(one, problem)));
    const settling = worked.length > 0 && after.problems.some(({ id }) => settlingProblems.includes(id));
    if ((!remaining && !settling) || Date.now() > deadline) return { ...after, fixed };
    await pause(1_000);
  }
}
