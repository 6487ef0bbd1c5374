/** What `kinit status` and `kinit doctor` print. */
import { describeQuorum } from '../../installer/etcd/quorum.ts';
import type { MemberStatus } from '../../installer/etcd/status.ts';
import { expiryWarningDays } from '../../installer/health/judge-host.ts';
import type {
  Certificate,
  ClusterObservation,
  EtcdObservation,
  HealthReport,
  HostObservation,
  HostReport,
  NodeObservation,
  Problem,
} from '../../installer/health/types.ts';
import { formatBytes } from './etcd.ts';

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
const dayMs = 86_400_000;

/** Lines of a tree below a title. */
interface Branch {
  text: string;
  below?: Branch[];
}

function draw(branches: readonly Branch[], indent = ''): string[] {
  return branches.flatMap(({ text, below = [] }, index) => {
    const last = index === branches.length - 1;
    return [`${indent}${last ? '└─ ' : '├─ '}${text}`, ...draw(below, `${indent}${last ? '   ' : '│  '}`)];
  });
}

function soonest(certificates: readonly Certificate[], now: Date): string {
  const [first] = [...certificates].sort((a, b) => (a.expires < b.expires ? -1 : 1));
  if (!first) return 'none';
  const days = Math.floor((new Date(first.expires).getTime() - now.getTime()) / dayMs);
  const mark = days < 0 ? 'EXPIRED ' : days < expiryWarningDays ? 'SOON ' : '';
  return `${mark}until ${first.expires.slice(0, 10)} (${first.name}, ${days} days)`;
}

function leads(component: string, node: string | undefined, cluster: ClusterObservation | undefined): string {
  const leader = cluster?.leaders.find((one) => one.component === component);
  return leader?.holder && leader.holder === node ? ' (leads)' : '';
}

function hostBranches(host: HostObservation, cluster: ClusterObservation | undefined, now: Date): Branch[] {
  const services = host.services.map(({ unit, state }) => {
    const name = unit.replace('.service', '');
    return state === 'active' ? name : `${name} ${state.toUpperCase()}`;
  });
  const components = host.components.map(
    ({ name, healthy, restarts }) =>
      `${name}${leads(name, host.nodeName, cluster)}${restarts ? `, ${count(restarts, 'restart')}` : ''}${healthy ? '' : ' UNHEALTHY'}`,
  );
  const disk = [...host.disks].sort((a, b) => b.usedPercent - a.usedPercent)[0];
  return [
    { text: `services      ${services.join(', ')}` },
    ...(components.length ? [{ text: `components    ${components.join('; ')}` }] : []),
    ...(host.certificates.length ? [{ text: `certificates  ${soonest(host.certificates, now)}` }] : []),
    {
      text: `room          memory ${host.memoryAvailablePercent} % free, ${disk?.mount ?? '/'} ${disk?.usedPercent ?? 0} % used`,
    },
  ];
}

function nodeState(node: NodeObservation | undefined): string {
  if (!node) return 'no node';
  return `${node.ready ? 'Ready' : 'NotReady'}${node.unschedulable ? ', cordoned' : ''}`;
}

function hostBranch(
  { name, observation, error }: HostReport,
  cluster: ClusterObservation | undefined,
  now: Date,
): Branch {
  if (!observation) return { text: `${name}  UNREACHABLE: ${error}` };
  const { role, nodeName, system, kernel, kinitVersion } = observation;
  if (role === 'none') return { text: `${name}  not a node (${system}, ${kernel})` };
  const node = cluster?.nodes.find((one) => one.name === nodeName);
  const facts = [role, ...(cluster && cluster.apiError === undefined ? [nodeState(node)] : []), kinitVersion];
  const title = [nodeName === name ? name : `${name} (node ${nodeName})`, ...facts, node?.address, system];
  return { text: title.filter(Boolean).join('  '), below: hostBranches(observation, cluster, now) };
}

function memberText(member: MemberStatus, quotaBytes: number | undefined): string {
  const { name, id, leader, learner, healthy, error, dbSizeBytes, dbSizeInUseBytes, latencyMs, alarms } = member;
  const role = learner ? 'learner' : leader ? 'leader' : 'voter';
  if (!healthy) return `${name || id}  ${role}  SILENT: ${error ?? 'no answer'}`;
  const quota = quotaBytes ? ` of ${formatBytes(quotaBytes)}` : '';
  const size = `${formatBytes(dbSizeBytes)}${quota} (${formatBytes(dbSizeInUseBytes)} in use)`;
  return [name || id, role, member.version, size, `${latencyMs} ms`, ...alarms].filter(Boolean).join('  ');
}

