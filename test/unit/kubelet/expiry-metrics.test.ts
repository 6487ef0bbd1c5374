/** When certificates end, as the kubelet's metrics. */

import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { registerExpiryMetrics } from '../../../src/components/kubelet/certificates/expiry-metrics.ts';
import { MetricsRegistry } from '../../../src/machinery/serving/metrics.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';

const root = mkdtempSync(join(tmpdir(), 'kinit-expiry-'));
afterAll(() => rmSync(root, { recursive: true }));

test('the ends of certificates are told: the own ones in seconds, those of the host in seconds since 1970', () => {
  const metrics = new MetricsRegistry();
  const certDir = join(root, 'var/lib/kubelet/pki');
  registerExpiryMetrics(metrics, certDir, root);
  const lines = () =>
    metrics
      .text()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
  // Nothing is there yet, as before a join.
  expect(lines()).toEqual([
    'kubelet_certificate_manager_client_ttl_seconds +Inf',
    'kubelet_certificate_manager_server_ttl_seconds +Inf',
  ]);
  const { cert } = selfSignedCertificate('somebody', ['localhost']);
  const ends = new X509Certificate(cert).validToDate.getTime() / 1000;
  for (const folder of [certDir, join(root, 'etc/kubernetes/pki/etcd')]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(certDir, 'kubelet-client-current.pem'), cert);
  writeFileSync(join(certDir, 'kubelet.crt'), cert);
  writeFileSync(join(root, 'etc/kubernetes/pki/apiserver.crt'), cert);
  writeFileSync(join(root, 'etc/kubernetes/pki/etcd/ca.crt'), 'no certificate');
  const embedded = `users:\n- user:\n    client-certificate-data: ${Buffer.from(cert).toString('base64')}\n`;
  writeFileSync(join(root, 'etc/kubernetes/admin.conf'), embedded);
  const [client = '', server = '', ...others] = lines();
  const left = ends - Date.now() / 1000;
  expect(Number(client.split(' ')[1]) - left).toBeLessThan(60);
  expect(Number(server.split(' ')[1])).toBeGreaterThan(left - 60);
  expect(others).toEqual(
    ['/etc/kubernetes/pki/apiserver.crt', '/etc/kubernetes/admin.conf'].map(
      (path) =>
        `x509_cert_not_after{filename="${path.split('/').at(-1)}",filepath="${path}",subject_CN="somebody",issuer_CN="somebody"} ${ends}`,
    ),
  );
});
