import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addImages } from '../../../src/installer/bundle/add-image.ts';
import { librariesOf } from '../../../src/installer/bundle/contents.ts';
import { fullReference } from '../../../src/installer/bundle/image-archive.ts';
import { listImages } from '../../../src/installer/bundle/oci-layout.ts';
import { openBundle, readManifest } from '../../../src/installer/bundle/payload.ts';
import { readRunLayout } from '../../../src/installer/bundle/run-file.ts';
import { purlOf, spdxOf } from '../../../src/installer/bundle/sbom.ts';
import { verifyBundle } from '../../../src/installer/bundle/verify.ts';
import { dockerArchive, ociArchive, ownImage, runFileOf, sha256, smallBundle, tarOf } from './small-bundle.ts';

let at: string;
let folder: string;
let run: string;
beforeEach(async () => {
  at = await mkdtemp(join(tmpdir(), 'kinit-bundle-'));
  ({ folder, run } = await smallBundle(at));
});
afterEach(() => rm(at, { recursive: true, force: true }));

const verify = async (path: string) => verifyBundle(await openBundle(path));
const archiveFile = async (content: Buffer) => {
  await writeFile(join(at, 'image.tar'), content);
  return join(at, 'image.tar');
};

describe('kinit bundle verify', () => {
  it('finds a whole bundle whole, packed and unpacked', async () => {
    const whole = { files: 6, images: 1, problems: [] };
    expect(await verify(run)).toMatchObject(whole);
    await writeFile(join(folder, '.payload-sha256'), 'the mark of the unpacking');
    expect(await verify(folder)).toMatchObject(whole);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'changed',
      () => writeFile(join(folder, 'bin/tool'), 'b tool'),
      /^bin\/tool has the sha256 \w+, the manifest says \w+$/,
    ],
    ['of another size', () => writeFile(join(folder, 'bin/tool'), 'x'), /^bin\/tool has 1 bytes, the manifest says 6$/],
    ['missing', () => rm(join(folder, 'bin/tool')), /^bin\/tool is missing$/],
    ['unknown', () => writeFile(join(folder, 'bin/other'), 'x'), /^bin\/other is not in the manifest$/],
  ])('names a file that is %s', async (_, damage, expected) => {
    await damage();
    for (const path of [folder, await runFileOf(folder, at)]) {
      const { problems } = await verify(path);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(expected);
    }
  });

  it('knows blobs by their names, whatever the manifest says', async () => {
    const { files, ...rest } = await readManifest(await openBundle(folder));
    const blob = files.find(({ path }) => path.startsWith('images/blobs/'))!;
    await writeFile(join(folder, blob.path), 'forged');
    Object.assign(blob, { sha256: sha256('forged'), size: 6 });
    await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...rest, files }));
    expect((await verify(folder)).problems).toEqual([`${blob.path} has the sha256 ${sha256('forged')}`]);
  });

  it('sees a damaged payload and an image that the index does not have', async () => {
    const bytes = await readFile(run);
    bytes[bytes.length - 20]! ^= 0xff;
    await writeFile(run, bytes);
    const { problems } = await verify(run);
    expect(problems[0]).toMatch(/^the sha256 of the part manifest is \w{64}, the header says \w{64}$/);
    const index = join(folder, 'images/index.json');
    await writeFile(index, (await readFile(index, 'utf8')).replace(ownImage, 'kinit.local/pauze:3.10.1'));
    expect((await verify(folder)).problems).toContain(`images/index.json has no image ${ownImage}`);
  });

  it('refuses what is no bundle', async () => {
    await writeFile(join(at, 'text'), 'no bundle');
    await expect(verify(join(at, 'text'))).rejects.toMatchObject({ code: 'Bundle' });
    await mkdir(join(at, 'empty'));
    await expect(verify(join(at, 'empty'))).rejects.toThrow('is damaged or no bundle');
    await expect(verify(join(at, 'none'))).rejects.toThrow('there is no bundle');
  });
});

