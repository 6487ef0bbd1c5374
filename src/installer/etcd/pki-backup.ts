/** The keys without which a cluster cannot be made again: its authorities and the key of service accounts, in one file. */
import { z } from 'zod';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import type { Host } from '../host/host.ts';
import { modeFor } from '../pki/ensure.ts';
import { decryptShared, encryptShared, isCertificateKey, type SharedFile, sharedFiles } from '../pki/transfer.ts';

const backupDocument = z.strictObject({
  apiVersion: z.literal('kinit.local/v1alpha1'),
  kind: z.literal('ClusterKeys'),
  encrypted: z.boolean(),
  /** Base64 by path below the certificates folder. */
  files: z.partialRecord(z.enum(sharedFiles), z.string()),
});

/** @param certificateKey 64 hexadecimal digits; absent: the file is as secret as its content */
export async function formatPkiBackup(host: Host, certificatesDir: string, certificateKey?: string): Promise<string> {
  if (certificateKey !== undefined && !isCertificateKey(certificateKey)) {
    throw new KinitError('Usage', 'the key that encrypts the certificates is not 64 hexadecimal digits', {
      advice: 'make one with: kinit certs certificate-key',
    });
  }
  const files: Partial<Record<SharedFile, string>> = {};
  for (const file of sharedFiles) {
    // An authority's key may be elsewhere, on purpose.
    const content = await host.readFile(`${certificatesDir}/${file}`);
    if (content) files[file] = (certificateKey ? encryptShared(content, certificateKey) : content).toString('base64');
  }
  const document = { apiVersion: 'kinit.local/v1alpha1', kind: 'ClusterKeys', encrypted: !!certificateKey, files };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

export function parsePkiBackup(text: string, path: string, certificateKey?: string): Map<SharedFile, Buffer> {
  let parsed: z.infer<typeof backupDocument>;
  try {
    parsed = backupDocument.parse(JSON.parse(text));
  } catch (cause) {
    throw new KinitError('Validation', `${path} does not hold the keys of a cluster`, { cause });
  }
  if (parsed.encrypted && !certificateKey) {
    throw new KinitError('Usage', `${path} is encrypted`, { advice: 'give the file with its key: --pki-key-file' });
  }
  const files = new Map<SharedFile, Buffer>();
  for (const file of sharedFiles) {
    const stored = parsed.files[file];
    if (stored === undefined) continue;
    const bytes = Buffer.from(stored, 'base64');
    files.set(file, parsed.encrypted ? decryptShared(bytes, certificateKey!) : bytes);
  }
  return files;
}

/** Puts the files where they are missing. @throws KinitError when the host has other ones */
export async function writePkiBackup(
  changes: Changes,
  certificatesDir: string,
  files: ReadonlyMap<SharedFile, Buffer>,
): Promise<boolean> {
  for (const [file, content] of files) {
    const present = await changes.host.readFile(`${certificatesDir}/${file}`);
    if (present && !present.equals(content)) {
      throw new KinitError('Validation', `${certificatesDir}/${file} is not the one of the backup`, {
        advice: 'this host belongs to another cluster: kinit reset, or move the file away',
      });
    }
  }
  let changed = false;
  for (const [file, content] of files) {
    const path = `${certificatesDir}/${file}`;
    if (await changes.file(path, content, { mode: await modeFor(changes.host, path) })) changed = true;
  }
  return changed;
}
