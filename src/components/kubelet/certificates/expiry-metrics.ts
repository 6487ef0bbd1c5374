/** When certificates run out, as metrics: the kubelet's own, and those that lie on its host and that nobody else serves. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MetricsRegistry } from '../../../machinery/serving/metrics.ts';

/** Where kubeadm keeps certificates, and kubeconfigs with certificates in them. */
const folders: [folder: string, ending: string][] = [
  ['/etc/kubernetes/pki', '.crt'],
  ['/etc/kubernetes/pki/etcd', '.crt'],
  ['/etc/kubernetes', '.conf'],
];

interface Read {
  mtimeMs: number;
  certificate: X509Certificate | undefined;
}

/** The first certificate of PEM files and kubeconfigs; a file is read again when it has changed. */
class CertificateFiles {
  readonly #known = new Map<string, Read>();

  read(path: string): X509Certificate | undefined {
    try {
      const { mtimeMs } = statSync(path);
      const before = this.#known.get(path);
      if (before?.mtimeMs === mtimeMs) return before.certificate;
      const certificate = certificateIn(readFileSync(path, 'utf8'));
      this.#known.set(path, { mtimeMs, certificate });
      return certificate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code?.startsWith('E')) return undefined;
      throw error;
    }
  }
}

function certificateIn(text: string): X509Certificate | undefined {
  const embedded = /^\s*client-certificate-data:\s*["']?([A-Za-z0-9+/=]+)/m.exec(text)?.[1];
  const pem = embedded ? Buffer.from(embedded, 'base64').toString() : text;
  return pem.includes('-----BEGIN CERTIFICATE-----') ? new X509Certificate(pem) : undefined;
}

function filesIn(root: string): string[] {
  return folders.flatMap(([folder, ending]) => {
    try {
      return readdirSync(join(root, folder))
        .filter((name) => name.endsWith(ending))
        .map((name) => `${folder}/${name}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}

const nameIn = (subject: string | undefined) => /^CN=(.*)$/m.exec(subject ?? '')?.[1] ?? '';

/** @param root in front of the host's paths, for tests */
export function registerExpiryMetrics(metrics: MetricsRegistry, certDir: string, root = '/'): void {
  const files = new CertificateFiles();
  const secondsLeft = (names: string[]): number => {
    const found = names.map((name) => files.read(join(certDir, name))).find((certificate) => certificate !== undefined);
    return found ? (found.validToDate.getTime() - Date.now()) / 1000 : Number.POSITIVE_INFINITY;
  };
  metrics.gauge(
    'kubelet_certificate_manager_client_ttl_seconds',
    "[ALPHA] Gauge of the TTL (time-to-live) of the Kubelet's client certificate. The value is in seconds until certificate expiry (negative if already expired). If client certificate is invalid or unused, the value will be +INF.",
    (set) => set(secondsLeft(['kubelet-client-current.pem'])),
  );
  metrics.gauge(
    'kubelet_certificate_manager_server_ttl_seconds',
    "[ALPHA] Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. The value is in seconds until certificate expiry (negative if already expired). If serving certificate is invalid or unused, the value will be +INF.",
    (set) => set(secondsLeft(['kubelet-server-current.pem', 'kubelet.crt'])),
  );
  metrics.gauge('x509_cert_not_after', 'When a certificate of the host ends, in seconds since 1970.', (set) => {
    for (const filepath of filesIn(root)) {
      const certificate = files.read(join(root, filepath));
      if (!certificate) continue;
      const { subject, issuer, validToDate } = certificate;
      const labels = { filename: basename(filepath), filepath, subject_CN: nameIn(subject), issuer_CN: nameIn(issuer) };
      set(validToDate.getTime() / 1000, labels);
    }
  });
}
