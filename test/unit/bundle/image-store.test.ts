import { describe, expect, it } from 'vitest';
import { groupImages, unneededImages } from '../../../src/installer/runtime/image-store.ts';

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const type = 'application/vnd.oci.image.manifest.v1+json';
const images = `REF TYPE DIGEST SIZE PLATFORMS LABELS
kinit.local/pause:3.10.1 ${type} ${digest('a')} 1.2 MiB linux/amd64 io.cri-containerd.image=managed
${digest('c')} ${type} ${digest('b')} 33.1 MiB linux/amd64 io.cri-containerd.image=managed
docker.io/library/app:1 ${type} ${digest('b')} 33.1 MiB linux/amd64 io.cri-containerd.image=managed
docker.io/library/old:1 ${type} ${digest('d')} 900.0 B linux/amd64 -
`;
const containers = `CONTAINER    IMAGE                       RUNTIME
11aa         ${digest('c')}    io.containerd.runc.v2
22bb         docker.io/library/app:1     io.containerd.runc.v2
33cc         -                           io.containerd.runc.v2
`;

describe('images of containerd', () => {
  const stored = groupImages(images, containers, [digest('a')]);

  it('are one each, however many names they have', () => {
    expect(stored.map(({ references }) => references)).toEqual([
      ['docker.io/library/app:1', digest('c')],
      ['docker.io/library/old:1'],
      ['kinit.local/pause:3.10.1'],
    ]);
    expect(stored[0]).toMatchObject({ size: '33.1 MiB', containers: 2, inBundle: false });
    expect(stored[2]).toMatchObject({ containers: 0, inBundle: true });
  });

  it('are not needed when no container is made of them; those of the bundle stay unless all are meant', () => {
    const names = (all: boolean) => unneededImages(stored, all).map(({ references }) => references[0]);
    expect(names(false)).toEqual(['docker.io/library/old:1']);
    expect(names(true)).toEqual(['docker.io/library/old:1', 'kinit.local/pause:3.10.1']);
  });

  it('are none when containerd has none', () => expect(groupImages('REF TYPE\n', 'CONTAINER\n', [])).toEqual([]));
});
