import { rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { KinitError } from '../../../src/installer/errors.ts';
import { defaultInterface, hasCapability, parseOsRelease } from '../../../src/installer/host/facts.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { mountsBelow } from '../../../src/installer/host/mounts.ts';
import { withoutOwnRules } from '../../../src/installer/host/network-cleanup.ts';
import { permissiveConfig } from '../../../src/installer/host/selinux.ts';
import { type CheckContext, runChecks } from '../../../src/installer/preflight/check.ts';
import { numCpu } from '../../../src/installer/preflight/cpu.ts';
import { filesAvailable } from '../../../src/installer/preflight/files.ts';
import { memory } from '../../../src/installer/preflight/memory.ts';
import { ports } from '../../../src/installer/preflight/ports.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

async function contextOf(files: Record<string, string>, more: Partial<CheckContext> = {}): Promise<CheckContext> {
  const root = scratchRoot(files);
  roots.push(root);
  const host = scratchHost(root);
  return {
    host,
    journal: await openJournal(host),
    facts: {
      hostname: 'h',
      os: parseOsRelease(''),
      kernel: '6.1',
      systemd: true,
      cgroupVersion: 2,
      cpus: 1,
      memoryBytes: 512 * 1024 * 1024,
      canLowerOomScore: true,
      uid: 0,
    },
    command: 'init',
    nodeName: 'h',
    runtime: 'bundle',
    registries: [],
    cgroupDriver: 'auto',
    criSocket: 'unix:///run/containerd/containerd.sock',
    bindPort: 6443,
    etcdDataDir: '/var/lib/etcd',
    keepSwap: false,
    opensFirewall: true,
    endpoint: { host: '', port: 6443 },
    serviceSubnet: '',
    podSubnet: '',
    env: {},
    ...more,
  };
}

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:2809 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
`;

describe('preflight', () => {
  it('finds a used port, but no port that is only connected to', async () => {
    const findings = await ports(await contextOf({ '/proc/net/tcp': tcp }));
    expect(findings.map(({ check }) => check)).toEqual(['Port-6443']);
  });

  it('lets the ports of its own node pass', async () => {
    const context = await contextOf({ '/proc/net/tcp': tcp });
    await context.journal.record({ kind: 'note', what: 'init' });
    expect(await ports(context)).toEqual([]);
  });

  it('finds leftovers of another cluster', async () => {
    const context = await contextOf({ '/etc/kubernetes/manifests/etcd.yaml': '', '/var/lib/etcd/member/x': '' });
    expect((await filesAvailable(context)).map(({ check }) => check)).toEqual([
      'FileAvailable--etc-kubernetes-manifests-etcd.yaml',
      'DirAvailable--var-lib-etcd',
    ]);
  });

  it('warns of little memory and refuses one CPU', async () => {
    const context = await contextOf({});
    expect((await memory(context))[0]).toMatchObject({ check: 'Mem', level: 'warning' });
    const refused = await runChecks([memory, numCpu], context, []).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(KinitError);
    expect(refused).toMatchObject({
      code: 'Preflight',
      exitCode: 2,
      details: { seen: expect.stringContaining('[ERROR NumCPU]') },
    });
  });

  it.each([['all'], ['NumCPU'], ['mem,numcpu']])(
    'goes on in spite of errors with --ignore-preflight-errors=%s',
    async (ignored) => {
      const findings = await runChecks([memory, numCpu], await contextOf({}), [ignored]);
      expect(findings.map(({ level }) => level)).toEqual(['warning', 'warning']);
    },
  );
});

describe('facts of a host', () => {
  it.each([
    ['ID=debian\nVERSION_ID="12"\n', 'debian'],
    ['ID=ubuntu\nID_LIKE=debian\n', 'debian'],
    ['ID="centos"\nID_LIKE="rhel fedora"\n', 'redhat'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'redhat'],
    ['ID=alpine\n', 'other'],
  ])('%j is of the family %s', (text, family) => {
    expect(parseOsRelease(text).family).toBe(family);
  });
  it('reads capabilities', () => {
    expect(hasCapability('CapEff:\t000001ffffffffff\n', 24)).toBe(true);
    expect(hasCapability('CapEff:\t000001fffeffffff\n', 24)).toBe(false);
  });
  it('takes the default route with the lowest metric', () => {
    const routes =
      'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n' +
      'eth1\t00000000\t0101\t3\t0\t0\t200\t00000000\n' +
      'eth0\t00000000\t0101\t3\t0\t0\t100\t00000000\n' +
      'eth2\t0000A8C0\t0\t1\t0\t0\t0\t00FFFFFF\n';
    expect(defaultInterface(routes)).toBe('eth0');
  });
});

describe('clean-up', () => {
  it('drops our rules and chains and keeps the rest', () => {
    const saved = `*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j DOCKER
-A KUBE-SERVICES -d 10.96.0.1/32 -j RETURN
-A POSTROUTING -j KINIT-POSTROUTING
COMMIT
`;
    expect(withoutOwnRules(saved)).toBe(
      '*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n',
    );
    expect(withoutOwnRules('*nat\n:DOCKER - [0:0]\nCOMMIT\n')).toBeUndefined();
  });
  it('unmounts deepest first, and only below its folders', () => {
    const line = (path: string) => `36 35 98:0 / ${path} rw shared:1 - tmpfs tmpfs rw`;
    const text = [
      '/',
      '/var/lib/kubelet',
      '/var/lib/kubelet/pods/a',
      '/var/lib/kubelet/pods/a/b\\040c',
      '/var/lib/kubelets',
    ].map(line);
    expect(mountsBelow(text.join('\n'), ['/var/lib/kubelet'])).toEqual([
      '/var/lib/kubelet/pods/a/b c',
      '/var/lib/kubelet/pods/a',
    ]);
  });
  it('makes enforcing SELinux permissive and nothing else', () => {
    expect(permissiveConfig('# SELINUX=enforcing\nSELINUX=enforcing\nSELINUXTYPE=targeted\n')).toBe(
      '# SELINUX=enforcing\nSELINUX=permissive\nSELINUXTYPE=targeted\n',
    );
    expect(permissiveConfig('SELINUX=disabled\n')).toBe('SELINUX=disabled\n');
  });
});
