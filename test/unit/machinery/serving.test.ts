import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { afterEach, expect, test } from 'vitest';
import { MetricsRegistry } from '../../../src/machinery/serving/metrics.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';
import { type Serving, startServing } from '../../../src/machinery/serving/server.ts';

let serving: Serving | undefined;
afterEach(() => serving?.close());

const get = (port: number, path: string) =>
  new Promise<{ status: number; body: string }>((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, rejectUnauthorized: false }, (res) => {
      let body = '';
      res.on('data', (chunk) => {
        body += chunk;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });

test('a self-signed certificate names its hosts and verifies itself', () => {
  const certificate = new X509Certificate(selfSignedCertificate('x@1', ['localhost', '127.0.0.1', 'fd00::1']).cert);
  expect(certificate.subject).toBe('CN=x@1');
  expect(certificate.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:0:1');
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.checkHost('localhost')).toBe('localhost');
  expect(certificate.ca).toBe(true);
});

test('health is open to everybody, the rest needs a user', async () => {
  let broken: string | undefined;
  const metrics = new MetricsRegistry();
  metrics.counter('things_total', 'Things.').inc({ kind: 'a' });
  serving = await startServing({
    bindAddress: '127.0.0.1',
    port: 0,
    auth: {},
    metrics,
    checks: { '/healthz': { ping: () => undefined, work: () => broken } },
  });
  expect(await get(serving.port, '/healthz')).toEqual({ status: 200, body: 'ok' });
  expect((await get(serving.port, '/metrics')).status).toBe(403);
  expect((await get(serving.port, '/healthz/none')).status).toBe(403);
  broken = 'out of order';
  const failed = await get(serving.port, '/healthz');
  expect(failed.status).toBe(500);
  expect(failed.body).toContain('[-]work failed');
});

test('without delegated authorization metrics are open', async () => {
  const metrics = new MetricsRegistry();
  metrics.counter('things_total', 'Things.').inc({ kind: 'a' });
  serving = await startServing({ bindAddress: '127.0.0.1', port: 0, metrics, checks: {} });
  expect((await get(serving.port, '/metrics')).body).toContain('things_total{kind="a"} 1');
  expect((await get(serving.port, '/nothing')).status).toBe(404);
});

test('a port in use is named', async () => {
  serving = await startServing({ bindAddress: '127.0.0.1', port: 0, checks: {} });
  await expect(startServing({ bindAddress: '127.0.0.1', port: serving.port, checks: {} })).rejects.toThrow(
    `cannot listen on 127.0.0.1:${serving.port}: the port is in use`,
  );
});
