/** kinit certs and kinit kubeconfig user over a scratch host with a whole set of certificates. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatExpirations } from '../../../src/cli/render/expirations.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { InitConfiguration } from '../../../src/installer/config/types.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import {
  ensureKubeconfig,
  kubeconfigIdentities,
  parseKubeconfig,
  restConfigOf,
} from '../../../src/installer/kubeconfig/kubeconfig.ts';
import { userKubeconfig } from '../../../src/installer/kubeconfig/user.ts';
import { authorities, leafCertificates } from '../../../src/installer/pki/catalog.ts';
import { ensureAuthority, ensureLeaf, loadAuthority } from '../../../src/installer/pki/ensure.ts';
import { checkExpiration, shortDuration } from '../../../src/installer/pki/expiration.ts';
import { renewCertificate } from '../../../src/installer/pki/renew.ts';
import { type CertificateHome, readRenewable, renewables } from '../../../src/installer/pki/renewable.ts';
import { generateRequests } from '../../../src/installer/pki/requests.ts';
import { altNamesOf, subjectNames } from '../../../src/installer/pki/x509.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const root = scratchRoot();
const host = scratchHost(root);
const dir = '/etc/kubernetes/pki';
const home: CertificateHome = { host, certificatesDir: dir };
let config: InitConfiguration;

beforeAll(async () => {
  const given = resolveInit(
    { apiserverCertExtraSans: ['fd00::7'] },
    noConfig,
    { hostname: 'cp1', address: '10.0.0.11' },
    [],
  );
  config = { ...given, cluster: { ...given.cluster, encryptionAlgorithm: 'ECDSA-P256' } };
  const changes = createChanges(host, await openJournal(host));
  await changes.folder('/etc/kubernetes');
  for (const authority of authorities) await ensureAuthority(changes, config.cluster, authority);
  for (const leaf of leafCertificates) await ensureLeaf(changes, config, leaf);
  const { admin, controllerManager, scheduler } = kubeconfigIdentities;
  for (const identity of [admin, controllerManager, scheduler]) await ensureKubeconfig(changes, config, identity);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('certificates of a control plane', () => {
  it('are listed as kubeadm lists them, missing ones too', async () => {
    const found = await checkExpiration(home, new Date(Date.now() + 86_400_000));
    const lines = formatExpirations(found)
      .replace(/\w{3} \d\d, \d{4} \d\d:\d\d UTC/g, 'Jan 02, 2006 15:04 UTC')
      .split('\n');
    expect(lines).toEqual([
      'CERTIFICATE                  EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED',
      'admin.conf                   Jan 02, 2006 15:04 UTC   363d            ca                      no      ',
      'apiserver                    Jan 02, 2006 15:04 UTC   363d            ca                      no      ',
      'apiserver-etcd-client        Jan 02, 2006 15:04 UTC   363d            etcd-ca                 no      ',
      'apiserver-kubelet-client     Jan 02, 2006 15:04 UTC   363d            ca                      no      ',
      'controller-manager.conf      Jan 02, 2006 15:04 UTC   363d            ca                      no      ',
      'etcd-healthcheck-client      Jan 02, 2006 15:04 UTC   363d            etcd-ca                 no      ',
      'etcd-peer                    Jan 02, 2006 15:04 UTC   363d            etcd-ca                 no      ',
      'etcd-server                  Jan 02, 2006 15:04 UTC   363d            etcd-ca                 no      ',
      'front-proxy-client           Jan 02, 2006 15:04 UTC   363d            front-proxy-ca          no      ',
      'scheduler.conf               Jan 02, 2006 15:04 UTC   363d            ca                      no      ',
      `!MISSING! super-admin.conf${' '.repeat(3 + 25 + 16 + 24)}`,
      '',
      'CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED',
      'ca                      Jan 02, 2006 15:04 UTC   9y              no      ',
      'etcd-ca                 Jan 02, 2006 15:04 UTC   9y              no      ',
      'front-proxy-ca          Jan 02, 2006 15:04 UTC   9y              no      ',
      '',
    ]);
  });

  it.each(renewables.filter(({ name }) => name !== 'super-admin.conf'))(
    '$name is renewed with its names, usages and mode, and a new key',
    async (renewable) => {
      const before = (await readRenewable(home, renewable))!.certificate;
      const outcome = await renewCertificate(home, renewable, {
        encryptionAlgorithm: 'ECDSA-P256',
        certificateValidityPeriod: '48h0m0s',
      });
      const after = (await readRenewable(home, renewable))!.certificate;
      expect(outcome).toBe('renewed');
      expect(subjectNames(after)).toEqual(subjectNames(before));
      expect(altNamesOf(after)).toEqual(altNamesOf(before));
      expect(after.keyUsage).toEqual(before.keyUsage);
      expect(after.publicKey.equals(before.publicKey)).toBe(false);
      expect(Math.round((after.validToDate.getTime() - Date.now()) / 3_600_000)).toBe(48);
      const { certificate: authority } = await loadAuthority(host, dir, renewable.authority);
      expect(after.verify(authority.publicKey)).toBe(true);
      const key = renewable.kind === 'file' ? `${dir}/${renewable.file}.key` : `/etc/kubernetes/${renewable.file}`;
      expect((await host.stat(key))?.mode).toBe(0o600);
    },
  );

  it('that are missing are not made up', async () => {
    const missing = renewables.find(({ name }) => name === 'super-admin.conf')!;
    expect(await renewCertificate(home, missing, config.cluster)).toBe('missing');
  });

  it('whose authority has no key here are left alone', async () => {
    const client = renewables.find(({ name }) => name === 'front-proxy-client')!;
    const before = readFileSync(join(root, dir, 'front-proxy-client.crt'), 'utf8');
    const key = (await host.readFile(`${dir}/front-proxy-ca.key`))!;
    await host.remove(`${dir}/front-proxy-ca.key`);
    const outcome = await renewCertificate(home, client, config.cluster);
    const listed = (await checkExpiration(home)).authorities.find(({ name }) => name === 'front-proxy-ca');
    await host.writeFile(`${dir}/front-proxy-ca.key`, key, { mode: 0o600 });
    expect([outcome, listed?.external]).toEqual(['external', true]);
    expect(readFileSync(join(root, dir, 'front-proxy-client.crt'), 'utf8')).toBe(before);
  });

  it.each([
    [-5, '<invalid>'],
    [-1, '0s'],
    [59, '59s'],
    [60, '1m'],
    [7199, '1h'],
    [86_400, '1d'],
    [364 * 86_400, '364d'],
    [365 * 86_400, '1y'],
  ])('with %d seconds left say %s', (seconds, text) => expect(shortDuration(seconds)).toBe(text));
});

describe('signing requests', () => {
  it('carry subject and names of the certificates, and never overwrite a key', async () => {
    const folders = { certificatesDir: '/csr/pki', kubeconfigDir: '/csr' };
    const made = await generateRequests(host, config, folders);
    expect(made).toHaveLength(leafCertificates.length + Object.keys(kubeconfigIdentities).length);
    const text = execFileSync(
      'openssl',
      ['req', '-verify', '-noout', '-text', '-in', join(root, '/csr/pki/apiserver.csr')],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    expect(text).toMatch(/Subject: CN ?= ?kube-apiserver/);
    expect(text).toContain('DNS:kubernetes.default.svc.cluster.local');
    expect(text).toContain('IP Address:10.96.0.1');
    expect(existsSync(join(root, '/csr/admin.conf.csr'))).toBe(true);
    const admin = parseKubeconfig(readFileSync(join(root, '/csr/admin.conf'), 'utf8'), 'admin.conf');
    expect(restConfigOf(admin, 'admin.conf').keyData).toContain('EC PRIVATE KEY');
    await expect(generateRequests(host, config, folders)).rejects.toThrow('apiserver.key exists already');
  });
});

describe('the kubeconfig of a user', () => {
  it('has a certificate with the name and the groups', async () => {
    const options = { clientName: 'ann', organizations: ['dev', 'ops'], validityPeriod: '24h' };
    const rest = restConfigOf(parseKubeconfig(await userKubeconfig(host, config, options), 'x'), 'x');
    const certificate = new X509Certificate(rest.certData!);
    expect(rest.server).toBe('https://10.0.0.11:6443');
    expect(subjectNames(certificate)).toEqual({ commonName: 'ann', organizations: ['dev', 'ops'] });
    expect(certificate.verify((await loadAuthority(host, dir, 'ca')).certificate.publicKey)).toBe(true);
  });
  it('has the token that is given and no certificate', async () => {
    const text = await userKubeconfig(host, config, { clientName: 'bot', organizations: [], token: 'secret' });
    const rest = restConfigOf(parseKubeconfig(text, 'x'), 'x');
    expect([rest.token, rest.certData]).toEqual(['secret', undefined]);
  });
});