describe('kinit bundle add-image', () => {
  const layer = () => tarOf({ hello: 'world' });

  it.each<[string, () => Promise<Buffer>, string | undefined, string[]]>([
    [
      'docker save',
      async () => dockerArchive(['app:1', 'example.com/app:1'], await layer()),
      undefined,
      ['docker.io/library/app:1', 'example.com/app:1'],
    ],
    [
      'docker save | gzip',
      async () => gzipSync(await dockerArchive(['me/app'], await layer())),
      undefined,
      ['docker.io/me/app:latest'],
    ],
    ['an archive without a name', async () => dockerArchive(null, await layer()), 'app:2', ['docker.io/library/app:2']],
    [
      'an OCI layout',
      async () => ociArchive(await layer(), { annotations: { 'io.containerd.image.name': 'example.com/app:1' } }),
      undefined,
      ['example.com/app:1'],
    ],
    [
      'an OCI layout for several platforms',
      async () =>
        ociArchive(await layer(), {
          annotations: { 'org.opencontainers.image.ref.name': 'localhost:5000/app:1' },
          platforms: ['arm64', 'amd64'],
        }),
      undefined,
      ['localhost:5000/app:1'],
    ],
  ])('takes %s', async (_, archive, name, references) => {
    const path = await archiveFile(await archive());
    const before = await readFile(run);
    const [first] = (await readRunLayout(run)).parts;
    const { images, grown } = await addImages(run, [{ path, ...(name ? { name } : {}) }], run);
    expect(images.map(({ reference }) => reference)).toEqual(references);
    const after = await readRunLayout(run);
    expect(after.size - before.length).toBe(grown);
    // What was there is not compressed anew: a host that has it need not get it again.
    expect(after.parts.map(({ name }) => name)).toEqual(['kinit', 'added-1', 'manifest']);
    expect(after.parts[0]).toEqual(first);
    expect((await verify(run)).problems).toEqual([]);
    const manifest = await readManifest(await openBundle(run));
    const added = manifest.images.filter((image) => image.added);
    expect(added.map(({ reference }) => reference)).toEqual(references);
    expect(manifest.images).toHaveLength(1 + references.length);
    // Manifest, configuration and layer of the image; its archive's other files stay behind.
    expect(manifest.files).toHaveLength(6 + 3);
  });

  it('adds to an unpacked bundle as well, and replaces an image of the same name', async () => {
    const one = await archiveFile(await dockerArchive(['app:1'], await layer()));
    await addImages(folder, [{ path: one }], folder);
    const other = await archiveFile(await dockerArchive(['app:1'], await tarOf({ hello: 'again' })));
    const { images } = await addImages(folder, [{ path: other }], folder);
    expect(await listImages(join(folder, 'images'))).toEqual([
      { reference: ownImage, digest: expect.any(String) as string },
      { reference: 'docker.io/library/app:1', digest: images[0]?.digest, added: true },
    ]);
    expect((await verify(folder)).problems).toEqual([]);
  });

  it.each<[string, () => Promise<Buffer>, string | undefined, string]>([
    ['no tar', async () => Buffer.from('text '.repeat(500)), undefined, 'is no archive of images'],
    ['a tar of something else', () => tarOf({ a: 'b' }), undefined, 'has neither index.json nor manifest.json'],
    [
      'an image without a name',
      async () => ociArchive(await layer(), {}),
      undefined,
      'does not say what the image is called',
    ],
    [
      'an image for other machines',
      async () => ociArchive(await layer(), { platforms: ['arm64'] }),
      'a:1',
      'has no image for linux/amd64',
    ],
    [
      'an image with a missing layer',
      async () => ociArchive(await layer(), { without: 'layer' }),
      'a:1',
      'it was not saved completely',
    ],
    [
      "the name of one of kinit's",
      async () => dockerArchive([ownImage], await layer()),
      undefined,
      "is one of kinit's own images",
    ],
  ])('refuses %s, and leaves the bundle as it was', async (_, archive, name, message) => {
    const before = await readFile(run);
    const path = await archiveFile(await archive());
    await expect(addImages(run, [{ path, ...(name ? { name } : {}) }], run)).rejects.toThrow(message);
    expect((await readFile(run)).equals(before)).toBe(true);
  });

  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['me/app:1', 'docker.io/me/app:1'],
    ['localhost/app', 'localhost/app:latest'],
    ['host:5000/app', 'host:5000/app:latest'],
    ['ghcr.io/a/b:c', 'ghcr.io/a/b:c'],
    [`nginx@sha256:${'a'.repeat(64)}`, `docker.io/library/nginx@sha256:${'a'.repeat(64)}`],
  ])('calls %s by the name that the runtime has for it: %s', (name, full) => expect(fullReference(name)).toBe(full));
});

describe('the bill of materials', () => {
  it('names every package once, and says what contains it', async () => {
    const document = spdxOf(await readManifest(await openBundle(run)), '2026-01-01T00:00:00Z');
    expect(document).toMatchObject({ spdxVersion: 'SPDX-2.3', dataLicense: 'CC0-1.0' });
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
    const known = new Set(['SPDXRef-DOCUMENT', ...ids]);
    for (const { spdxElementId, relatedSpdxElement } of document.relationships) {
      expect(known).toContain(spdxElementId);
      expect(known).toContain(relatedSpdxElement);
    }
    const described = new Set(document.relationships.map(({ relatedSpdxElement }) => relatedSpdxElement));
    for (const id of ids) expect(described).toContain(id);
    const purls = document.packages.map(({ externalRefs }) => externalRefs?.[0]?.referenceLocator);
    expect(purls).toContain('pkg:deb/debian/tool@1:2-3?arch=amd64');
    expect(purls).toContain('pkg:deb/debian/catatonit@0.2.1-2?arch=amd64');
    expect(purls).toContain('pkg:npm/%40scope/lib@1.2.3');
    expect(document.packages.find(({ name }) => name === '@scope/lib')?.licenseDeclared).toBe('MIT');
    expect(document.packages.find(({ name }) => name === 'kinit.local/pause')?.checksums?.[0]?.algorithm).toBe(
      'SHA256',
    );
  });

  it('writes package URLs', () => {
    expect(purlOf({ origin: 'debian:libstdc++6', version: '14.2.0-19' }, 'amd64')).toBe(
      'pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64',
    );
    expect(purlOf({ origin: 'kinit', version: 'v0.1.0' }, 'amd64')).toBe('pkg:generic/kinit@v0.1.0');
  });

  it('takes libraries from the lock file, without what is for development', () => {
    expect(
      librariesOf({
        packages: {
          '': { version: '1.0.0' },
          'node_modules/ws': { version: '8.0.0', license: 'MIT' },
          'node_modules/a/node_modules/@s/b': { version: '2.0.0' },
          'node_modules/vitest': { version: '4.0.0', dev: true },
          'node_modules/cpu-features': { version: '1.0.0', optional: true },
          'node_modules/node': { version: '24.0.0' },
        },
      }),
    ).toEqual([
      { origin: 'npm:@s/b', version: '2.0.0' },
      { origin: 'npm:ws', version: '8.0.0', license: 'MIT' },
    ]);
  });
});
