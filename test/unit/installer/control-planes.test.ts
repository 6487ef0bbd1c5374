import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit, resolveJoin } from '../../../src/installer/config/resolve.ts';
import { writeSharedCertificates } from '../../../src/installer/control-plane/shared-certificates.ts';
import { type EtcdMember, initialClusterOf } from '../../../src/installer/etcd/members.ts';
import { etcdManifest } from '../../../src/installer/etcd/static-pod.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { localMemberOf } from '../../../src/installer/phases/remove-etcd-member.ts';
import {
  decryptShared,
  encryptShared,
  isCertificateKey,
  makeCertificateKey,
  secretField,
  sharedFiles,
} from '../../../src/installer/pki/transfer.ts';
import { type Check, runChecks } from '../../../src/installer/preflight/check.ts';
import { filesAvailable } from '../../../src/installer/preflight/files.ts';
import { role } from '../../../src/installer/preflight/role.ts';
import { scratchHost, scratchRoot, snapshot } from './scratch.ts';

const key = makeCertificateKey();
const identity = { hostname: 'cp2', address: '10.0.0.12' };

describe('certificates on their way to another control plane', () => {
  it('come out as they went in', () => {
    const sealed = encryptShared(Buffer.from('secret'), key);
    expect(sealed.includes('secret')).toBe(false);
    expect(decryptShared(sealed, key).toString()).toBe('secret');
    expect(encryptShared(Buffer.from('secret'), key)).not.toEqual(sealed);
  });

  it('are sealed as AES-256-GCM is everywhere: nonce, cipher text, tag', () => {
    const sealed = Buffer.from(
      `${'00'.repeat(12)}cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919`,
      'hex',
    );
    expect(decryptShared(sealed, '00'.repeat(32))).toEqual(Buffer.alloc(16));
  });

  it.each([
    ['another key', (sealed: Buffer) => decryptShared(sealed, makeCertificateKey())],
    ['changed data', (sealed: Buffer) => decryptShared(Buffer.concat([sealed, Buffer.from('x')]), key)],
    ['data that is cut off', (sealed: Buffer) => decryptShared(sealed.subarray(0, 20), key)],
  ])('do not come out with %s', (_, decrypt) => {
    expect(() => decrypt(encryptShared(Buffer.from('secret'), key))).toThrow(/cannot be decrypted/);
  });

  it.each([
    [key, true],
    [key.toUpperCase(), true],
    [key.slice(2), false],
    [`${key.slice(1)}g`, false],
    ['', false],
  ])('%j is a key: %s', (text, is) => expect(isCertificateKey(text)).toBe(is));

  it("have kubeadm's names in the Secret", () => {
    expect(sharedFiles.map(secretField).sort()).toEqual(
      ['ca', 'etcd-ca', 'front-proxy-ca']
        .flatMap((name) => [`${name}.crt`, `${name}.key`])
        .concat('sa.key', 'sa.pub', 'encryption.yaml')
        .sort(),
    );
  });

  it('are written with keys that only root can read, and once', async () => {
    const root = scratchRoot();
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    const files = new Map([
      ['ca.key', Buffer.from('k')],
      ['etcd/ca.crt', Buffer.from('c')],
    ] as const);
    expect(await writeSharedCertificates(changes, '/pki', files)).toBe(true);
    expect(snapshot(join(root, 'pki'))).toEqual({ '/ca.key': '600 k', '/etcd': 'directory', '/etcd/ca.crt': '644 c' });
    expect(await writeSharedCertificates(changes, '/pki', files)).toBe(false);
  });
});

describe('a member of etcd', () => {
  const config = resolveInit({ nodeName: 'cp2' }, noConfig, identity, []);
  const url = 'https://10.0.0.12:2380';
  const member = (name: string, peer: string): EtcdMember => ({
    id: '7',
    name,
    peerUrls: [peer],
    clientUrls: [],
    learner: false,
  });
  const members = [member('cp1', 'https://10.0.0.11:2380'), member('', url)];

  it('that joins starts with all members, itself by its own name', () => {
    expect(initialClusterOf(members, 'cp2', url)).toBe(`cp1=https://10.0.0.11:2380,cp2=${url}`);
  });

  it('that joins says so; the first one does not', () => {
    const joining = etcdManifest(config, initialClusterOf(members, 'cp2', url));
    expect(joining).toContain(`- --initial-cluster=cp1=https://10.0.0.11:2380,cp2=${url}\n`);
    expect(joining).toContain('- --initial-cluster-state=existing\n');
    expect(etcdManifest(config)).toContain(`- --initial-cluster=cp2=${url}\n`);
    expect(etcdManifest(config)).not.toContain('initial-cluster-state');
  });

  it('that leaves knows itself and the others from its manifest', () => {
    expect(localMemberOf(etcdManifest(config, initialClusterOf(members, 'cp2', url)))).toEqual({
      peerUrl: url,
      clientUrl: 'https://10.0.0.12:2379',
      certificatesDir: '/etc/kubernetes/pki',
      otherClientUrls: ['https://10.0.0.11:2379'],
    });
    expect(localMemberOf('kind: Pod')).toBeUndefined();
  });
});

