/** Authorities whose keys are elsewhere: what has to be there, what is told, what is made nevertheless. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { EncryptionAlgorithm, InitConfiguration } from '../../../src/installer/config/types.ts';
import { controllerManagerArguments } from '../../../src/installer/control-plane/static-pods.ts';
import { type Changes, createChanges } from '../../../src/installer/host/changes.ts';
import type { Host } from '../../../src/installer/host/host.ts';
import { journalPath, openJournal } from '../../../src/installer/host/journal.ts';
import { ensureKubeconfig, kubeconfigIdentities } from '../../../src/installer/kubeconfig/kubeconfig.ts';
import { userKubeconfig } from '../../../src/installer/kubeconfig/user.ts';
import { authorities, leafCertificates } from '../../../src/installer/pki/catalog.ts';
import {
  ensureAuthority,
  ensureLeaf,
  ensureServiceAccountKey,
  loadAuthority,
} from '../../../src/installer/pki/ensure.ts';
import { checkExternalAuthorities } from '../../../src/installer/pki/external.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const dir = '/etc/kubernetes/pki';
let root: string;
let host: Host;
let changes: Changes;
let config: InitConfiguration;

async function makeAll(algorithm: EncryptionAlgorithm = 'ECDSA-P256'): Promise<void> {
  const given = resolveInit({}, noConfig, { hostname: 'cp1', address: '10.0.0.11' }, []);
  config = { ...given, cluster: { ...given.cluster, encryptionAlgorithm: algorithm } };
  for (const authority of authorities) await ensureAuthority(changes, config.cluster, authority);
  for (const leaf of leafCertificates) await ensureLeaf(changes, config, leaf);
  await ensureServiceAccountKey(changes, config.cluster);
  for (const identity of Object.values(kubeconfigIdentities)) await ensureKubeconfig(changes, config, identity);
}

beforeEach(async () => {
  root = scratchRoot();
  host = scratchHost(root);
  changes = createChanges(host, await openJournal(host));
  await changes.folder('/etc/kubernetes');
  await makeAll();
});
afterEach(() => rmSync(root, { recursive: true }));

const seenOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => '',
    (error: { details?: { seen?: string } }) => error.details?.seen ?? String(error),
  );

describe('an authority whose certificate is missing', () => {
  const lose = async (file: string) => host.remove(`${dir}/${file}`);

  it('gets one when kinit itself has made its key, and what it has signed stays good', async () => {
    await lose('etcd/ca.crt');
    const key = await host.readFile(`${dir}/etcd/ca.key`);
    const [etcd] = authorities.filter(({ name }) => name === 'etcd/ca');
    // As another process, which knows only what is on the disk.
    changes = createChanges(host, await openJournal(host));
    expect(await ensureAuthority(changes, config.cluster, etcd!)).toBe(true);
    expect(await host.readFile(`${dir}/etcd/ca.key`)).toEqual(key);
    for (const leaf of leafCertificates) expect(await ensureLeaf(changes, config, leaf)).toBe(false);
  });

  it('is refused when its key has come from elsewhere', async () => {
    await lose('ca.crt');
    rmSync(join(root, journalPath));
    changes = createChanges(host, await openJournal(host));
    await expect(ensureAuthority(changes, config.cluster, authorities[0]!)).rejects.toMatchObject({
      message: `the existing certificate ${dir}/ca.crt cannot be used: ${dir}/ca.key is there without it`,
    });
  });
});

describe('an authority whose key is elsewhere', () => {
  it('is found by its certificate without key, and everything that fits is used as it is', async () => {
    expect(await checkExternalAuthorities(host, config)).toEqual([]);
    for (const name of ['ca', 'front-proxy-ca']) await host.remove(`${dir}/${name}.key`);
    expect(await checkExternalAuthorities(host, config)).toEqual(['ca', 'front-proxy-ca']);
    for (const authority of authorities) expect(await ensureAuthority(changes, config.cluster, authority)).toBe(false);
    for (const leaf of leafCertificates) expect(await ensureLeaf(changes, config, leaf)).toBe(false);
    expect(await ensureKubeconfig(changes, config, kubeconfigIdentities.admin)).toBe(false);
  });

  it('needs every certificate and kubeconfig that it would sign; all that is missing is told at once', async () => {
    await host.remove(`${dir}/ca.key`);
    await host.remove(`${dir}/apiserver.crt`);
    await host.remove(`${dir}/apiserver-kubelet-client.key`);
    await host.remove('/etc/kubernetes/kubelet.conf');
    await host.remove('/etc/kubernetes/super-admin.conf');
    expect((await seenOf(checkExternalAuthorities(host, config))).split('\n')).toEqual([
      `${dir}/apiserver.crt or its key is missing: the certificate of the API server`,
      `${dir}/apiserver-kubelet-client.crt or its key is missing: the certificate with which the API server connects to kubelets`,
      'the kubeconfig /etc/kubernetes/kubelet.conf is missing',
      'the kubeconfig /etc/kubernetes/super-admin.conf is missing, and /etc/kubernetes/admin.conf is not of the group system:masters',
    ]);
  });

  it('refuses what another authority has signed, and kubeconfigs that are not complete', async () => {
    const kubeconfig = (await host.readFile('/etc/kubernetes/scheduler.conf'))!.toString();
    const foreign = (await host.readFile('/etc/kubernetes/admin.conf'))!.toString();
    await host.remove(dir);
    await host.remove('/etc/kubernetes/controller-manager.conf');
    await host.remove('/etc/kubernetes/admin.conf');
    for (const name of ['scheduler.conf', 'kubelet.conf', 'super-admin.conf'])
      await host.remove(`/etc/kubernetes/${name}`);
    await makeAll();
    await host.remove(`${dir}/ca.key`);
    await host.writeFile('/etc/kubernetes/admin.conf', foreign);
    await host.writeFile('/etc/kubernetes/scheduler.conf', kubeconfig.replace(/ +client-key-data: .*\n/, ''));
    const seen = await seenOf(checkExternalAuthorities(host, config));
    expect(seen).toBe(
      `the kubeconfig /etc/kubernetes/admin.conf trusts another CA than ${dir}/ca.crt\n` +
        'the kubeconfig /etc/kubernetes/scheduler.conf has no client-key-data',
    );
  });

  it('cannot be uploaded for other control planes', async () => {
    await host.remove(`${dir}/ca.key`);
    await expect(checkExternalAuthorities(host, { ...config, uploadCerts: true })).rejects.toThrow(
      "can't use upload-certs with an external CA or an external front-proxy CA",
    );
  });

  it('turns the signing controller off', () => {
    const flags = controllerManagerArguments(config, false).filter((flag) => flag.startsWith('--cluster-signing'));
    expect(flags).toEqual(['--cluster-signing-cert-file=', '--cluster-signing-key-file=']);
  });

  it('is enough for kubeconfigs with a token, not for those with a certificate', async () => {
    await host.remove(`${dir}/ca.key`);
    const user = { clientName: 'ann', organizations: [] };
    expect(await userKubeconfig(host, config, { ...user, token: 'abc' })).toContain('token: abc');
    await expect(userKubeconfig(host, config, user)).rejects.toThrow(`${dir}/ca.key is missing`);
  });
});

describe('a key with a passphrase', () => {
  it.each([
    ['ca', ['pkey', '-aes128']],
    ['apiserver', ['pkey', '-aes128']],
    ['ca', ['ec', '-aes128']],
  ])('is refused with a word on what to do: %s.key by openssl %j', async (name, command) => {
    const path = `${dir}/${name}.key`;
    const clear = join(root, path);
    execFileSync('openssl', [...command, '-in', clear, '-out', `${clear}.tmp`, '-passout', 'pass:secret'], {
      stdio: 'ignore',
    });
    await host.writeFile(path, (await host.readFile(`${path}.tmp`))!, { mode: 0o600 });
    await expect(
      name === 'ca' ? loadAuthority(host, dir, 'ca') : ensureLeaf(changes, config, leafCertificates[0]!),
    ).rejects.toThrow(`${path} cannot be read: the key is encrypted with a passphrase; write it without: openssl pkey`);
  });
});
