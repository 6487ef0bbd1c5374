import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { architectures, ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { completeEntries, directory, file, symlink, writeLayer } from '../../../src/installer/bundle/layer.ts';
import {
  addImage,
  addLayer,
  createLayout,
  imageArchive,
  listImages,
} from '../../../src/installer/bundle/oci-layout.ts';
import { readRunFile, writeRunFile } from '../../../src/installer/bundle/run-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-bundle-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a layer', () => {
  it('has the same digest whatever the order of its entries', async () => {
    const entries = [file('usr/bin/a', Buffer.from('a'), 0o755), symlink('bin', 'usr/bin'), directory('tmp')];
    const one = await writeLayer(entries, folder);
    const two = await writeLayer([...entries].reverse(), folder);
    expect(two).toEqual(one);
    expect((await readdir(folder)).length).toBe(1);
  });

  it('has every parent folder before what it holds', () => {
    expect(completeEntries([file('a/b/c', Buffer.from(''))]).map((entry) => entry.path)).toEqual(['a', 'a/b', 'a/b/c']);
  });
});

describe('an OCI layout', () => {
  it('keeps one image per reference and streams only what is asked for', async () => {
    await createLayout(folder);
    const base = await addLayer(folder, [file('a', Buffer.from('one'))]);
    await addImage(folder, 'kinit.local/x:1', [base], { Entrypoint: ['/a'] });
    await addImage(folder, 'kinit.local/x:1', [base], { Entrypoint: ['/b'] });
    await addImage(folder, 'kinit.local/y:1', [base], {});
    expect((await listImages(folder)).map((image) => image.reference)).toEqual(['kinit.local/x:1', 'kinit.local/y:1']);
    const chunks: Buffer[] = [];
    for await (const chunk of await imageArchive(folder, ['kinit.local/y:1'])) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('latin1');
    expect(text).toContain('kinit.local/y:1');
    expect(text).not.toContain('kinit.local/x:1');
    await expect(imageArchive(folder, ['kinit.local/z:1'])).rejects.toThrow(
      'has no image kinit.local/z:1; it has kinit.local/x:1',
    );
  });

  it('whose reader ends early, as on a full disk, is no error of its own', async () => {
    await createLayout(folder);
    const layer = await addLayer(folder, [file('large', randomBytes(4 << 20))]);
    await addImage(folder, 'kinit.local/x:1', [layer], {});
    const archive = await imageArchive(folder, ['kinit.local/x:1']);
    await once(archive, 'readable');
    archive.destroy();
    await once(archive, 'close');
    // An error that nobody hears would end the test here.
    await new Promise((resolve) => setImmediate(resolve));
    expect(archive.errored).toBeNull();
  });
});

describe('a run file', () => {
  it('tells its version and payload, and anything else is refused', async () => {
    const part = join(folder, 'part');
    await writeFile(part, 'payload');
    const path = join(folder, 'bundle.run');
    const written = await writeRunFile(path, ownArchitecture(), part, { name: 'kinit', path: part });
    expect(await readRunFile(path)).toEqual(written);
    expect((await readFile(path)).subarray(0, 9).toString()).toBe('#!/bin/sh');
    await expect(readRunFile(part)).rejects.toThrow('is not a kinit bundle');
    await expect(readRunFile(join(folder, 'none'))).rejects.toThrow('cannot open the bundle');
  });

  it('is refused on a machine of another architecture', async () => {
    const part = join(folder, 'part');
    await writeFile(part, 'payload');
    const path = join(folder, 'foreign.run');
    const foreign = architectures.find((each) => each !== ownArchitecture());
    if (!foreign) throw new Error('there is only one architecture');
    await writeRunFile(path, foreign, part, { name: 'kinit', path: part });
    expect((await readRunFile(path)).architecture).toBe(foreign);
    const { exitCode, stderr } = await execa('sh', [path], { reject: false });
    expect(exitCode).toBe(1);
    expect(stderr).toBe(
      `kinit bundle: this bundle is for linux/${foreign.debian} (${foreign.machine}), this machine is ${ownArchitecture().machine}: take the bundle for it`,
    );
  });

  it('says how it is used, and refuses what it does not know', async () => {
    const part = join(folder, 'part');
    await writeFile(part, 'payload');
    const path = join(folder, 'bundle.run');
    await writeRunFile(path, ownArchitecture(), part, { name: 'kinit', path: part });
    const help = await execa('sh', [path, '--help']);
    expect(help.stdout).toContain(`Usage: sh ${path} [--quiet]`);
    const unknown = await execa('sh', [path, '--elsewhere'], { reject: false });
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toBe(`kinit bundle: unknown option --elsewhere (see: sh ${path} --help)`);
  });
});
