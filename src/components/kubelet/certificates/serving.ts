/** The kubelet's own serving certificate, self-signed, kept in `<cert-dir>/kubelet.crt` and `kubelet.key`. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../../machinery/atomic-file.ts';
import { selfSignedCertificate } from '../../../machinery/serving/self-signed.ts';

export interface CertificateFiles {
  certFile: string;
  keyFile: string;
}

/** Makes the certificate when there is none, or it has run out. */
export async function servingCertificate(
  certDir: string,
  nodeName: string,
  hosts: string[],
): Promise<CertificateFiles> {
  const files = { certFile: join(certDir, 'kubelet.crt'), keyFile: join(certDir, 'kubelet.key') };
  try {
    const certificate = new X509Certificate(await readFile(files.certFile));
    await readFile(files.keyFile);
    if (Date.parse(certificate.validTo) > Date.now()) return files;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A file that is no certificate is replaced like one that is missing.
    if (code !== 'ENOENT' && !code?.startsWith('ERR_OSSL')) throw error;
  }
  const { cert, key } = selfSignedCertificate(`${nodeName}@${Math.floor(Date.now() / 1000)}`, [...new Set(hosts)]);
  await mkdir(certDir, { recursive: true, mode: 0o755 });
  await writeFileAtomic(files.certFile, cert, 0o644);
  await writeFileAtomic(files.keyFile, key, 0o600);
  return files;
}
