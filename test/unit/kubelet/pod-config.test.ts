import { describe, expect, it } from 'vitest';
import { registryMatches } from '../../../src/components/kubelet/images/credentials.ts';
import { normalizeImage } from '../../../src/components/kubelet/images/reference.ts';
import { cgroupParent } from '../../../src/components/kubelet/pods/cgroups.ts';
import { parseResolvConf, podDns } from '../../../src/components/kubelet/pods/dns.ts';
import { containerResources, nodeResources, sharesToWeight } from '../../../src/components/kubelet/pods/resources.ts';
import { sandboxConfig } from '../../../src/components/kubelet/pods/sandbox-config.ts';
import { nonRootProblem } from '../../../src/components/kubelet/pods/security.ts';
import { limitProperties } from '../../../src/components/kubelet/pods/slices.ts';
import { parseQuantity } from '../../../src/machinery/api/quantity.ts';
import { pod } from './fixtures.ts';

const host = parseResolvConf('# x\nnameserver 192.0.2.53\nsearch lan. example\noptions timeout:1 ndots:2\n');
const cluster = { servers: ['10.96.0.10'], domain: 'cluster.local' };
const clusterSearches = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'lan', 'example'];

describe('name resolution of a pod', () => {
  it.each([
    ['ClusterFirst', {}, { servers: ['10.96.0.10'], searches: clusterSearches, options: ['ndots:5'] }],
    ['ClusterFirst', { hostNetwork: true }, { ...host }],
    [
      'ClusterFirstWithHostNet',
      { hostNetwork: true },
      { servers: ['10.96.0.10'], searches: clusterSearches, options: ['ndots:5'] },
    ],
    ['Default', {}, { ...host }],
    [
      'None',
      { dnsConfig: { nameservers: ['1.1.1.1'], searches: ['a.b'], options: [{ name: 'ndots', value: '1' }] } },
      { servers: ['1.1.1.1'], searches: ['a.b'], options: ['ndots:1'] },
    ],
    [
      'ClusterFirst',
      { dnsConfig: { options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] } },
      { servers: ['10.96.0.10'], searches: clusterSearches, options: ['ndots:2', 'edns0'] },
    ],
  ])('%s %j', (dnsPolicy, more, expected) => {
    expect(podDns(pod({ dnsPolicy, ...more }), host, cluster)).toEqual(expected);
  });
});

describe('resources of a container', () => {
  const settings = { cpuQuota: true, cpuPeriodMs: 100, memoryCapacity: 4 * 2 ** 30, cgroupVersion: 1 as const };
  it.each([
    [{}, { cpuShares: 2, oomScoreAdj: 1000 }],
    [{ requests: { cpu: '250m', memory: '1Gi' } }, { cpuShares: 256, oomScoreAdj: 750 }],
    [
      { requests: { cpu: '1', memory: '64Mi' }, limits: { cpu: '1', memory: '64Mi' } },
      { cpuShares: 1024, cpuPeriod: 100_000, cpuQuota: 100_000, memoryLimitInBytes: 67_108_864, oomScoreAdj: -997 },
    ],
    [{ limits: { cpu: '5m' } }, { cpuShares: 5, cpuPeriod: 100_000, cpuQuota: 1000, oomScoreAdj: 999 }],
  ])('%j', (resources, expected) => {
    const container = { name: 'main', image: 'x', resources };
    expect(containerResources(pod({ containers: [container] }), container, settings)).toEqual(expected);
  });
});

