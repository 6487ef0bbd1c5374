/** Whether a bundle is what its manifest says: every file with its sha256, every image with all of its blobs. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { BundleManifest } from './manifest.ts';
import { damaged, type OpenBundle, parseManifest, payloadFiles } from './payload.ts';

export interface Verdict {
  files: number;
  images: number;
  bytes: number;
  /** One line each; none: the bundle is whole. */
  problems: string[];
}

interface SeenFile {
  sha256: string;
  size: number;
}

export async function verifyBundle(bundle: OpenBundle): Promise<Verdict> {
  const problems: string[] = [];
  if (bundle.run) {
    for (const { name, start, size, sha256 } of [bundle.run.decoder, ...bundle.run.parts]) {
      const hash = createHash('sha256');
      const content = createReadStream(bundle.path, { start, end: start + size - 1, highWaterMark: 1 << 20 });
      for await (const chunk of content) hash.update(chunk as Buffer);
      const seen = hash.digest('hex');
      if (seen !== sha256) problems.push(`the sha256 of the part ${name} is ${seen}, the header says ${sha256}`);
    }
  }
  const texts = new Map<string, string>();
  const seen = new Map<string, SeenFile>();
  try {
    for await (const { path, content } of payloadFiles(bundle)) {
      const hash = createHash('sha256');
      const kept: Buffer[] = [];
      const keep = path === 'manifest.json' || path === 'images/index.json';
      let size = 0;
      for await (const chunk of content as AsyncIterable<Buffer>) {
        hash.update(chunk);
        size += chunk.length;
        if (keep) kept.push(chunk);
      }
      seen.set(path, { sha256: hash.digest('hex'), size });
      if (keep) texts.set(path, Buffer.concat(kept).toString());
    }
  } catch (error) {
    problems.push(`the payload cannot be read: ${(error as Error).message}`);
    return { files: seen.size, images: 0, bytes: 0, problems };
  }
  const text = texts.get('manifest.json');
  if (text === undefined) throw damaged(bundle, 'it has no manifest.json');
  const manifest = parseManifest(text, bundle);
  problems.push(...compareFiles(manifest, seen), ...compareImages(manifest, texts.get('images/index.json')));
  const bytes = manifest.files.reduce((sum, { size }) => sum + size, 0);
  return { files: manifest.files.length, images: manifest.images.length, bytes, problems };
}

export function compareFiles({ files }: BundleManifest, seen: ReadonlyMap<string, SeenFile>): string[] {
  const recorded = new Set(['manifest.json', ...files.map(({ path }) => path)]);
  const wrong = files.flatMap(({ path, sha256, size }): string[] => {
    const found = seen.get(path);
    if (!found) return [`${path} is missing`];
    if (found.size !== size) return [`${path} has ${found.size} bytes, the manifest says ${size}`];
    return found.sha256 === sha256 ? [] : [`${path} has the sha256 ${found.sha256}, the manifest says ${sha256}`];
  });
  const unknown = [...seen.keys()]
    .filter((path) => !recorded.has(path))
    .map((path) => `${path} is not in the manifest`);
  // A blob's name is its digest: the manifest itself may have been forged.
  const misnamed = [...seen].flatMap(([path, { sha256 }]) => {
    const name = /^images\/blobs\/sha256\/([0-9a-f]+)$/.exec(path)?.[1];
    return name && name !== sha256 ? [`${path} has the sha256 ${sha256}`] : [];
  });
  return [...new Set([...wrong, ...misnamed, ...unknown])];
}

function compareImages({ images, files }: BundleManifest, index: string | undefined): string[] {
  if (index === undefined) return ['images/index.json is missing'];
  const { manifests } = JSON.parse(index) as { manifests: { digest: string; annotations?: Record<string, string> }[] };
  const paths = new Set(files.map(({ path }) => path));
  return images.flatMap(({ reference, digest }): string[] => {
    const found = manifests.find(({ annotations }) => annotations?.['io.containerd.image.name'] === reference);
    if (!found) return [`images/index.json has no image ${reference}`];
    if (found.digest !== digest) return [`the image ${reference} is ${found.digest}, the manifest says ${digest}`];
    return paths.has(`images/blobs/${digest.replace(':', '/')}`)
      ? []
      : [`the image ${reference} has no manifest ${digest}`];
  });
}
