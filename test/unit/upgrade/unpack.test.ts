/** Where a bundle that is unpacked beside another one becomes the one in use, and where that is left to kinit upgrade. */
import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { runHeader } from '../../../src/installer/bundle/run-header.ts';
import { kinitVersion } from '../../../src/machinery/version.ts';
import { scratchRoot } from '../installer/scratch.ts';

const payload = 'b'.repeat(64);

/** Runs the bundle's own script on a folder where its payload is unpacked already. */
async function unpack(root: string): Promise<string> {
  const paths = ['/opt/kinit', '/etc/kubernetes', '/usr/local/bin'];
  const script = paths.reduce(
    (text, path) => text.replaceAll(path, join(root, path)),
    runHeader(ownArchitecture(), [], payload).replace('$(id -u)', '0'),
  );
  return (await execa('sh', ['-s'], { input: script })).stdout;
}

function hostWith({ node, current }: { node: boolean; current?: string }): string {
  const root = scratchRoot({
    [`/opt/kinit/${kinitVersion}/.payload-sha256`]: `${payload}\n`,
    '/opt/kinit/v0.0.9/manifest.json': '{}',
    ...(node ? { '/etc/kubernetes/kubelet.conf': 'x' } : {}),
  });
  if (current) symlinkSync(join(root, 'opt/kinit', current), join(root, 'opt/kinit/current'));
  return root;
}

const linkOf = (root: string, path: string) => readlinkSync(join(root, path)).slice(root.length);

describe('a bundle that is unpacked', () => {
  it.each([
    ['is the one in use on a new host', { node: false }, kinitVersion, 'is already in'],
    ['is the one in use where no node is', { node: false, current: 'v0.0.9' }, kinitVersion, 'is already in'],
    [
      'lies beside the one that a node runs from',
      { node: true, current: 'v0.0.9' },
      'v0.0.9',
      'next: kinit upgrade plan',
    ],
    ['takes the place of one that is gone', { node: true, current: 'v0.0.1' }, kinitVersion, 'is already in'],
  ])('%s', async (_name, host, version, words) => {
    const root = hostWith(host);
    expect(await unpack(root)).toContain(words);
    expect(linkOf(root, 'opt/kinit/current')).toBe(`/opt/kinit/${version}`);
    expect(linkOf(root, 'usr/local/bin/kinit')).toBe(`/opt/kinit/${kinitVersion}/bin/kinit`);
  });

  it('of the version in use stays it', async () => {
    const root = hostWith({ node: true, current: kinitVersion });
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
    writeFileSync(join(root, `opt/kinit/${kinitVersion}/manifest.json`), '{}');
    await unpack(root);
    expect(linkOf(root, 'opt/kinit/current')).toBe(`/opt/kinit/${kinitVersion}`);
  });
});