describe('control groups', () => {
  it.each([
    ['Guaranteed', 'cgroupfs', '/kubepods/poda-b'],
    ['Burstable', 'cgroupfs', '/kubepods/burstable/poda-b'],
    ['BestEffort', 'systemd', 'kubepods-besteffort-poda_b.slice'],
    ['Guaranteed', 'systemd', 'kubepods-poda_b.slice'],
  ] as const)('%s with %s: %s', (qos, driver, expected) => {
    expect(cgroupParent('a-b', qos, driver)).toBe(expected);
  });
  it('turns shares into weights', () => {
    expect([2, 1024, 262_144].map(sharesToWeight)).toEqual([1, 39, 10_000]);
  });
  it.each([
    [2, { cpuShares: 1024 }, ['CPUWeight 39']],
    [1, { cpuShares: 1024, memoryLimitInBytes: 4096 }, ['CPUShares 1024', 'MemoryLimit 4096']],
    [2, { cpuQuota: 12_345, cpuPeriod: 100_000 }, ['CPUQuotaPerSecUSec 130000']],
    [2, { cpuQuota: -1, memoryLimitInBytes: 1 << 20 }, ['MemoryMax 1048576']],
    [2, {}, []],
  ] as const)('names limits as the service manager does: version %i, %j', (version, resources, expected) => {
    expect(limitProperties(resources, version).map(([name, , value]) => `${name} ${value}`)).toEqual(expected);
  });
  it('gives all pods what the node can allocate', () => {
    const allocatable = { cpu: parseQuantity('1500m'), memory: parseQuantity('1Gi'), pods: parseQuantity('110') };
    expect(nodeResources(allocatable)).toEqual({ cpuShares: 1536, memoryLimitInBytes: 1 << 30 });
  });
});

describe('a sandbox', () => {
  const settings = {
    podLogsDir: '/var/log/pods',
    clusterDomain: 'cluster.local',
    seccompRoot: '/s',
    seccompDefault: false,
  };
  const dns = { servers: [], searches: [], options: [] };
  it('has its own network and host name', () => {
    const ports = [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }];
    const subject = pod({ containers: [{ name: 'main', image: 'x', ports }] });
    expect(sandboxConfig(subject, 1, dns, '/g', settings)).toMatchObject({
      metadata: { attempt: 1, uid: 'u1' },
      hostname: 'p',
      logDirectory: '/var/log/pods/default_p_u1',
      portMappings: [{ containerPort: 80, hostPort: 8080, protocol: 'TCP', hostIp: '' }],
      linux: { securityContext: { namespaceOptions: { network: 'POD', pid: 'CONTAINER', ipc: 'POD' } } },
    });
  });
  it('shares the host’s network when it is asked to', () => {
    const config = sandboxConfig(pod({ hostNetwork: true, hostPID: true }), 0, dns, '/g', settings);
    expect(config.hostname).toBeUndefined();
    expect(config.linux.securityContext.namespaceOptions).toMatchObject({ network: 'NODE', pid: 'NODE' });
  });
  it('is named in full where the pod wants that', () => {
    const subject = pod({ setHostnameAsFQDN: true, hostname: 'h', subdomain: 's' });
    expect(sandboxConfig(subject, 0, dns, '/g', settings).hostname).toBe('h.s.default.svc.cluster.local');
  });
});

describe('runAsNonRoot', () => {
  const container = { name: 'main', image: 'x', securityContext: { runAsNonRoot: true } };
  it.each([
    [{ username: '' }, /image will run as root/],
    [{ uid: 0, username: '' }, /image will run as root/],
    [{ username: 'nobody' }, /non-numeric user \(nobody\)/],
    [{ uid: 65_534, username: '' }, undefined],
  ])('of an image with user %j', (user, expected) => {
    const problem = nonRootProblem(pod(), container, user);
    if (expected) expect(problem).toMatch(expected);
    else expect(problem).toBeUndefined();
  });
});

describe('image names', () => {
  it.each([
    ['busybox', 'busybox:latest'],
    ['r.example:5000/a/b:1', 'r.example:5000/a/b:1'],
    [`a@sha256:${'0'.repeat(64)}`, `a@sha256:${'0'.repeat(64)}`],
    ['Upper', undefined],
    ['a b', undefined],
    ['', undefined],
  ])('%j is %j', (image, expected) => {
    expect(normalizeImage(image)).toBe(expected);
  });
  it.each([
    ['r.example', 'r.example/a:1', true],
    ['https://r.example/v1/', 'r.example/a:1', true],
    ['*.example', 'r.example/a', true],
    ['*.example', 'r.s.example/a', false],
    ['r.example/team', 'r.example/team/a', true],
    ['r.example/team', 'r.example/teams/a', false],
    ['https://index.docker.io/v1/', 'busybox', true],
  ])('credentials of %s for %s: %s', (registry, image, expected) => {
    expect(registryMatches(registry, image)).toBe(expected);
  });
});