describe('joining as a control plane', () => {
  const discovery = {
    endpoint: '10.0.0.11:6443',
    token: 'abcdef.0123456789abcdef',
    discoveryTokenCaCertHash: [`sha256:${'0'.repeat(64)}`],
  };
  const join2 = (flags: object, file = noConfig) => resolveJoin({ ...discovery, ...flags }, file, identity, []);
  const document = (controlPlane: string) =>
    parseConfig(
      `apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ncontrolPlane: ${controlPlane}\n`,
      'join.yaml',
    );

  it.each([
    ['no flag is a worker', {}, undefined],
    [
      'flags',
      { controlPlane: true, certificateKey: key, apiserverAdvertiseAddress: '10.0.0.9', apiserverBindPort: '7443' },
      { certificateKey: key, localAPIEndpoint: { advertiseAddress: '10.0.0.9', bindPort: 7443 } },
    ],
    [
      'certificates that are there',
      { controlPlane: true },
      { certificateKey: '', localAPIEndpoint: { bindPort: 6443 } },
    ],
  ])('%s', (_, flags, controlPlane) => expect(join2(flags).controlPlane).toEqual(controlPlane));

  it('is asked for by the section of a file; flags win over it', () => {
    expect(join2({}, document('{}')).controlPlane).toEqual({
      certificateKey: '',
      localAPIEndpoint: { bindPort: 6443 },
    });
    const file = document('{ localAPIEndpoint: { advertiseAddress: 10.0.0.8, bindPort: 8443 } }');
    expect(join2({ apiserverBindPort: '9443' }, file).controlPlane?.localAPIEndpoint).toEqual({
      advertiseAddress: '10.0.0.8',
      bindPort: 9443,
    });
  });

  it('gives the node the taint of control planes', () => {
    expect(join2({ controlPlane: true }).nodeRegistration.taints).toHaveLength(1);
    expect(join2({}).nodeRegistration.taints).toEqual([]);
  });

  it.each([
    ['a flag that a worker has no use for', { certificateKey: key }, /--certificate-key is for a control plane/],
    ['a key that is none', { controlPlane: true, certificateKey: 'abc' }, /not 64 hexadecimal digits/],
    ['an address that is none', { controlPlane: true, apiserverAdvertiseAddress: '10.0.0' }, /"10.0.0" is not/],
    ['a bad port', { controlPlane: true, apiserverBindPort: '0' }, /a port from 1 to 65535/],
  ])('fails with %s', (_, flags, message) => expect(() => join2(flags)).toThrow(message));
});

describe('preflight of a host that joins', () => {
  async function findings(check: Check, bindPort: number, notes: string[] = [], files: Record<string, string> = {}) {
    const root = scratchRoot();
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    const host = scratchHost(root);
    const journal = await openJournal(host);
    for (const what of notes) await journal.record({ kind: 'note', what });
    const settings = {
      nodeName: 'n',
      runtime: 'bundle' as const,
      registries: [],
      cgroupDriver: 'auto' as const,
      criSocket: '',
      keepSwap: false,
      etcdDataDir: '/var/lib/etcd',
    };
    const network = { opensFirewall: true, endpoint: { host: '', port: 6443 }, serviceSubnet: '', podSubnet: '' };
    const context = {
      ...settings,
      ...network,
      env: {},
      host,
      journal,
      command: 'join' as const,
      bindPort,
      facts: {} as never,
    };
    const found = await runChecks([check], context, ['all']);
    return found.map(({ message }) => message);
  }

  it.each([
    ['a worker', 0, ['join', 'control-plane'], 'this host is a control plane of a cluster already'],
    ['a control plane', 6443, ['join'], 'this host is a worker of a cluster already'],
    ['a control plane', 6443, ['init'], 'this host is the control plane of a cluster already'],
  ])('a host does not become %s (port %d) after it was noted as %j', async (_, bindPort, notes, message) => {
    expect(await findings(role, bindPort, notes)).toEqual([message]);
  });

  it.each([
    [6443, ['join', 'control-plane']],
    [0, ['join']],
    [6443, []],
  ])('a host may go on with what it is (port %d, %j)', async (bindPort, notes) =>
    expect(await findings(role, bindPort, notes)).toEqual([]),
  );

  it("finds another cluster's etcd and static pods only in the way of a control plane", async () => {
    const files = { '/var/lib/etcd/member': '', '/etc/kubernetes/manifests/etcd.yaml': '' };
    expect(await findings(filesAvailable, 6443, [], files)).toEqual([
      '/etc/kubernetes/manifests/etcd.yaml already exists',
      '/var/lib/etcd is not empty',
    ]);
    expect(await findings(filesAvailable, 0, [], files)).toEqual(['/etc/kubernetes/manifests is not empty']);
  });
});
