/** What the preflight checks conclude from what they see on a host. */
import { rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { parseOsRelease } from '../../../src/installer/host/facts.ts';
import type { CommandResult } from '../../../src/installer/host/host.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import type { Check, CheckContext, Finding } from '../../../src/installer/preflight/check.ts';
import { otherDistributions } from '../../../src/installer/preflight/distributions.ts';
import { judgeEndpoint } from '../../../src/installer/preflight/endpoint.ts';
import { etcdDisk, judgeSyncs, percentile } from '../../../src/installer/preflight/etcd-disk.ts';
import { executables } from '../../../src/installer/preflight/executables.ts';
import { filesAvailable } from '../../../src/installer/preflight/files.ts';
import { firewall } from '../../../src/installer/preflight/firewall.ts';
import { forwarding, turnedOffBy } from '../../../src/installer/preflight/forwarding.ts';
import { imagePull } from '../../../src/installer/preflight/images.ts';
import { judgeKernelConfig } from '../../../src/installer/preflight/kernel-config.ts';
import { kubeletService } from '../../../src/installer/preflight/kubelet.ts';
import {
  clusterChains,
  clusterProcess,
  leftovers,
  networkInterfaces,
} from '../../../src/installer/preflight/leftovers.ts';
import { judgeMtu, mtusOf } from '../../../src/installer/preflight/mtu.ts';
import { httpProxy, httpProxyCidr, proxyFor } from '../../../src/installer/preflight/proxy.ts';
import { containerRuntime } from '../../../src/installer/preflight/runtime.ts';
import { kubeletSkew, versions } from '../../../src/installer/preflight/versions.ts';
import type { ExistingRuntime } from '../../../src/installer/runtime/existing.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

type Answers = Record<string, Partial<CommandResult>>;

/** Answers by the beginning of the command line. */
async function findings(
  check: Check,
  { files = {}, answers = {}, more = {} }: { files?: Record<string, string>; answers?: Answers; more?: object } = {},
): Promise<Finding[]> {
  const root = scratchRoot(files);
  roots.push(root);
  const host = scratchHost(root, (command, args) => {
    const line = [command, ...args].join(' ');
    return Object.entries(answers).find(([start]) => line.startsWith(start))?.[1] ?? { exitCode: 127 };
  });
  const context: CheckContext = {
    host,
    journal: await openJournal(host),
    facts: {
      hostname: 'h',
      os: parseOsRelease(''),
      kernel: '6.1',
      systemd: true,
      cgroupVersion: 2,
      cpus: 2,
      memoryBytes: 2 ** 32,
      canLowerOomScore: true,
      uid: 0,
    },
    command: 'init',
    nodeName: 'h',
    runtime: 'bundle',
    registries: [],
    cgroupDriver: 'auto',
    criSocket: 'unix:///run/crio/crio.sock',
    bindPort: 6443,
    etcdDataDir: '/var/lib/etcd',
    keepSwap: false,
    opensFirewall: false,
    endpoint: { host: '192.0.2.1', port: 6443 },
    serviceSubnet: '10.96.0.0/12',
    podSubnet: '10.244.0.0/16',
    env: {},
    ...more,
  };
  return check(context);
}

const said = (list: Finding[]) => list.map(({ level, check }) => `${level} ${check}`);

describe('preflight checks of kubeadm', () => {
  it('looks for the programs of the host', async () => {
    const files = Object.fromEntries(
      ['/bin/mount', '/usr/bin/umount', '/sbin/ip', '/bin/cp'].map((path) => [path, '']),
    );
    expect(said(await findings(executables, { files }))).toEqual([
      'warning FileExisting-modprobe',
      'warning FileExisting-losetup',
    ]);
    expect(said(await findings(executables))).toContain('error FileExisting-mount');
  });

  const readOnly = 'proc /proc/sys proc ro,nosuid 0 0\n';
  it.each([
    ['nothing where kinit can turn it on', { '/proc/sys/net/ipv4/ip_forward': '0\n' }, []],
    [
      'an error where it cannot',
      { '/proc/sys/net/ipv4/ip_forward': '0\n', '/proc/mounts': readOnly },
      ['error FileContent--proc-sys-net-ipv4-ip_forward'],
    ],
    ['nothing where it is on anyway', { '/proc/sys/net/ipv4/ip_forward': '1\n', '/proc/mounts': readOnly }, []],
    ['an error without the protocol', {}, ['error FileContent--proc-sys-net-ipv4-ip_forward']],
    [
      'a warning of a file that undoes it',
      { '/proc/sys/net/ipv4/ip_forward': '0\n', '/etc/sysctl.d/99-sysctl.conf': 'net.ipv4.ip_forward=0\n' },
      ['warning FileContent--proc-sys-net-ipv4-ip_forward'],
    ],
  ])('forwarding is %s', async (_, files, expected) => {
    expect(said(await findings(forwarding, { files }))).toEqual(expected);
  });

  it('wants forwarding of IPv6 where the cluster uses it', async () => {
    const more = { podSubnet: 'fd00::/48', serviceSubnet: 'fd01::/108', endpoint: { host: 'fd02::1', port: 6443 } };
    expect(said(await findings(forwarding, { more }))).toEqual([
      'error FileContent--proc-sys-net-ipv6-conf-default-forwarding',
    ]);
  });

  it.each([
    [[['/etc/sysctl.d/10-a.conf', 'net.ipv4.ip_forward = 0']], undefined],
    [[['/usr/lib/sysctl.d/99-z.conf', '# net.ipv4.ip_forward = 0']], undefined],
    [[['/usr/lib/sysctl.d/99-z.conf', 'a.b=1\n-net/ipv4/ip_forward=0']], '/usr/lib/sysctl.d/99-z.conf'],
    [
      [
        ['/etc/sysctl.d/99-x.conf', 'net.ipv4.ip_forward=0'],
        ['/etc/sysctl.d/99-y.conf', 'net.ipv4.ip_forward=1'],
      ],
      undefined,
    ],
  ] as [string[][], string | undefined][])('%j is undone by %j', (files, expected) => {
    const list = files.map(([path = '', text = '']) => ({ path, text }));
    expect(turnedOffBy(list, 'net.ipv4.ip_forward')).toBe(expected);
  });

  it.each([
    ['10.0.0.1', '', 'http://p:1'],
    ['10.0.0.1', '10.0.0.1', undefined],
    ['10.0.0.1', '10.0.0.0/8', undefined],
    ['10.0.0.1', '10.0.0.2,192.168.0.0/16', 'http://p:1'],
    ['api.example.com', 'example.com', undefined],
    ['api.example.com', '.example.com', undefined],
    ['example.com', '.example.com', 'http://p:1'],
    ['badexample.com', 'example.com', 'http://p:1'],
    ['api.example.com', '*', undefined],
    ['localhost', '', undefined],
    ['fd00::1', 'fd00::/16', undefined],
  ])('https to %s with NO_PROXY=%s goes over %s', (host, exceptions, expected) => {
    expect(proxyFor(host, { HTTPS_PROXY: 'http://p:1', NO_PROXY: exceptions })).toBe(expected);
  });

  it('warns of proxies without telling their password', async () => {
    const more = { env: { https_proxy: 'http://me:secret@proxy:3128', no_proxy: '10.96.0.0/12' } };
    const found = [...(await findings(httpProxy, { more })), ...(await findings(httpProxyCidr, { more }))];
    expect(found.map(({ check, message }) => `${check} ${message}`)).toEqual([
      'HTTPProxy connections to https://192.0.2.1:6443 use the proxy http://proxy:3128',
      'HTTPProxyCIDR connections to 10.244.0.0/16 use the proxy http://proxy:3128',
    ]);
  });

  it('warns of a firewall that it was told to leave alone', async () => {
    const answers = { 'systemctl is-active firewalld': { exitCode: 0, stdout: 'active\n' } };
    const [found] = await findings(firewall, { answers });
    expect(found).toMatchObject({ check: 'Firewalld', level: 'warning' });
    expect(found?.message).toContain('6443/tcp 2379-2380/tcp');
    expect(await findings(firewall, { answers, more: { opensFirewall: true } })).toEqual([]);
  });

  const active = { 'systemctl show': { exitCode: 0, stdout: 'UnitFileState=enabled\nActiveState=active\n' } };
  it.each([
    ["a kubelet that runs and is not kinit's", {}, active, ['error Service-Kubelet']],
    [
      "kinit's own kubelet",
      { '/etc/systemd/system/kubelet.service': 'ExecStart=/opt/kinit/current/bin/kubelet' },
      active,
      [],
    ],
    ['a package', { '/lib/systemd/system/kubelet.service': '' }, {}, ['warning Service-Kubelet']],
    ["somebody's unit", { '/etc/systemd/system/kubelet.service': '' }, {}, ['warning Service-Kubelet']],
    ['no kubelet', {}, {}, []],
  ])('of %s it says what it should', async (_, files, answers, expected) => {
    expect(said(await findings(kubeletService, { files: files as Record<string, string>, answers }))).toEqual(expected);
  });

  it.each([
    ['v1.36.2', 'v1.36.0', 0],
    ['v1.36.2', 'v1.35.9', 1],
    ['v1.36.2', 'v1.39.0', 0],
    ['v1.36.2', 'v1.40.0', 1],
    ['v1.36.2', '', 0],
  ])('a kubelet %s at an API server %s has %d errors', (kubelet, server, errors) => {
    expect(kubeletSkew(kubelet, server)).toHaveLength(errors);
  });

  it('wants a bundle of its own version, with the images that the node needs', async () => {
    const files = { '/opt/kinit/current/manifest.json': '{"kubernetes":"v1.35.0"}' };
    expect(said(await findings(versions, { files }))).toEqual(['error KubernetesVersion']);
    const index = { '/opt/kinit/current/images/index.json': '{"manifests":[]}' };
    expect((await findings(imagePull, { files: index }))[0]?.message).toContain('kinit.local/etcd:');
    expect((await findings(imagePull, { files: index, more: { bindPort: 0 } }))[0]?.message).not.toContain('etcd');
  });

  const existing: ExistingRuntime = {
    socket: 'unix:///run/crio/crio.sock',
    program: 'containerd',
    name: 'containerd 2.0',
    cgroupDriver: 'cgroupfs',
    knowsRuntimeConfig: true,
    cniBin: ['/opt/cni/bin'],
    cniConfig: '/etc/cni/net.d',
  };
  const crio = { program: 'cri-o', name: 'cri-o 1.30' };
  it.each<[string, object, object, string[]]>([
    ['does not answer', {}, { existing: { socket: '', problem: 'nobody answers', advice: '' } }, ['error CRI']],
    ['is old', { knowsRuntimeConfig: false }, {}, ['warning ContainerRuntimeVersion']],
    ['is well', {}, {}, []],
    ['has another cgroup driver than the one that was given', {}, { cgroupDriver: 'systemd' }, ['error CRI']],
    ['decides the cgroup driver', { cgroupDriver: 'systemd' }, {}, []],
    ['does not say its cgroup driver', { cgroupDriver: undefined }, {}, ['warning CRI']],
    ['reads networks elsewhere', { cniConfig: '/etc/crio/net.d' }, {}, ['error CRI']],
    ['has no tool to load images', crio, {}, ['error CRI']],
    ['has a tool to load images', crio, { files: { '/usr/bin/skopeo': '' } }, []],
    ['is not known', { program: 'other', name: 'pouch 1' }, {}, ['warning CRI']],
  ])(
    'a runtime that is there and %s',
    async (_, runtime, { files = {}, ...more }: { files?: Record<string, string> }, expected) => {
      const context = { runtime: 'existing', existing: { ...existing, ...runtime }, ...more };
      expect(said(await findings(containerRuntime, { files, more: context }))).toEqual(expected);
    },
  );

  it('refuses another runtime than the one that the node was made with', async () => {
    const entry = {
      kind: 'runtime',
      runtime: 'packages',
      socket: 'unix:///run/containerd/containerd.sock',
      program: 'containerd',
      kept: false,
    };
    const files = { '/var/lib/kinit/journal.jsonl': `${JSON.stringify(entry)}\n` };
    const [found] = await findings(containerRuntime, { files });
    expect(found).toMatchObject({
      level: 'error',
      check: 'CRI',
      message: 'this node was made with --runtime packages',
    });
  });

  it("wants a worker's place for the CA to be free", async () => {
    const files = { '/etc/kubernetes/pki/ca.crt': '' };
    const more = { command: 'join', bindPort: 0, caCertPath: '/etc/kubernetes/pki/ca.crt' };
    expect(said(await findings(filesAvailable, { files, more }))).toEqual([
      'error FileAvailable--etc-kubernetes-pki-ca.crt',
    ]);
  });

  it('knows what the kernel must have been built with', () => {
    const names =
      'NAMESPACES NET_NS PID_NS IPC_NS UTS_NS CGROUPS CGROUP_DEVICE CGROUP_PIDS CGROUP_SCHED CPUSETS FAIR_GROUP_SCHED INET PROC_FS MEMCG NETFILTER_XT_MATCH_COMMENT BRIDGE CGROUP_BPF CFS_BANDWIDTH OVERLAY_FS SECCOMP';
    const text = names
      .split(' ')
      .map((name) => `CONFIG_${name}=y\n`)
      .join('');
    expect(judgeKernelConfig(`${text}CONFIG_VETH=m\nCONFIG_VXLAN=m\n`)).toEqual([]);
    expect(said(judgeKernelConfig(`${text}# CONFIG_VETH is not set\n`))).toEqual([
      'error SystemVerification',
      'warning SystemVerification',
    ]);
  });
});

describe('preflight checks that kubeadm lacks', () => {
  it.each([
    ['k3s\0server', undefined],
    ['/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-id\0a', 'pod'],
    ['/usr/bin/containerd-shim-runc-v2\0-namespace\0moby\0-id\0a', undefined],
    ['/usr/bin/conmon\0-b\0/run/crio/x', 'pod'],
    ['/usr/local/bin/kube-proxy\0--v=2', 'kube-proxy'],
    ['/usr/local/bin/etcd\0--name\0a', undefined],
    ['vim\0/etc/etcd', undefined],
  ])('%j is a process of a cluster: %s', (line, expected) => expect(clusterProcess(line)).toBe(expected));

  it('finds what another cluster left', async () => {
    const files = {
      '/var/lib/kubelet/kubeadm-flags.env': '',
      '/etc/cni/net.d/05-cilium.conflist': '{}',
      '/proc/self/mountinfo': '1 2 0:1 / /var/lib/kubelet/pods/u/volumes/t rw - tmpfs tmpfs rw\n',
      '/proc/77/cmdline': '/x/kube-apiserver\0--a',
    };
    const answers = {
      'ip -o link show': {
        exitCode: 0,
        stdout: '2: eth0: <UP> mtu 1500\n3: cni0: <UP> mtu 1450\n4: cali0123456789a@if2: <UP>\n',
      },
      'iptables-save': { exitCode: 0, stdout: '*nat\n:KUBE-SERVICES - [0:0]\n:DOCKER - [0:0]\n' },
    };
    expect(said(await findings(leftovers, { files, answers }))).toEqual([
      'warning LeftoverFiles',
      'error LeftoverContainers',
      'warning LeftoverMounts',
      'error LeftoverInterfaces',
      'warning LeftoverInterfaces',
      'warning LeftoverRules',
      'error LeftoverCNI',
    ]);
  });

  it('finds nothing on a clean host', async () => {
    const files = { '/etc/cni/net.d/10-kinit.conflist': '', '/etc/cni/net.d/README': '' };
    const answers = {
      'ip -o link show': { exitCode: 0, stdout: '2: eth0: <UP> mtu 1500\n3: docker0: <UP> mtu 1500\n' },
    };
    expect(await findings(leftovers, { files, answers })).toEqual([]);
  });

  it('tells interfaces of pod networks from others', () => {
    const names = ['lo', 'eth0', 'docker0', 'flannel.1', 'weave', 'tunl0', 'calibration', 'br-0a1b2c'];
    expect(networkInterfaces(names)).toEqual({ inTheWay: ['flannel.1'], others: ['weave'] });
  });

  it('does not mind the hints that every kubelet leaves', () => {
    expect(clusterChains(':KUBE-IPTABLES-HINT - [0:0]\n:cali-INPUT - [0:0]\n:INPUT ACCEPT [0:0]\n')).toEqual([
      'cali-INPUT',
    ]);
  });

  it.each([
    [{ '/var/lib/rancher/k3s/x': '' }, '', ['warning OtherDistribution']],
    [{ '/var/lib/rancher/k3s/x': '' }, 'active\n', ['error OtherDistribution']],
    [{}, 'inactive\nactive\n', ['error OtherDistribution']],
    [{}, 'inactive\ninactive\n', []],
  ])('finds other distributions', async (files, stdout, expected) => {
    const answers = { 'systemctl is-active k3s k3s-agent rke2-server': { exitCode: 3, stdout } };
    expect(said(await findings(otherDistributions, { files: files as Record<string, string>, answers }))).toEqual(
      expected,
    );
  });

  it.each([
    [new Array<number>(100).fill(0.4), 0],
    [[...new Array<number>(99).fill(0.4), 80], 0],
    [[...new Array<number>(98).fill(0.4), 80, 80], 1],
    [new Array<number>(12).fill(21), 1],
    [[], 1],
  ])('judges a disk by the 99th percentile of its writes', (latencies, warnings) => {
    expect(judgeSyncs('/var/lib/etcd', latencies)).toHaveLength(warnings);
  });

  it('names figures for a slow disk', () => {
    expect(percentile([5, 1, 3], 0.5)).toBe(3);
    expect(judgeSyncs('/e', [...new Array<number>(90).fill(2), ...new Array<number>(10).fill(30)])[0]?.message).toBe(
      '/e is on a slow disk: of 100 writes with fdatasync 99% took up to 30.0 ms (median 2.0 ms); etcd wants less than 10 ms',
    );
  });

  it('measures a real disk quickly, and leaves nothing there', async () => {
    const started = performance.now();
    const found = await findings(etcdDisk, { files: { '/var/lib/x': '' } });
    expect(performance.now() - started).toBeLessThan(1500);
    for (const { level } of found) expect(level).toBe('warning');
    const { readdirSync } = await import('node:fs');
    expect(readdirSync(`${roots.at(-1)}/var/lib`)).toEqual(['x']);
  });

  it('does not disturb an etcd that is at work', async () => {
    const host = { timeSyncs: () => Promise.reject(new Error('measured')) };
    const journal = { has: (what: string) => what === 'note:init' };
    expect(await findings(etcdDisk, { more: { host, journal } })).toEqual([]);
  });

  it.each([
    ['1500', 0],
    ['1330', 0],
    ['1280', 1],
  ])('an MTU of %s has %d warnings', (mtu, count) => {
    const links = `2: eth0@if3: <BROADCAST,UP> mtu ${mtu} qdisc noqueue state UP\\    link/ether 02:00:00:00:00:01`;
    expect(judgeMtu('eth0', mtusOf(links).get('eth0') ?? 0)).toHaveLength(count);
  });

  const own = ['127.0.0.1', '192.0.2.7'];
  it.each([
    ['does not resolve', [], ['error ControlPlaneEndpoint']],
    ['is this host', [{ address: '192.0.2.7', answer: 'no answer' }], []],
    ['is a load balancer', [{ address: '192.0.2.9', answer: 'open' }], []],
    ['has no API server yet', [{ address: '192.0.2.9', answer: 'refused' }], []],
    ['is nowhere', [{ address: '192.0.2.9', answer: 'EHOSTUNREACH' }], ['warning ControlPlaneEndpoint']],
    [
      'has one good address',
      [
        { address: '192.0.2.8', answer: 'no answer' },
        { address: '192.0.2.9', answer: 'refused' },
      ],
      [],
    ],
  ])('an endpoint that %s', (_, reached, expected) => {
    expect(said(judgeEndpoint('api.example.com', 6443, reached, own))).toEqual(expected);
  });
});
