/** What doctor and status say of etcd, from what its members have said. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { formatDoctor, formatStatus } from '../../../src/cli/render/health.ts';
import { quorumOf } from '../../../src/installer/etcd/quorum.ts';
import type { MemberStatus } from '../../../src/installer/etcd/status.ts';
import { judgeEtcd } from '../../../src/installer/health/judge-etcd.ts';
import { histogramOf, percentile99 } from '../../../src/installer/health/observe-etcd.ts';
import { portsOf } from '../../../src/installer/health/observe-host.ts';
import type { EtcdObservation } from '../../../src/installer/health/types.ts';
import { closedPorts } from '../../../src/installer/host/firewall.ts';
import { scratchHost, scratchRoot } from '../installer/scratch.ts';

const member = (name: string, different: Partial<MemberStatus> = {}): MemberStatus => ({
  id: name,
  name,
  peerUrls: [],
  clientUrls: [],
  learner: false,
  leader: name === 'm1',
  healthy: true,
  version: '3.6.5',
  raftIndex: 5000,
  dbSizeBytes: 20e6,
  dbSizeInUseBytes: 12e6,
  latencyMs: 1.2,
  alarms: [],
  ...different,
});

const dead = { healthy: false, error: 'connection refused' };

const etcd = (different: Partial<Record<'m1' | 'm2' | 'm3', Partial<MemberStatus>>> = {}): EtcdObservation => {
  const members = (['m1', 'm2', 'm3'] as const).map((name) => member(name, different[name]));
  return { external: false, members, quorum: quorumOf(members), quotaBytes: 2 ** 31 };
};

describe('etcd', () => {
  test.each<[string, EtcdObservation, string[]]>([
    ['that is well', etcd(), []],
    ['that nobody can ask', { ...etcd(), members: [], quorum: quorumOf([]), error: 'refused' }, ['error etcd-silent']],
    ['with one member lost', etcd({ m3: dead }), ['error etcd-member-silent']],
    ['without a majority', etcd({ m2: dead, m3: dead, m1: dead }), ['error etcd-no-quorum']],
    ['that is full', etcd({ m2: { alarms: ['NOSPACE'], dbSizeBytes: 2 ** 31 } }), ['error etcd-alarm']],
    ['with a damaged member', etcd({ m2: { alarms: ['CORRUPT'] } }), ['error etcd-alarm']],
    ['that will soon be full', etcd({ m1: { dbSizeBytes: 1.8e9, dbSizeInUseBytes: 1.7e9 } }), ['warning etcd-space']],
    ['full of holes', etcd({ m1: { dbSizeBytes: 900e6, dbSizeInUseBytes: 2e6 } }), ['warning etcd-fragmented']],
    ['with a learner', etcd({ m3: { learner: true } }), ['warning etcd-learner']],
    ['with a member that lags', etcd({ m3: { raftIndex: 3000 } }), ['warning etcd-behind']],
    ['with a member that takes its time', etcd({ m3: { latencyMs: 900 } }), ['warning etcd-slow']],
  ])('%s', (_, given, expected) => {
    const problems = judgeEtcd(given);
    expect(problems.map(({ level, id }) => `${level} ${id}`)).toEqual(expected);
    for (const { advice, where } of problems) expect([advice === '', where]).toEqual([false, 'cluster']);
  });

  test('of which a majority is left names who is missing, and what to do', () => {
    const [problem] = judgeEtcd(etcd({ m3: dead }));
    expect(problem).toMatchObject({
      message: 'm3 of etcd does not answer; 2 of 3 voting members answer, 2 are needed: none may be lost',
      seen: 'connection refused',
      advice: expect.stringContaining('kinit nodes replace m3 --with NEW-HOST --dead'),
    });
  });

  const full = { m2: { alarms: ['NOSPACE'], dbSizeBytes: 2 ** 31, dbSizeInUseBytes: 3e8 } };

  test('that is full says how full each member is, and is mended unless it is elsewhere', () => {
    expect(judgeEtcd(etcd(full))).toMatchObject([
      {
        message: 'm2 of etcd has the alarm NOSPACE: etcd takes no writes',
        seen: 'm1: 20.0 MB of its 2147 MB, 12.0 MB of it in use\nm2: 2147 MB of its 2147 MB, 300 MB of it in use\nm3: 20.0 MB of its 2147 MB, 12.0 MB of it in use',
        fix: 'etcd-space',
      },
    ]);
    const { quotaBytes: _, ...elsewhere } = etcd(full);
    const [problem] = judgeEtcd({ ...elsewhere, external: true });
    expect([problem?.fix, problem?.advice]).toEqual([undefined, expect.stringContaining('defrag --compact')]);
  });

  test('that could not be mended is told once, with what to do instead', () => {
    const problems = judgeEtcd(etcd(full));
    const fixed = [{ problem: problems[0]!, error: 'no room', advice: 'raise the quota' }];
    expect(formatDoctor({ time: '', hosts: [], problems, fixed })).toBe(
      `✗ not mended cluster: m2 of etcd has the alarm NOSPACE: etcd takes no writes
      seen: no room
      what to do: raise the quota
1 error, 0 warnings on 0 hosts.
`,
    );
  });

  test('stands in the tree with each member', () => {
    const tree = (seen: EtcdObservation) => formatStatus({ time: '', hosts: [], etcd: seen, problems: [] });
    expect(tree(etcd({ m2: dead, m3: { learner: true } }))).toContain(
      `└─ etcd  NO MAJORITY: 1 of 2 voting members answer, 2 are needed: etcd takes no writes
   ├─ m1  leader  3.6.5  20.0 MB of 2.1 GB (12.0 MB in use)  1.2 ms
   ├─ m2  voter  SILENT: connection refused
   └─ m3  learner  3.6.5  20.0 MB of 2.1 GB (12.0 MB in use)  1.2 ms`,
    );
    expect(tree({ ...etcd(), error: 'refused' })).toContain('└─ etcd  SILENT: refused');
  });
});

describe('the disk of etcd', () => {
  const metrics = (counts: number[]) =>
    [0.001, 0.008, 0.512, '+Inf']
      .map((limit, index) => `etcd_disk_wal_fsync_duration_seconds_bucket{le="${limit}"} ${counts[index]}`)
      .join('\n');
  const p99 = (counts: number[]) => percentile99(histogramOf(metrics(counts), 'etcd_disk_wal_fsync_duration_seconds'));
  test.each([
    [[990, 999, 1000, 1000], 1],
    [[0, 995, 1000, 1000], 8],
    [[0, 0, 1000, 1000], 512],
    [[0, 0, 10, 1000], 512],
    [[1, 2, 3, 4], undefined],
  ])('with so many writes by time, %o, is judged by %s ms', (counts, expected) => {
    expect(p99(counts)).toBe(expected);
  });
});

describe('a firewall', () => {
  const root = scratchRoot({
    '/etc/kubernetes/manifests/kube-apiserver.yaml': 'command:\n- kube-apiserver\n- --secure-port=8443\n',
  });
  afterAll(() => rmSync(root, { recursive: true }));
  const open = ['8443', '2379:2380', '10257', '10259', '10250', '10256', '30000:32767'].map(
    (port) => `ufw allow ${port}/tcp`,
  );
  const host = scratchHost(root, (command, args) => {
    if (command === 'systemctl') return { exitCode: 3, stdout: 'inactive\n' };
    if (args[0] === 'status') return { stdout: 'Status: active\n' };
    return { stdout: [...open, 'ufw allow 30000:32767/udp'].join('\n') };
  });

  test('is asked for the port of the API server, wherever that is', async () => {
    expect((await portsOf(host))[0]).toMatchObject({ port: '8443' });
    expect(await closedPorts(host, await portsOf(host))).toEqual(['ufw: 8472/udp (pod network (VXLAN))']);
    open.shift();
    expect(await closedPorts(host, await portsOf(host))).toContain('ufw: 8443/tcp (kube-apiserver)');
  });
});
