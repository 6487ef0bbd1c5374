/** Dry runs: what would be written is shown as a difference, and left in a folder when asked. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { plainLine } from '../../../src/cli/render/plain.ts';
import { differenceOf, saveFiles } from '../../../src/installer/host/differences.ts';
import { dryRunHost } from '../../../src/installer/host/dry-run.ts';
import type { Phase } from '../../../src/installer/phases/engine.ts';
import type { PhaseEvent } from '../../../src/installer/phases/events.ts';
import { runInit } from '../../../src/installer/phases/run.ts';
import { runSession } from '../../../src/installer/phases/session.ts';
import { makeKey } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';
import { scratchHost, scratchRoot, snapshot } from './scratch.ts';

const key = await makeKey('ECDSA-P256');
const folder = mkdtempSync(join(tmpdir(), 'kinit-dry-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (after: string, before?: string) => ({
  path: '/etc/a',
  after: Buffer.from(after),
  mode: 0o600,
  ...(before === undefined ? {} : { before: Buffer.from(before) }),
});

describe('a difference', () => {
  it.each([
    ['a new file', file('a\n'), '--- /dev/null\n+++ /etc/a\n@@ -0,0 +1,1 @@\n+a'],
    ['a changed line', file('a\nc\n', 'a\nb\n'), '--- /etc/a\n+++ /etc/a\n@@ -1,2 +1,2 @@\n a\n-b\n+c'],
    ['nothing new', file('a\n', 'a\n'), undefined],
    ['a key', file('-----BEGIN RSA PRIVATE KEY-----\n'), '(holds a secret: not shown)'],
    ['a kubeconfig', file('x\n', 'users:\n- user:\n    client-key-data: eA==\n'), '(holds a secret: not shown)'],
    ['a certificate', file('-----BEGIN CERTIFICATE-----\n'), '(a certificate or public key)'],
    ['bytes', file('a\0b'), '(3 bytes)'],
    [
      'an address with a password',
      file('proxy: http://joe:geheim@proxy:3128\n'),
      '--- /dev/null\n+++ /etc/a\n@@ -0,0 +1,1 @@\n+proxy: http://joe:…@proxy:3128',
    ],
  ])('of %s', (_, written, expected) => expect(differenceOf(written)).toBe(expected));
});

it('of a certificate tells names and how long it is valid, not its bytes', () => {
  const issued = (altNames: string[], notAfter: string) => {
    const request = { commonName: 'server', altNames, notBefore: new Date('2026-01-01'), notAfter: new Date(notAfter) };
    return certificatePem(issueCertificate(request, key));
  };
  const before = issued(['a.test'], '2027-01-01');
  const shown = differenceOf(file(issued(['a.test', 'b.test'], '2028-01-01'), before));
  expect(shown?.split('\n').filter((line) => /^[-+][^-+]/.test(line))).toEqual([
    '-valid until: Jan  1 00:00:00 2027 GMT',
    '+name: DNS:b.test',
    '+valid until: Jan  1 00:00:00 2028 GMT',
  ]);
});

describe('a dry run', () => {
  it('knows the last content of each file and what is there now', async () => {
    const host = dryRunHost(scratchHost(scratchRoot({ '/etc/a': 'old\n' })));
    await host.writeFile('/etc/a', 'new\n');
    await host.writeFile('/etc/b', '1');
    await host.writeFile('/etc/b', '2', { mode: 0o600 });
    await host.writeFile('/etc/c', 'x');
    await host.remove('/etc/c');
    expect(await host.written()).toEqual([
      { path: '/etc/a', before: Buffer.from('old\n'), after: Buffer.from('new\n'), mode: 0o644 },
      { path: '/etc/b', before: undefined, after: Buffer.from('2'), mode: 0o600 },
    ]);
  });

  it('says nothing of a file that comes and goes within the run, and once what is written twice', async () => {
    const root = scratchRoot({ '/etc/old': 'x' });
    const events: PhaseEvent[] = [];
    const phase: Phase = {
      name: 'writes',
      title: 'Write',
      async run({ host, plan }) {
        for (const path of ['/etc/mark', '/etc/old', '/etc/twice', '/etc/twice']) await host.writeFile(path, path);
        for (const path of ['/etc/mark', '/etc/old']) await host.remove(path);
        plan?.({ action: 'create', what: 'ConfigMap a', difference: '+a' });
        return true;
      },
    };
    const { signal } = new AbortController();
    await runSession(
      'init',
      { host: scratchHost(root), dryRun: true, signal, events: (event) => events.push(event) },
      async (context) => ({ phases: [phase], context, skip: [] }),
    );
    const told = events.filter((event) => event.type === 'planned').map(({ action, what }) => `${action} ${what}`);
    expect(told).toEqual(['write /etc/old', 'write /etc/twice', 'remove /etc/old', 'create ConfigMap a']);
    const lines = events.map(plainLine);
    expect(lines).toContainEqual(expect.stringContaining('[writes] Write: would change'));
    expect(lines.at(-1)).toContain('this is what would change');
  });

  it('leaves files with their modes in a folder that only its owner reads', async () => {
    await saveFiles([file('x')], join(folder, 'saved'));
    expect(readFileSync(join(folder, 'saved/etc/a'), 'utf8')).toBe('x');
    expect(statSync(join(folder, 'saved/etc/a')).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'saved')).mode & 0o777).toBe(0o700);
  });

  it('of single phases, asked for by the configuration file, changes nothing and shows the manifests', async () => {
    const root = scratchRoot({ '/etc/kubernetes/manifests/kube-scheduler.yaml': 'old: true\n' });
    const config = join(folder, 'config.yaml');
    writeFileSync(
      config,
      'apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ndryRun: true\nlocalAPIEndpoint: {advertiseAddress: 10.0.0.11}\n',
    );
    const before = snapshot(root);
    const events: PhaseEvent[] = [];
    await runInit({ phases: ['certs/ca', 'control-plane/scheduler'] }, config, {
      host: scratchHost(root),
      dryRun: false,
      dryRunFolder: join(folder, 'init'),
      signal: new AbortController().signal,
      events: (event) => events.push(event),
    });
    expect(snapshot(root)).toEqual(before);
    const planned = events.filter((event) => event.type === 'planned');
    const manifest = planned.find(({ what }) => what.endsWith('kube-scheduler.yaml'));
    expect(manifest?.difference).toContain('-old: true\n+apiVersion: v1\n+kind: Pod');
    expect(plainLine(manifest!)).toContain(
      'would write /etc/kubernetes/manifests/kube-scheduler.yaml\n    --- /etc/kub',
    );
    expect(planned.find(({ what }) => what.endsWith('ca.key'))?.difference).toBe('(holds a secret: not shown)');
    expect(readFileSync(join(folder, 'init/etc/kubernetes/pki/ca.crt'), 'utf8')).toContain('BEGIN CERTIFICATE');
    expect(events.at(-1)).toMatchObject({ type: 'ended', ok: true, dryRun: true });
  });
});
