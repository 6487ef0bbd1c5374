/** What `kinit etcd` prints for people. */

import { basename } from 'node:path';
import type { SnapshotEntry, SnapshotInfo } from '../../installer/etcd/snapshot-file.ts';
import type { EtcdStatus, MemberStatus } from '../../installer/etcd/status.ts';
import { formatTable } from '../table.ts';

/** `20 MB`, as etcdctl prints sizes. */
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined) return '-';
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const role = ({ leader, learner, healthy }: MemberStatus) =>
  learner ? 'learner' : leader && healthy ? 'leader' : 'voter';

const some = (value: number | string | undefined) => (value === undefined || value === '' ? '-' : String(value));

const statusHeader = [
  'ID',
  'NAME',
  'ENDPOINT',
  'VERSION',
  'ROLE',
  'TERM',
  'INDEX',
  'APPLIED',
  'DB SIZE',
  'IN USE',
  'LATENCY',
  'ALARMS',
  'HEALTH',
];

export function formatEtcdStatus({ clusterId, external, members, quorum, snapshots, problems }: EtcdStatus): string {
  const table = formatTable(
    statusHeader,
    members.map((member) => [
      member.id,
      some(member.name),
      some(member.clientUrls[0]),
      some(member.version),
      role(member),
      some(member.raftTerm),
      some(member.raftIndex),
      some(member.raftAppliedIndex),
      formatBytes(member.dbSizeBytes),
      formatBytes(member.dbSizeInUseBytes),
      member.latencyMs === undefined ? '-' : `${member.latencyMs} ms`,
      some(member.alarms.join(',')),
      member.healthy ? 'healthy' : 'UNHEALTHY',
    ]),
  );
  const lines = [
    `cluster ${clusterId || 'unknown'}${external ? ', not run by kinit' : ''}`,
    `quorum: ${quorum.verdict}`,
  ];
  if (snapshots) {
    const { schedule, keep, directory, lastSnapshot, lastResult } = snapshots;
    lines.push(
      `snapshots: ${schedule}, ${keep} kept in ${directory}; last ${lastSnapshot ?? 'none'}${lastResult ? ` (${lastResult})` : ''}`,
    );
  }
  return `${table}\n${[...lines, ...problems.map((problem) => `problem: ${problem}`)].join('\n')}\n`;
}

export function formatMembers(members: readonly MemberStatus[]): string {
  return formatTable(
    ['ID', 'NAME', 'PEER ADDRESSES', 'CLIENT ADDRESSES', 'ROLE', 'HEALTH'],
    members.map((member) => [
      member.id,
      some(member.name),
      member.peerUrls.join(','),
      some(member.clientUrls.join(',')),
      role(member),
      member.healthy ? 'healthy' : 'UNHEALTHY',
    ]),
  );
}

export function formatSnapshots(entries: readonly SnapshotEntry[]): string {
  return formatTable(
    ['NAME', 'TIME', 'REVISION', 'KEYS', 'SIZE', 'KUBERNETES', 'PKI'],
    entries.map(({ path, sizeBytes, info }) => [
      basename(path),
      some(info?.time),
      some(info?.revision),
      some(info?.keys),
      formatBytes(sizeBytes),
      some(info?.kubernetesVersion),
      info ? (info.pki ? 'yes' : 'no') : '-',
    ]),
  );
}

/** What is known of one snapshot, line by line. */
export function formatSnapshot(path: string, info: Partial<SnapshotInfo>): string {
  const rows: [string, string | undefined][] = [
    ['file', path],
    ['time', info.time],
    ['node', info.node],
    ['cluster', info.clusterId],
    ['etcd', info.etcdVersion],
    ['Kubernetes', info.kubernetesVersion],
    ['revision', info.revision?.toString()],
    ['keys', info.keys?.toString()],
    ['size', info.sizeBytes === undefined ? undefined : `${info.sizeBytes} bytes`],
    ['sha256', info.sha256],
    ['keys of the cluster', info.pki === undefined ? undefined : info.pki ? `${path}.pki` : 'no'],
  ];
  return rows
    .filter(([, value]) => value)
    .map(([name, value]) => `${`${name}:`.padEnd(21)}${value}\n`)
    .join('');
}
