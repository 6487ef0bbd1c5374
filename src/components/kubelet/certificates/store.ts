/** Certificates with their keys in one file each, `<prefix>-<time>.pem`, and a link `<prefix>-current.pem` to the newest. */
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeFileAtomic } from '../../../machinery/atomic-file.ts';

/** Both PEM. */
export async function storeCertificate(certDir: string, prefix: string, cert: string, key: string): Promise<void> {
  await mkdir(certDir, { recursive: true, mode: 0o755 });
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '-').replace('T', '-');
  const file = join(certDir, `${prefix}-${stamp}.pem`);
  await writeFileAtomic(file, `${cert.trimEnd()}\n${key.trimEnd()}\n`, 0o600);
  const draft = join(certDir, `${prefix}-updated.pem`);
  await rm(draft, { force: true });
  await symlink(file, draft);
  await rename(draft, join(certDir, `${prefix}-current.pem`));
  // The token that was good for it once may be gone by the next start.
  await syncFolder(certDir);
}
