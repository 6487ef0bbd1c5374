/** Certificates and kubeconfigs of a whole init into a scratch root, judged by openssl and kubectl. */
import { rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { InitConfiguration } from '../../../src/installer/config/types.ts';
import { type Changes, createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { certificatePhases } from '../../../src/installer/phases/certs.ts';
import type { InitContext } from '../../../src/installer/phases/context.ts';
import { runPhases } from '../../../src/installer/phases/engine.ts';
import { kubeconfigPhases } from '../../../src/installer/phases/kubeconfig.ts';
import { scratchHost, scratchRoot, snapshot } from '../../unit/installer/scratch.ts';

const root = scratchRoot();
const pki = join(root, '/etc/kubernetes/pki');
const phases = [...certificatePhases, ...kubeconfigPhases];
let changes: Changes;

const configOf = (sans: string[] = []): InitConfiguration =>
  resolveInit(
    { controlPlaneEndpoint: 'api.example.test', apiserverCertExtraSans: ['10.9.9.9', ...sans] },
    noConfig,
    { hostname: 'cp1', address: '10.0.0.11' },
    [],
  );

async function run(config = configOf()) {
  const context = {
    host: changes.host,
    changes,
    config,
    facts: { hostname: 'cp1' },
    kubeconfigDir: '/etc/kubernetes',
    signal: new AbortController().signal,
  };
  const observer = { phaseStarted: () => undefined, phaseEnded: () => undefined };
  return runPhases(phases, context as unknown as InitContext, { observer, abort: () => undefined });
}

async function openssl(...args: string[]): Promise<string> {
  return (await execa('openssl', args)).stdout;
}
const show = (name: string, ...what: string[]) => openssl('x509', '-in', join(pki, `${name}.crt`), '-noout', ...what);

beforeAll(async () => {
  const host = scratchHost(root);
  changes = createChanges(host, await openJournal(host));
  await run();
});
afterAll(() => rmSync(root, { recursive: true }));

describe('certificates', () => {
  it.each([
    ['apiserver', 'ca', 'sslserver'],
    ['apiserver-kubelet-client', 'ca', 'sslclient'],
    ['front-proxy-client', 'front-proxy-ca', 'sslclient'],
    ['etcd/server', 'etcd/ca', 'sslserver'],
    ['etcd/server', 'etcd/ca', 'sslclient'],
    ['etcd/peer', 'etcd/ca', 'sslserver'],
    ['etcd/healthcheck-client', 'etcd/ca', 'sslclient'],
    ['apiserver-etcd-client', 'etcd/ca', 'sslclient'],
  ])('%s is signed by %s and good as %s', async (name, authority, purpose) => {
    const ca = join(pki, `${authority}.crt`);
    const verified = await openssl(
      'verify',
      '-x509_strict',
      '-purpose',
      purpose,
      '-CAfile',
      ca,
      join(pki, `${name}.crt`),
    );
    expect(verified).toMatch(/: OK$/);
    const [fromKey, fromCertificate] = await Promise.all([
      openssl('pkey', '-in', join(pki, `${name}.key`), '-pubout'),
      show(name, '-pubkey'),
    ]);
    expect(fromKey).toBe(fromCertificate);
  });

  it.each([
    ['ca', 'CN = kubernetes', '3650'],
    ['front-proxy-ca', 'CN = front-proxy-ca', '3650'],
    ['etcd/ca', 'CN = etcd-ca', '3650'],
    ['apiserver', 'CN = kube-apiserver', '365'],
    ['apiserver-kubelet-client', 'O = kubeadm:cluster-admins, CN = kube-apiserver-kubelet-client', '365'],
    ['etcd/server', 'CN = cp1', '365'],
    ['etcd/healthcheck-client', 'CN = kube-etcd-healthcheck-client', '365'],
    ['apiserver-etcd-client', 'CN = kube-apiserver-etcd-client', '365'],
  ])('%s has the subject %s and is valid for %s days', async (name, subject, days) => {
    expect(
      (await show(name, '-subject')).replace('subject=', '').replaceAll('=', ' = ').replace(/\s+/g, ' ').trim(),
    ).toBe(subject);
    const end = Number(days) * 86_400;
    await expect(show(name, '-checkend', String(end - 120))).resolves.toContain('will not expire');
    expect(
      (
        await execa('openssl', ['x509', '-in', join(pki, `${name}.crt`), '-checkend', String(end + 120)], {
          reject: false,
        })
      ).exitCode,
    ).toBe(1);
  });

  it.each([
    [
      'apiserver',
      'DNS:api.example.test, DNS:cp1, DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local, IP Address:10.0.0.11, IP Address:10.9.9.9, IP Address:10.96.0.1',
    ],
    ['etcd/server', 'DNS:cp1, DNS:localhost, IP Address:10.0.0.11, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1'],
    ['ca', 'DNS:kubernetes'],
  ])('%s is valid for %s', async (name, names) => {
    expect((await show(name, '-ext', 'subjectAltName')).split('\n').at(-1)!.trim()).toBe(names);
  });

  it('have the modes of kubeadm', () => {
    const files = snapshot(root);
    for (const [path, content] of Object.entries(files)) {
      if (!path.startsWith('/etc/kubernetes') || content === 'directory') continue;
      const expected = path.endsWith('.crt') ? '644' : '600';
      expect(content.split(' ')[0], path).toBe(expected);
    }
  });

  it('are kept by a second run', async () => {
    const before = snapshot(root);
    const results = await run();
    expect(results.filter(({ outcome }) => outcome !== 'unchanged')).toEqual([]);
    expect(snapshot(root)).toEqual(before);
  });

  it('that lack a name are named, not replaced, where the authority cannot sign', async () => {
    const key = join(pki, 'ca.key');
    await rename(key, `${key}.away`);
    const before = snapshot(root);
    await expect(run(configOf(['10.9.9.10']))).rejects.toMatchObject({
      code: 'Validation',
      message: expect.stringContaining(
        '/etc/kubernetes/pki/apiserver.crt cannot be used: it is not valid for 10.9.9.10',
      ),
    });
    expect(snapshot(root)).toEqual(before);
    await rename(`${key}.away`, key);
  });

  it('get the names that they lack beside those that they have, with the same key', async () => {
    const before = snapshot(root);
    const results = await run(configOf(['10.9.9.10', '2001:db8::1']));
    expect(results.filter(({ outcome }) => outcome === 'changed').map(({ name }) => name)).toEqual(['certs/apiserver']);
    const after = snapshot(root);
    const changed = Object.keys(after).filter((path) => after[path] !== before[path]);
    expect(changed).toEqual(['/etc/kubernetes/pki/apiserver.crt']);
    expect(await show('apiserver', '-ext', 'subjectAltName')).toMatch(
      /DNS:api.example.test, .*IP Address:10.9.9.10, IP Address:10.9.9.9, .*IP Address:2001:DB8:0:0:0:0:0:1/,
    );
  });
});

describe('kubeconfigs', () => {
  it.each([
    ['admin', 'https://api.example.test:6443', 'O = kubeadm:cluster-admins, CN = kubernetes-admin'],
    ['super-admin', 'https://api.example.test:6443', 'O = system:masters, CN = kubernetes-super-admin'],
    ['controller-manager', 'https://10.0.0.11:6443', 'CN = system:kube-controller-manager'],
    ['scheduler', 'https://10.0.0.11:6443', 'CN = system:kube-scheduler'],
    ['kubelet', 'https://10.0.0.11:6443', 'O = system:nodes, CN = system:node:cp1'],
  ])('%s.conf points to %s as %s', async (name, server, subject) => {
    const file = join(root, `/etc/kubernetes/${name}.conf`);
    const view = await execa('kubectl', ['--kubeconfig', file, 'config', 'view', '--raw', '--minify', '-o', 'json']);
    const config = JSON.parse(view.stdout) as {
      clusters: { cluster: { server: string } }[];
      users: { user: Record<string, string> }[];
      'current-context': string;
    };
    expect(config.clusters[0]!.cluster.server).toBe(server);
    const certificate = Buffer.from(config.users[0]!.user['client-certificate-data']!, 'base64');
    const seen = await execa('openssl', ['x509', '-noout', '-subject'], { input: certificate });
    expect(seen.stdout.replace('subject=', '').replaceAll('=', ' = ').replace(/\s+/g, ' ').trim()).toBe(subject);
    const verified = await execa('openssl', ['verify', '-purpose', 'sslclient', '-CAfile', join(pki, 'ca.crt')], {
      input: certificate,
    });
    expect(verified.stdout).toBe('stdin: OK');
  });
});
