/** Dry runs: what would be written is shown as a difference, and left in a folder when asked. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { plainLine } from '../../../src/cli/render/plain.ts';
import { differenceOf, saveFiles } from '../../../src/installer/host/differences.ts';
import { dryRunHost } from '../../../src/installer/host/dry-run.ts';
import type { PhaseEvent } from '../../../src/installer/phases/events.ts';
import { runInit } from '../../../src/installer/phases/run.ts';
import { scratchHost, scratchRoot, snapshot } from './scratch.ts';

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
  ])('of %s', (_, written, expected) => expect(differenceOf(written)).toBe(expected));
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
