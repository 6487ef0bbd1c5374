/** What a dry run would have written: as differences to what is there, and as files in a folder. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';

export interface WrittenFile {
  path: string;
  /** Absent: there is none. */
  before?: Buffer;
  after: Buffer;
  mode: number;
}

/** Keys, tokens and what holds them. */
const secrets =
  /PRIVATE KEY|client-key-data:|kind: EncryptionConfiguration|(^|\n)\s*token:|token-secret|(^|\n)\s*password = /;

const isText = (content: Buffer) => !content.includes(0);

/**
 * As `diff -u`; undefined when nothing is different.
 * Secrets and certificates are named, not shown.
 */
export function differenceOf({ path, before, after }: WrittenFile): string | undefined {
  if (before?.equals(after)) return undefined;
  const [old, now] = [before?.toString('utf8') ?? '', after.toString('utf8')];
  if (secrets.test(old) || secrets.test(now)) return '(holds a secret: not shown)';
  if (now.startsWith('-----BEGIN ')) return '(a certificate or public key)';
  if (!isText(after) || (before && !isText(before))) return `(${after.length} bytes)`;
  const from = before ? path : '/dev/null';
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  return createTwoFilesPatch(from, path, old, now, undefined, undefined, options).trimEnd();
}

/** Writes every file below a folder of this machine, with its path and mode. */
export async function saveFiles(files: readonly WrittenFile[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { path, after, mode } of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(target, after, { mode });
  }
}
