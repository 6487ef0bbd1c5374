/**
 * Images of test workloads, made by the same builder as the cluster's own: `busybox` (Debian's busybox-static), `pause` (busybox
 * that sleeps) and `echo` (a small HTTP and UDP server on Node, sharing the base layers of the bundle's images).
 *
 * `node test/images/build.ts` writes `.cache/test-images.tar` for `ctr --namespace k8s.io images import`.
 */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { nodeEntries, systemEntries } from '../../src/installer/bundle/catalog.ts';
import { openDebianRoot } from '../../src/installer/bundle/debian-root.ts';
import { directory, file, symlink } from '../../src/installer/bundle/layer.ts';
import { addImage, addLayer, createLayout, imageArchive } from '../../src/installer/bundle/oci-layout.ts';

export const busyboxImage = 'kinit.test/busybox:1';
export const pauseImage = 'kinit.test/pause:1';
export const echoImage = 'kinit.test/echo:1';

const repository = join(import.meta.dirname, '../..');
export const testImagesTar = join(repository, '.cache/test-images.tar');

const path = 'PATH=/usr/local/bin:/usr/bin:/bin';

/** Builds both images and writes the archive; answers its path. */
export async function buildTestImages(): Promise<string> {
  const root = await openDebianRoot(join(repository, '.cache/bundle'), () => undefined);
  const layout = join(repository, '.cache/test-images');
  await rm(layout, { recursive: true, force: true });
  await createLayout(layout);
  const busybox = join(root.path, 'usr/bin/busybox');
  const { stdout } = await execa(busybox, ['--list']);
  const applets = stdout.split('\n').filter((name) => name && name !== 'busybox');
  const layer = await addLayer(layout, [
    file('bin/busybox', busybox, 0o755),
    ...applets.map((name) => symlink(`bin/${name}`, 'busybox')),
    file('etc/passwd', Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n')),
    file('etc/group', Buffer.from('root:x:0:\nnogroup:x:65534:\n')),
    { type: 'directory', path: 'tmp', mode: 0o1777 },
    directory('root', 0o700),
    directory('var'),
  ]);
  await addImage(layout, busyboxImage, [layer], { Cmd: ['sh'], Env: [path] });
  await addImage(layout, pauseImage, [layer], { Cmd: ['sleep', '2147483647'], Env: [path] });
  const system = await addLayer(layout, await systemEntries(root));
  const node = await addLayer(layout, await nodeEntries(root, join(repository, 'node_modules/node/bin/node')));
  const server = await addLayer(layout, [file('server.mjs', join(import.meta.dirname, 'echo/server.mjs'))]);
  await addImage(layout, echoImage, [system, node, server], {
    Entrypoint: ['/usr/local/bin/node', '/server.mjs'],
    Env: [path],
  });
  const draft = `${testImagesTar}.draft`;
  await pipeline(await imageArchive(layout, [busyboxImage, pauseImage, echoImage]), createWriteStream(draft));
  await rename(draft, testImagesTar);
  return testImagesTar;
}

if (import.meta.main) process.stdout.write(`${await buildTestImages()}\n`);