function etcdBranch({ external, error, members, quorum, quotaBytes }: EtcdObservation): Branch {
  if (error !== undefined) return { text: `etcd  SILENT: ${error}` };
  const mark = quorum.has ? '' : 'NO MAJORITY: ';
  return {
    text: `etcd  ${mark}${describeQuorum(quorum)}${external ? '; not run by kinit' : ''}`,
    below: members.map((member) => ({ text: memberText(member, quotaBytes) })),
  };
}

export function formatStatus({ hosts, cluster, etcd, problems }: HealthReport, now = new Date()): string {
  const named = new Set(hosts.flatMap(({ observation }) => (observation?.nodeName ? [observation.nodeName] : [])));
  const others = (cluster?.nodes ?? []).filter(({ name }) => !named.has(name));
  const branches: Branch[] = [
    ...hosts.map((host) => hostBranch(host, cluster, now)),
    ...others.map((node) => ({
      text: [node.name, node.roles.join(',') || 'worker', nodeState(node), node.version, node.address].join('  '),
    })),
    ...(etcd ? [etcdBranch(etcd)] : []),
    ...(cluster && cluster.apiError === undefined
      ? [{ text: `dns  ${cluster.dns.answers ? `answers at ${cluster.dns.service}` : 'SILENT'}` }]
      : []),
  ];
  const errors = problems.filter(({ level }) => level === 'error').length;
  const verdict = problems.length
    ? `${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}; see: kinit doctor`
    : 'Nothing is wrong.';
  return `${[clusterLine(cluster), ...draw(branches), '', verdict].join('\n')}\n`;
}

function clusterLine(cluster: ClusterObservation | undefined): string {
  if (!cluster) return 'cluster (not seen from here: no control plane was looked at)';
  if (cluster.apiError !== undefined) return `cluster ${cluster.endpoint}  NO ANSWER: ${cluster.apiError}`;
  const ready = cluster.nodes.filter((node) => node.ready).length;
  const { total, running } = cluster.pods;
  return `cluster ${cluster.endpoint}  ${cluster.version}  ${ready} of ${count(cluster.nodes.length, 'node')} Ready  ${running} of ${count(total, 'pod')} ready`;
}

function problemLines({ where, level, message, seen, advice, fix }: Problem, fixing: boolean): string[] {
  return [
    `${level === 'error' ? '✗ error  ' : '! warning'} ${where}: ${message}`,
    ...(seen ? seen.split('\n').map((line) => `      seen: ${line}`) : []),
    `      what to do: ${advice}${fix && !fixing ? '   (kinit doctor --fix does it)' : ''}`,
  ];
}

const keyOf = ({ where, id, message }: Problem) => [where, id, message].join('\n');

export function formatDoctor({ hosts, problems, fixed }: HealthReport): string {
  const lines: string[] = [];
  for (const { problem, error, advice } of fixed ?? []) {
    lines.push(
      error === undefined
        ? `✓ mended   ${problem.where}: ${problem.message}`
        : `✗ not mended ${problem.where}: ${problem.message}\n      seen: ${error}`,
    );
    if (advice) lines.push(`      what to do: ${advice}`);
  }
  const told = (fixed ?? []).filter(({ error }) => error !== undefined).map(({ problem }) => keyOf(problem));
  const order = problems
    .filter((problem) => !told.includes(keyOf(problem)))
    .sort((a, b) => (a.level === b.level ? 0 : a.level === 'error' ? -1 : 1));
  for (const problem of order) lines.push(...problemLines(problem, fixed !== undefined));
  const errors = problems.filter(({ level }) => level === 'error').length;
  const looked = count(hosts.filter(({ observation }) => observation).length, 'host');
  const fixable = problems.filter(({ fix }) => fix).length;
  lines.push(
    problems.length
      ? `${count(errors, 'error')}, ${count(problems.length - errors, 'warning')} on ${looked}${fixable && !fixed ? `; ${fixable} can be mended with --fix` : ''}.`
      : `Nothing is wrong (${looked} looked at).`,
  );
  return `${lines.join('\n')}\n`;
}
