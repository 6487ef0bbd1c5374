/** The choice of a runtime, what package managers and runtimes say, and registries as containerd reads them. */
import { rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { KinitError } from '../../../src/installer/errors.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { differenceOf } from '../../../src/installer/host/differences.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { newPackagesOfApt, newPackagesOfDnf } from '../../../src/installer/host/packages.ts';
import { undoAll } from '../../../src/installer/host/undo.ts';
import { initPhaseNames } from '../../../src/installer/phases/init.ts';
import { containerdConfig } from '../../../src/installer/runtime/containerd.ts';
import { configurationOf } from '../../../src/installer/runtime/existing.ts';
import { imagesOfCri } from '../../../src/installer/runtime/image-store.ts';
import {
  readRegistries,
  registryFiles,
  registryUsers,
  writeRegistries,
} from '../../../src/installer/runtime/registries.ts';
import { scratchHost, scratchRoot } from './scratch.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const resolve = (flags: object, fields?: string) =>
  resolveInit(
    flags,
    fields ? parseConfig(`apiVersion: kinit.local/v1alpha1\nkind: HostConfiguration\n${fields}`, 'c.yaml') : noConfig,
    identity,
    initPhaseNames,
  );
const mistakesOf = (flags: object, fields?: string): string => {
  try {
    resolve(flags, fields);
  } catch (error) {
    if (error instanceof KinitError) return error.message;
    throw error;
  }
  return '';
};

describe('the choice of a runtime', () => {
  const own = 'unix:///var/run/containerd/containerd.sock';
  it.each<[string, object, string | undefined, string, string]>([
    ['nothing', {}, undefined, 'bundle', own],
    ['a flag', { runtime: 'packages' }, undefined, 'packages', own],
    ['a file', {}, 'runtime: packages', 'packages', own],
    ['a flag over a file', { runtime: 'bundle' }, 'runtime: packages', 'bundle', own],
    ['a socket', { criSocket: '/run/crio/crio.sock' }, undefined, 'existing', 'unix:///run/crio/crio.sock'],
    ['no socket', { runtime: 'existing' }, undefined, 'existing', ''],
    ["kubeadm's default socket beside a choice", { criSocket: own }, 'runtime: bundle', 'bundle', own],
  ])('by %s', (_, flags, fields, runtime, criSocket) => {
    const { host, nodeRegistration } = resolve(flags, fields);
    expect([host.runtime, nodeRegistration.criSocket]).toEqual([runtime, criSocket]);
  });

  it.each<[string, object, string | undefined, string]>([
    [
      'an unknown word',
      { runtime: 'docker' },
      undefined,
      '--runtime is "docker"; it takes bundle or packages or existing',
    ],
    ['a socket elsewhere', { runtime: 'packages', criSocket: '/run/x' }, undefined, 'leave it away'],
    [
      'registries of others',
      { runtime: 'existing' },
      'registries: [{host: r.example, skipVerify: true}]',
      'c.yaml:3:1: kinit does not configure',
    ],
    [
      'a user without password',
      {},
      'registries: [{host: r.example, username: ada}]',
      'both a user name and a password',
    ],
    [
      'a password without user',
      {},
      'registries: [{host: r.example, passwordFile: /p}]',
      'both a user name and a password',
    ],
    ['a registry twice', {}, 'registries: [{host: r.example}, {host: r.example}]', 'given twice'],
    ['a URL as a registry', {}, 'registries: [{host: "https://r.example"}]', 'is not a registry as image names begin'],
    [
      'a password in a URL',
      {},
      'registries: [{host: r.example, mirrors: [{url: "https://u:p@m"}]}]',
      'is not a URL like',
    ],
    ['a relative file', {}, 'registries: [{host: r.example, caFile: ca.crt}]', '"ca.crt" is not an absolute path'],
    ['nothing for all', {}, 'registries: [{host: "*"}]', 'it needs mirrors'],
    [
      'two users at one host',
      {},
      'registries: [{host: r.example, username: a, password: b}, {host: x, server: "https://r.example", username: c, password: d}]',
      'two different users or passwords are given for r.example',
    ],
  ])('refuses %s', (_, flags, fields, message) => {
    expect(mistakesOf(flags, fields)).toContain(message);
  });

  it('never repeats a password', () => {
    const fields = 'registries: [{host: "a b", username: ada, password: sesam, passwordFile: x}]';
    expect(mistakesOf({}, fields)).toContain('is not a registry');
    expect(mistakesOf({}, fields)).not.toContain('sesam');
  });
});

describe('package managers', () => {
  it('apt tells what it would install, beside what it would upgrade', () => {
    const text = `Inst runc (1.1.5 Debian:12 [amd64])
Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64]) []
Inst containerd (1.6.20 Debian:12 [amd64])
Conf containerd (1.6.20 Debian:12 [amd64])`;
    expect(newPackagesOfApt(text)).toEqual(['runc', 'containerd']);
  });

  it('dnf tells it in a table, with long names on lines of their own', () => {
    const text = `Last metadata expiration check: 0:00:01 ago.
Dependencies resolved.
================================================================================
 Package           Arch        Version             Repository              Size
================================================================================
Installing:
 containerd.io     x86_64      1.7.27-3.1.el9      docker-ce-stable        44 M
Installing dependencies:
 a-package-with-quite-a-long-name-of-its-own
                   noarch      2:2.235-1.el9       appstream              235 k
Upgrading:
 libselinux        x86_64      3.6-3.el9           baseos                  86 k

Transaction Summary
================================================================================
Install  2 Packages`;
    expect(newPackagesOfDnf(text)).toEqual(['containerd.io', 'a-package-with-quite-a-long-name-of-its-own']);
    expect(newPackagesOfDnf('Error: Unable to find a match: containerd')).toEqual([]);
  });
});

describe('what a runtime says of itself', () => {
  const runc = (SystemdCgroup: boolean) => ({
    runtimes: { runc: { options: { SystemdCgroup } } },
    defaultRuntimeName: 'runc',
  });
  it.each<[string, object, object]>([
    [
      'containerd 1',
      { containerd: runc(true), cni: { binDir: '/usr/lib/cni', confDir: '/etc/cni/net.d' }, sandboxImage: 'p:3.8' },
      { cgroupDriver: 'systemd', cniBin: ['/usr/lib/cni'], cniConfig: '/etc/cni/net.d', sandboxImage: 'p:3.8' },
    ],
    [
      'containerd 2',
      { containerd: runc(false), cni: { binDirs: ['/a', '/b'], confDir: '/etc/cni/net.d' } },
      { cgroupDriver: 'cgroupfs', cniBin: ['/a', '/b'], cniConfig: '/etc/cni/net.d' },
    ],
    ['CRI-O', { sandboxImage: 'p:3.10' }, { sandboxImage: 'p:3.10' }],
  ])('%s', (_, config, expected) => {
    expect(configurationOf({ config: JSON.stringify(config) })).toEqual(expected);
  });
  it('nothing that can be read', () => {
    expect([configurationOf({}), configurationOf({ config: 'pause = "x"' })]).toEqual([{}, {}]);
  });

  it('images with those who use them', () => {
    const image = (id: string, ...repoTags: string[]) => ({ id, repoTags, repoDigests: [], size: 3 << 20 });
    const used = { id: 'c', image: { image: 'sha256:1' }, imageRef: 'sha256:1' };
    const found = imagesOfCri([image('sha256:1', 'r/a:1'), image('2')], [used], new Set(['sha256:2']));
    expect(found).toEqual([
      { digest: 'sha256:1', references: ['r/a:1'], size: '3.0 MiB', inBundle: false, containers: 1 },
      { digest: 'sha256:2', references: ['sha256:2'], size: '3.0 MiB', inBundle: true, containers: 0 },
    ]);
  });
});

const pem = '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n';

describe('registries', () => {
  const roots: string[] = [];
  afterEach(() => {
    for (const root of roots.splice(0)) rmSync(root, { recursive: true });
  });
  const hostWith = (files: Record<string, string>) => {
    const root = scratchRoot(files);
    roots.push(root);
    return scratchHost(root);
  };

  it.each<[string, Parameters<typeof registryFiles>[0], Record<string, string>]>([
    [
      'its own certificate',
      { host: 'r:5000', ca: pem },
      { 'hosts.toml': 'server = "https://r:5000"\nca = "/d/ca.crt"\n', 'ca.crt': pem },
    ],
    [
      'an address without TLS',
      { host: 'r:5000', server: 'http://r:5000' },
      { 'hosts.toml': 'server = "http://r:5000"\n' },
    ],
    [
      'mirrors',
      {
        host: 'docker.io',
        mirrors: [
          { url: 'https://m', skipVerify: true },
          { url: 'https://h/v2/hub', ca: pem },
        ],
      },
      {
        'hosts.toml': `server = "https://registry-1.docker.io"

[host."https://m"]
  capabilities = ["pull", "resolve"]
  skip_verify = true

[host."https://h/v2/hub"]
  capabilities = ["pull", "resolve"]
  ca = "/d/mirror-1-ca.crt"
  override_path = true
`,
        'mirror-1-ca.crt': pem,
      },
    ],
    [
      'a mirror for all others',
      { host: '*', mirrors: [{ url: 'https://m' }] },
      { 'hosts.toml': '[host."https://m"]\n  capabilities = ["pull", "resolve"]\n' },
    ],
  ])('with %s', (_, registry, files) => {
    const found = Object.fromEntries(
      registryFiles(registry, '/d').map(({ path, content }) => [path.slice(3), content]),
    );
    expect(found).toEqual(files);
  });

  it("have users in containerd's configuration, which no dry run shows", () => {
    const users = registryUsers([
      { host: 'docker.io', username: 'ada', password: 'a"b' },
      { host: 'r', mirrors: [{ url: 'https://m:5000', username: 'bob', password: 'c' }] },
    ]);
    expect(users.map(({ host }) => host)).toEqual(['docker.io', 'registry-1.docker.io', 'm:5000']);
    const text = containerdConfig({
      cgroupDriver: 'systemd',
      snapshotter: 'overlayfs',
      canLowerOomScore: true,
      images: { imageRepository: 'kinit.local' },
      runc: '/usr/sbin/runc',
      users,
    });
    expect(text).toContain('.registry.configs."m:5000".auth]\n      username = "bob"\n      password = "c"\n');
    expect(text).toContain('password = "a\\"b"');
    const after = Buffer.from(text);
    expect(differenceOf({ path: '/c', after, mode: 0o600 })).toBe('(holds a secret: not shown)');
  });

  it('read passwords and certificates from files that only their owner may read', async () => {
    const host = hostWith({ '/p': 'sesam\n', '/ca': pem });
    const settings = [{ host: 'r', username: 'ada', passwordFile: '/p', caFile: '/ca' }];
    await expect(readRegistries(host, settings)).rejects.toThrow('others than its owner may read the password in /p');
    await host.writeFile('/p', 'sesam\n', { mode: 0o600 });
    expect(await readRegistries(host, settings)).toMatchObject([{ password: 'sesam', ca: pem.trimEnd() }]);
    await expect(readRegistries(host, [{ host: 'r', caFile: '/p' }])).rejects.toThrow('holds no certificate');
    await expect(readRegistries(host, [{ host: 'r', caFile: '/no' }])).rejects.toThrow('there is no file /no');
  });

  it('are written, changed, taken away when they are no longer named, and forgotten by a reset', async () => {
    const root = '/etc/containerd/certs.d';
    const host = hostWith({ [`${root}/theirs/hosts.toml`]: 'server = "https://theirs"\n' });
    const journal = await openJournal(host);
    const changes = createChanges(host, journal);
    const write = (...registries: Parameters<typeof writeRegistries>[1]) => writeRegistries(changes, registries);
    expect(await write()).toBe(false);
    expect(await write({ host: 'a', ca: pem }, { host: 'theirs', skipVerify: true })).toBe(true);
    expect(await write({ host: 'a', ca: pem }, { host: 'theirs', skipVerify: true })).toBe(false);
    expect(await write({ host: 'a', skipVerify: true }, { host: 'b' })).toBe(true);
    expect([await host.list(root), await host.list(`${root}/a`)]).toEqual([['a', 'b', 'theirs'], ['hosts.toml']]);
    await undoAll(host, journal.entries);
    expect(await host.list(root)).toEqual(['theirs']);
    expect((await host.readFile(`${root}/theirs/hosts.toml`))?.toString()).toBe('server = "https://theirs"\n');
  });
});
