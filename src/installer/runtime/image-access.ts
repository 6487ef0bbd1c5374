/** Images of the node's runtime, whichever it is: containerd by ctr, Docker and CRI-O by CRI and the tools that belong to them. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fullReference } from '../bundle/image-archive.ts';
import { configOf, type ImageSummary, imageArchive } from '../bundle/oci-layout.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { openJournal } from '../host/journal.ts';
import { ctr } from './containerd.ts';
import { withCri } from './cri.ts';
import { importImages } from './import.ts';
import { type NodeRuntime, nodeRuntime, socketPath } from './node-runtime.ts';

const longMs = 1_800_000;

/** References with the digests that tell whether an image is the same: its manifest's, or its configuration's. */
export type PresentImages = Map<string, string>;

export interface ImageAccess {
  readonly runtime: NodeRuntime;
  present(): Promise<PresentImages>;
  /** Images of a layout, those of `references` alone. */
  load(layout: string, references: readonly string[], present: PresentImages): Promise<void>;
  tag(from: string, to: string): Promise<void>;
  remove(reference: string, last: boolean): Promise<void>;
}

/** Before anything is put into a runtime that stays, it is written down, so that reset can take it away. */
export async function imageAccess(host: Host): Promise<ImageAccess> {
  const journal = await openJournal(host);
  const runtime = nodeRuntime(journal);
  const access = accessOf(host, runtime);
  if (!runtime.kept) return access;
  const claim = async (references: readonly string[]) => {
    const before = await access.present();
    for (const reference of references) if (!before.has(reference)) await journal.record({ kind: 'image', reference });
  };
  return {
    ...access,
    async load(layout, references, present) {
      await claim(references);
      await access.load(layout, references, present);
    },
    async tag(from, to) {
      await claim([to]);
      await access.tag(from, to);
    },
  };
}

function accessOf(host: Host, runtime: NodeRuntime): ImageAccess {
  switch (runtime.program) {
    case 'containerd':
      return containerdImages(host, runtime);
    case 'docker':
      return criImages(runtime, dockerLoader(host));
    case 'cri-o':
      return criImages(runtime, containersStorageLoader(host));
    case 'other':
      throw new KinitError('Command', `kinit does not know how to load images into the runtime at ${runtime.socket}`, {
        advice: 'put the images into a registry that the runtime can pull from, and leave out the phase images',
      });
  }
}

/** Whether the layout's image and what the runtime has are the same. */
export const isSame = async (layout: string, { digest }: ImageSummary, seen: string | undefined): Promise<boolean> =>
  seen !== undefined && (seen === digest || seen === (await configOf(layout, digest)));

const failed = (references: readonly string[], seen: string, advice: string) =>
  new KinitError('Command', `images cannot be imported: ${references.join(', ')}`, { seen, advice });

async function runOr(
  host: Host,
  program: string,
  args: string[],
  advice: string,
  what: readonly string[],
  input?: Readable,
): Promise<void> {
  const { exitCode, stdout, stderr } = await host.run(program, args, {
    timeoutMs: longMs,
    ...(input ? { input } : {}),
  });
  if (exitCode !== 0) throw failed(what, stderr || stdout, advice);
}

function containerdImages(host: Host, runtime: NodeRuntime): ImageAccess {
  const socket = socketPath(runtime);
  return {
    runtime,
    async present() {
      const { stdout, exitCode } = await ctr(host, ['images', 'ls'], undefined, socket);
      const present: PresentImages = new Map();
      if (exitCode !== 0) return present;
      for (const line of stdout.split('\n').slice(1)) {
        const [reference, , digest] = line.trim().split(/\s+/);
        if (reference && digest?.startsWith('sha256:')) present.set(reference, digest);
      }
      return present;
    },
    async load(layout, references, present) {
      const had = [...present].map(([reference, digest]) => ({ reference, digest }));
      // The content of a runtime that is not kinit's is left alone.
      await importImages(host, layout, references, had, { socket, share: !runtime.kept });
    },
    async tag(from, to) {
      await ctr(host, ['images', 'tag', '--force', from, to], {}, socket);
    },
    async remove(reference, last) {
      // The last one waits until the freed room is free.
      const args = ['images', 'rm', ...(last ? ['--sync'] : []), reference];
      const { exitCode, stdout, stderr } = await ctr(host, args, { timeoutMs: 300_000 }, socket);
      if (exitCode === 0) return;
      throw new KinitError('Command', `removing ${reference} failed`, {
        seen: stderr || stdout,
        advice: 'look at: journalctl -u containerd -n 50',
      });
    },
  };
}

type Loader = Pick<ImageAccess, 'tag'> & { load(layout: string, references: readonly string[]): Promise<void> };

/** Lists and removes by CRI; its archives have to be complete, since nothing says which layers it has. */
function criImages(runtime: NodeRuntime, { load, tag }: Loader): ImageAccess {
  return {
    runtime,
    async present() {
      const images = await withCri(runtime.socket, (cri) => cri.images());
      return new Map(
        images.flatMap(({ id, repoTags }) =>
          repoTags.map((name): [string, string] => [
            fullReference(name),
            id.startsWith('sha256:') ? id : `sha256:${id}`,
          ]),
        ),
      );
    },
    load: (layout, references) => load(layout, references),
    tag,
    async remove(reference) {
      await withCri(runtime.socket, (cri) => cri.removeImage(reference));
    },
  };
}

const dockerAdvice = 'check the free space of /var/lib/docker, and: journalctl -u docker -n 50';

export const dockerLoader = (host: Host): Loader => ({
  load: async (layout, references) =>
    runOr(host, 'docker', ['load'], dockerAdvice, references, await imageArchive(layout, [...references])),
  tag: (from, to) => runOr(host, 'docker', ['tag', from, to], dockerAdvice, [to]),
});

const storageAdvice = 'check the free space of /var/lib/containers, and: journalctl -u crio -n 50';

/** CRI-O's images lie in containers-storage, where podman and skopeo can put them. */
export function containersStorageLoader(host: Host): Loader {
  const has = async (program: string) => (await host.run(program, ['--version'], { observe: true })).exitCode === 0;
  const tool = async (references: readonly string[]): Promise<'podman' | 'skopeo'> => {
    if (await has('podman')) return 'podman';
    if (await has('skopeo')) return 'skopeo';
    throw failed(
      references,
      'CRI-O cannot import images itself, and neither podman nor skopeo is on this host',
      'install one of them; or fill a registry on a machine with skopeo, from the archive of `kinit images save images.tar`: skopeo copy docker-archive:images.tar:IMAGE docker://REGISTRY/IMAGE',
    );
  };
  return {
    async load(layout, references) {
      if ((await tool(references)) === 'podman')
        return runOr(host, 'podman', ['load'], storageAdvice, references, await imageArchive(layout, [...references]));
      const folder = await mkdtemp(join(tmpdir(), 'kinit-images-'));
      try {
        const path = join(folder, 'images.tar');
        await pipeline(await imageArchive(layout, [...references]), createWriteStream(path));
        for (const reference of references) {
          const args = ['copy', `docker-archive:${path}:${reference}`, `containers-storage:${reference}`];
          await runOr(host, 'skopeo', args, storageAdvice, [reference]);
        }
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    async tag(from, to) {
      if (await has('podman')) return runOr(host, 'podman', ['tag', from, to], storageAdvice, [to]);
      const args = ['copy', `containers-storage:${from}`, `containers-storage:${to}`];
      return runOr(host, 'skopeo', args, storageAdvice, [to]);
    },
  };
}
