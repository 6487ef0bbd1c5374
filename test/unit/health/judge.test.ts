import { describe, expect, test } from 'vitest';
import { judgeClocks, judgeCluster, judgeHosts } from '../../../src/installer/health/judge-cluster.ts';
import { judgeHost } from '../../../src/installer/health/judge-host.ts';
import { leaderOf, podTroubles } from '../../../src/installer/health/observe-cluster.ts';
import type { ClusterObservation, HostObservation } from '../../../src/installer/health/types.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';

const now = new Date('2026-06-01T00:00:00Z');

const service = (unit: string, state = 'active') => ({
  unit,
  state,
  enabled: true,
  restarts: 0,
  lastLines: state === 'active' ? [] : ['it fell over'],
});

const healthy: HostObservation = {
  hostname: 'w1',
  role: 'worker',
  nodeName: 'w1',
  system: 'Debian GNU/Linux 13 (trixie)',
  kernel: '6.12',
  kinitVersion: 'v0.1.0',
  time: now.toISOString(),
  timeKeeper: 'chronyd',
  services: [service('containerd.service'), service('kubelet.service')],
  components: [{ name: 'kubelet', healthy: true, seen: 'HTTP 200: ok', restarts: 0, lastLines: [] }],
  runtimeAnswers: true,
  runtimeCgroupDriver: 'systemd',
  kubeletCgroupDriver: 'systemd',
  swapAllowed: false,
  swap: [],
  disks: [{ path: '/', mount: '/', usedPercent: 40, freeBytes: 6e10, inodesUsedPercent: 3 }],
  memoryAvailablePercent: 60,
  certificates: [{ name: 'kubelet.conf', expires: '2027-05-01T00:00:00.000Z' }],
  networkConfigured: true,
  settings: [{ key: 'net.ipv4.ip_forward', wanted: '1', found: '1' }],
  missingModules: [],
  fileModes: [],
  closedPorts: [],
};

