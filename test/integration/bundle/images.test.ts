/** Images in a real containerd: loaded from archives and layouts, listed with their users, pruned. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importArchive } from '../../../src/installer/bundle/image-archive.ts';
import { indexOf } from '../../../src/installer/bundle/oci-layout.ts';
import { bundlePaths, containerdPaths } from '../../../src/installer/config/paths.ts';
import { type Host, localHost } from '../../../src/installer/host/host.ts';
import { waitUntil } from '../../../src/installer/host/wait.ts';
import { withCri } from '../../../src/installer/runtime/cri.ts';
import { imagesOfCri, removeImages, storedImages, unneededImages } from '../../../src/installer/runtime/image-store.ts';
import { contentFolder } from '../../../src/installer/runtime/import.ts';
import { loadArchive, loadFromLayout } from '../../../src/installer/runtime/load-images.ts';
import { pauseImage } from '../../images/build.ts';
import { startContainerd, type TestContainerd } from '../../parts/containerd.ts';
import { dockerArchive, ociArchive, sha256, tarOf } from '../../unit/bundle/small-bundle.ts';

let dir: string;
let containerd: TestContainerd;
let host: Host;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kinit-img-'));
  containerd = await startContainerd(dir);
  const here = localHost();
  const places: Record<string, string> = {
    [`${bundlePaths.bin}/ctr`]: containerd.program,
    [containerdPaths.socket]: containerd.socket,
    [contentFolder]: join(dir, 'root/io.containerd.content.v1.content'),
  };
  // The same machine, with containerd in another place.
  const at = (word: string) => places[word] ?? word;
  host = {
    ...here,
    stat: (path) => here.stat(at(path)),
    run: (command, args, options) => here.run(at(command), args.map(at), options),
  };
});
afterAll(async () => {
  await containerd?.stop();
  await rm(dir, { recursive: true, force: true });
});

const archive = async (content: Buffer) => {
  await writeFile(join(dir, 'image.tar'), content);
  return join(dir, 'image.tar');
};
const references = async () => (await storedImages(host)).flatMap((image) => image.references);

describe('images of a node', () => {
  it('are loaded from what docker save writes, once', async () => {
    const path = await archive(await dockerArchive(['app:1', 'example.com/app:1'], await tarOf({ hello: 'world' })));
    const first = await loadArchive(host, path);
    expect(first.map(({ reference, present }) => [reference, present])).toEqual([
      ['docker.io/library/app:1', false],
      ['example.com/app:1', false],
    ]);
    expect((await loadArchive(host, path)).every(({ present }) => present)).toBe(true);
    expect(await references()).toEqual(expect.arrayContaining(['docker.io/library/app:1', 'example.com/app:1']));
    // The runtime that pods are started with has it too: its layers are unpacked.
    expect(await containerd.ctr('images', 'check', 'name==docker.io/library/app:1')).toMatch(/complete .* true/);
  });

  it('share large layers with the bundle where the disk is the same', async () => {
    // containerd may tidy up between the link and the import; then the layer goes in by its API.
    for (let attempt = 1; ; attempt++) {
      const name = `large:${attempt}`;
      const layer = await tarOf({ large: randomBytes(5 << 20) });
      const layout = join(dir, 'layout');
      await writeFile(join(dir, 'large.tar'), await dockerArchive([name], layer));
      await indexOf(layout, await importArchive(join(dir, 'large.tar'), layout));
      const [loaded] = await loadFromLayout(host, layout);
      expect(loaded).toMatchObject({ reference: `docker.io/library/${name}`, present: false });
      expect(await containerd.ctr('images', 'check', `name==docker.io/library/${name}`)).toMatch(/complete .* true/);
      const place = join(dir, 'root/io.containerd.content.v1.content/blobs/sha256', sha256(layer));
      const { nlink } = await stat(place);
      await rm(layout, { recursive: true });
      expect(await containerd.ctr('content', 'get', `sha256:${sha256(layer)}`)).toHaveLength(layer.toString().length);
      if (nlink === 2) return;
      expect(attempt, 'layers that were not shared').toBeLessThan(4);
    }
  });

  it('that were changed on the disk are not unpacked', async () => {
    const layer = await tarOf({ large: randomBytes(5 << 20) });
    const layout = join(dir, 'changed');
    await writeFile(join(dir, 'changed.tar'), await dockerArchive(['changed:1'], layer));
    await indexOf(layout, await importArchive(join(dir, 'changed.tar'), layout));
    await writeFile(join(layout, 'blobs/sha256', sha256(layer)), await tarOf({ large: randomBytes(5 << 20) }));
    await expect(loadFromLayout(host, layout)).rejects.toMatchObject({
      message: 'images cannot be imported: docker.io/library/changed:1',
    });
    expect(await containerd.ctr('content', 'ls', '-q')).not.toContain(sha256(layer));
  });

  it('are loaded from an OCI layout for several platforms', async () => {
    const annotations = { 'io.containerd.image.name': 'example.com/multi:1' };
    const layer = await tarOf({ hello: 'many' });
    await loadArchive(host, await archive(await ociArchive(layer, { annotations, platforms: ['arm64', 'amd64'] })));
    expect(await references()).toContain('example.com/multi:1');
  });

  it('go away when no container is made of them', async () => {
    await containerd.ctr('containers', 'create', '--snapshotter', 'native', pauseImage, 'uses-pause');
    const images = await storedImages(host);
    const pause = images.find((image) => image.references.includes(pauseImage));
    expect(pause?.containers).toBe(1);
    const unneeded = unneededImages(images, false);
    expect(unneeded.flatMap((image) => image.references)).toContain('example.com/app:1');
    expect(unneeded).not.toContain(pause);
    await removeImages(host, unneeded);
    expect(await references()).toEqual(pause?.references);
  });

  it('are the same when the runtime is asked by CRI, as others than containerd are', async () => {
    const byName = async () => {
      const images = await withCri(`unix://${containerd.socket}`, async (cri) =>
        imagesOfCri(await cri.images(), await cri.containers(), new Set()),
      );
      return images.flatMap((image) => image.references);
    };
    const named = (await references()).filter((reference) => !reference.includes('sha256:'));
    expect(named).not.toEqual([]);
    // containerd's own part for CRI hears of images a moment later.
    await waitUntil(async () => (await byName()).filter((name) => named.includes(name)).length === named.length, {
      timeoutMs: 10_000,
      failure: () => new Error(`CRI does not list ${named.join(', ')}`),
    });
  });

  it('cannot be listed where no containerd runs', async () => {
    const bare: Host = { ...host, stat: async () => undefined };
    await expect(storedImages(bare)).rejects.toMatchObject({ code: 'Validation' });
  });
});
