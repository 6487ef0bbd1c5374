/** What a dry run would have written: as differences to what is there, and as files in a folder. */
import { X509Certificate } from 'node:crypto';
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

export const notShown = '(holds a secret: not shown)';

/** Of `https://user:password@host`. */
const passwordInUrl = /(:\/\/[^\s/:@]+:)[^\s/@]+@/g;

const isText = (content: Buffer) => !content.includes(0);

/**
 * As `diff -u`; undefined when nothing is different.
 * Secrets and certificates are named, not shown.
 */
export function differenceOf({ path, before, after }: WrittenFile): string | undefined {
  if (before?.equals(after)) return undefined;
  const [old, now] = [before?.toString('utf8') ?? '', after.toString('utf8')];
  if (secrets.test(old) || secrets.test(now)) return notShown;
  if (now.startsWith('-----BEGIN ')) {
    const [from, to] = [certificatesIn(old), certificatesIn(now)];
    return from && to && from !== to ? patchOf(path, path, from, to) : '(a certificate or public key)';
  }
  if (!isText(after) || (before && !isText(before))) return `(${after.length} bytes)`;
  return patchOf(before ? path : '/dev/null', path, old, now);
}

function patchOf(from: string, path: string, old: string, now: string): string {
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  const patch = createTwoFilesPatch(from, path, old, now, undefined, undefined, options);
  return patch.trimEnd().replaceAll(passwordInUrl, '$1…@');
}

/** What certificates are for and how long, as lines; undefined for what is none. */
function certificatesIn(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    const lines = certificates.flatMap(({ subject, subjectAltName, validTo }) => [
      `subject: ${subject.replaceAll('\n', ', ')}`,
      ...(subjectAltName?.split(', ') ?? []).map((name) => `name: ${name}`),
      `valid until: ${validTo}`,
    ]);
    return lines.length ? `${lines.join('\n')}\n` : undefined;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
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