describe('a host', () => {
  test('with nothing wrong has no problems', () => {
    expect(judgeHost('w1', healthy, now)).toEqual([]);
  });

  test('whose etcd has a full disk of its own hears that first, and nothing of images', () => {
    const own = { path: '/var/lib/etcd', mount: '/var/lib/etcd', usedPercent: 100, freeBytes: 0, inodesUsedPercent: 1 };
    const ended = { name: 'etcd', healthy: false, seen: 'refused', restarts: 4, lastLines: [] };
    const problems = judgeHost('w1', { ...healthy, disks: [...healthy.disks, own], components: [ended] }, now);
    expect(problems.map(({ id }) => id)).toEqual(['disk-full', 'component-unhealthy']);
    expect(problems[0]).toMatchObject({
      message: '/var/lib/etcd is 100 % full (0.0 GB free)',
      advice: expect.stringMatching(/^remove what is not etcd’s there.* comes back by itself/),
    });
  });

  test.each<[string, Partial<HostObservation>, string, string | undefined]>([
    ['a dead kubelet', { services: [service('kubelet.service', 'failed')] }, 'error service-dead', 'service'],
    ['a missing kubelet', { services: [service('kubelet.service', 'missing')] }, 'error service-dead', undefined],
    [
      'a service that will not come back',
      { services: [{ ...service('kubelet.service'), enabled: false }] },
      'warning service-not-enabled',
      'service',
    ],
    ['a silent runtime', { runtimeAnswers: false }, 'error runtime-silent', undefined],
    ['two cgroup drivers', { runtimeCgroupDriver: 'cgroupfs' }, 'error cgroup-driver', undefined],
    ['swap', { swap: ['/dev/vda2'] }, 'error swap-on', 'swap'],
    ['a full disk', { disks: [{ ...healthy.disks[0]!, usedPercent: 97 }] }, 'error disk-full', undefined],
    ['no inodes', { disks: [{ ...healthy.disks[0]!, inodesUsedPercent: 88 }] }, 'warning disk-full', undefined],
    ['no memory', { memoryAvailablePercent: 3 }, 'warning memory-low', undefined],
    [
      'an expired certificate',
      { certificates: [{ name: 'apiserver', expires: '2026-05-30T00:00:00.000Z' }] },
      'error certificate-expired',
      undefined,
    ],
    [
      'a certificate that expires soon',
      { certificates: [{ name: 'apiserver', expires: '2026-06-20T00:00:00.000Z' }] },
      'warning certificate-expires',
      undefined,
    ],
    ['no pod network', { networkConfigured: false }, 'error network-missing', undefined],
    [
      'a changed kernel setting',
      { settings: [{ key: 'net.ipv4.ip_forward', wanted: '1', found: '0' }] },
      'error sysctl',
      'settings',
    ],
    ['a missing module', { missingModules: ['br_netfilter'] }, 'error module-missing', 'modules'],
    ['a clock that nothing keeps', { timeKeeper: undefined as never }, 'warning clock-unkept', undefined],
    [
      'a file of another owner',
      { fileOwners: [{ path: '/k', component: 'etcd', seen: '0:0 0600', wanted: '998:998 0600' }] },
      'error file-owner',
      'owners',
    ],
    ['a readable key', { fileModes: [{ path: '/k', mode: '0644', limit: '0600' }] }, 'warning file-mode', 'modes'],
    ['a slow disk below etcd', { etcdDisk: { walMs: 512, commitMs: 8 } }, 'warning etcd-disk-slow', undefined],
    [
      'a dead runtime',
      { services: [service('containerd.service', 'failed'), service('kubelet.service')], runtimeAnswers: false },
      'error service-dead',
      'service',
    ],
    [
      'a component that crashes again and again',
      {
        components: [{ name: 'kube-scheduler', healthy: false, seen: 'refused', restarts: 7, lastLines: ['no flag'] }],
      },
      'error component-unhealthy',
      undefined,
    ],
    [
      'a balancer that finds no API server',
      { components: [{ name: 'kinit-balancer', healthy: false, seen: 'hung up', restarts: 0, lastLines: [] }] },
      'error component-unhealthy',
      undefined,
    ],
    ['a firewall', { closedPorts: ['ufw: 10250/tcp (kubelet)'] }, 'error firewall', 'firewall'],
  ])('with %s is told of', (_, different, expected, fix) => {
    const problems = judgeHost('w1', { ...healthy, ...different }, now);
    expect(problems.map(({ level, id }) => `${level} ${id}`)).toEqual([expected]);
    expect(problems[0]).toMatchObject({ where: 'w1' });
    expect(problems[0]?.fix).toBe(fix);
    expect(problems[0]?.advice).not.toBe('');
  });

  test('whose kubelet is dead is told of once, with its last words', () => {
    const problems = judgeHost('w1', {
      ...healthy,
      services: [service('kubelet.service', 'failed')],
      components: [{ name: 'kubelet', healthy: false, seen: 'refused', restarts: 0, lastLines: [] }],
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.seen).toBe('it fell over');
  });

  test('that is no node yet may lack everything', () => {
    const bare = { ...healthy, role: 'none' as const, services: [], networkConfigured: false, runtimeAnswers: false };
    expect(judgeHost('w1', { ...bare, swap: ['/dev/vda2'], missingModules: ['overlay'] }, now)).toEqual([]);
  });
});

describe('a cluster', () => {
  const cluster: ClusterObservation = {
    endpoint: 'https://10.0.0.1:6443',
    version: 'v1.36.2',
    nodes: [],
    pods: { total: 0, running: 0 },
    troubles: [],
    leaders: [{ component: 'kube-scheduler', holder: 'cp1', renewedSecondsAgo: 1 }],
    dns: { service: '10.96.0.10', answers: true, seen: '' },
    pendingRequests: [],
  };
  const node = {
    name: 'w1',
    ready: true,
    message: '',
    unschedulable: false,
    roles: [],
    version: 'v1.36.2',
    address: '10.0.0.2',
    pressures: [],
  };
  const ids = (different: Partial<ClusterObservation>) =>
    judgeCluster({ ...cluster, ...different }).map(({ id }) => id);

  test.each<[Partial<ClusterObservation>, string[]]>([
    [{}, []],
    [{ apiError: 'refused', leaders: [], dns: { answers: false, seen: '' } }, ['api-silent']],
    [{ nodes: [{ ...node, ready: false, message: 'Kubelet stopped posting node status.' }] }, ['node-not-ready']],
    [{ nodes: [{ ...node, unschedulable: true, pressures: ['DiskPressure'] }] }, ['node-pressure', 'node-cordoned']],
    [{ leaders: [{ component: 'kube-scheduler' }] }, ['leader-silent']],
    [{ leaders: [{ component: 'kube-scheduler', holder: 'cp1', renewedSecondsAgo: 45 }] }, ['leader-silent']],
    [{ dns: { answers: false, seen: 'timeout' } }, ['dns-silent']],
    [{ nodes: [{ ...node, version: 'v1.33.0' }] }, []],
    [{ nodes: [{ ...node, version: 'v1.32.9' }] }, ['version-skew']],
    [{ nodes: [{ ...node, version: 'v1.37.0' }] }, ['version-skew']],
    [{ nodes: [{ ...node, pressures: ['MemoryPressure', 'PIDPressure'] }] }, ['node-pressure', 'node-pressure']],
    [{ pendingRequests: ['csr-1'] }, ['requests-pending']],
  ])('%o has the problems %o', (different, expected) => {
    expect(ids(different)).toEqual(expected);
  });

  test('seen from hosts of different versions, and with hosts that are away, says so', () => {
    const problems = judgeHosts([
      { name: 'cp1', observation: { ...healthy, kinitVersion: 'v0.2.0' } },
      { name: 'w1', observation: healthy },
      { name: 'w2', error: 'connect ETIMEDOUT' },
    ]);
    expect(problems.map(({ where, id }) => `${where} ${id}`)).toEqual([
      'w2 host-unreachable',
      'cluster versions-differ',
    ]);
  });

  test('has its clocks compared with each other, not with the workstation', () => {
    expect(
      judgeClocks(
        new Map([
          ['a', 100],
          ['b', 101],
          ['c', 99.5],
        ]),
      ),
    ).toEqual([]);
    const [problem, ...more] = judgeClocks(
      new Map([
        ['a', 0.1],
        ['b', -40],
        ['c', 0.2],
      ]),
    );
    expect(problem).toMatchObject({ where: 'b', id: 'clock-skew', message: 'the clock is 40 s behind the others' });
    expect(more).toEqual([]);
  });
});

describe('a pod', () => {
  const pod = (status: Pod['status'], restartPolicy = 'Always'): Pod => ({
    metadata: {
      name: 'p',
      namespace: 'd',
      creationTimestamp: new Date(now.getTime() - 300_000).toISOString() as never,
    },
    spec: { containers: [], restartPolicy },
    status,
  });
  const container = (state: object, more: object = {}) => ({
    phase: 'Running',
    containerStatuses: [{ name: 'c', image: '', imageID: '', ready: false, restartCount: 2, state, ...more }],
  });
  const ended = (owners: string[]): Pod => {
    const { metadata, spec, status } = pod(container({ terminated: { exitCode: 137, reason: 'Error' } }));
    const ownerReferences = owners.map((kind) => ({ apiVersion: 'v1', kind, name: 'o', uid: 'o', controller: true }));
    return {
      metadata: { ...metadata, ownerReferences },
      ...(spec && { spec }),
      status: { ...status, phase: 'Failed' },
    };
  };
  test.each<[string, Pod, string[]]>([
    ['runs', pod(container({ running: {} })), []],
    ['is being created', pod(container({ waiting: { reason: 'ContainerCreating' } })), []],
    ['crashes', pod(container({ waiting: { reason: 'CrashLoopBackOff' } })), ['CrashLoopBackOff']],
    ['has done its work', pod(container({ terminated: { exitCode: 0 } }), 'OnFailure'), []],
    ['may fail', pod(container({ terminated: { exitCode: 3 } }), 'Never'), []],
    ['failed', pod(container({ terminated: { exitCode: 3, reason: 'Error' } })), ['Error']],
    [
      'came back but is not ready',
      pod(container({ running: {} }, { lastState: { terminated: { exitCode: 1 } } })),
      ['NotReady'],
    ],
    ['waits for a node', pod({ phase: 'Pending' }), ['Pending']],
    ['its node has ended, and that has no controller', ended([]), ['Error']],
    ['its node has ended, and whose controller has made another', ended(['ReplicaSet']), []],
    ['its node has ended, a static one', ended(['Node']), ['Error']],
  ])('that %s', (_, given, expected) => {
    expect(podTroubles(given, now.getTime()).map(({ reason }) => reason)).toEqual(expected);
  });

  test('that leads renews its lease', () => {
    const lease = { spec: { holderIdentity: 'cp1_a-b', renewTime: '2026-05-31T23:59:50.000000Z' as never } };
    expect(leaderOf('kube-scheduler', lease, now.getTime())).toEqual({
      component: 'kube-scheduler',
      holder: 'cp1',
      renewedSecondsAgo: 10,
    });
    expect(leaderOf('kube-scheduler', undefined, now.getTime())).toEqual({ component: 'kube-scheduler' });
  });
});
