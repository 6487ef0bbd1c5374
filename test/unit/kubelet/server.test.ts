import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attributesOf } from '../../../src/components/kubelet/server/attributes.ts';
import { startServer } from '../../../src/components/kubelet/server/server.ts';
import { streamTarget } from '../../../src/components/kubelet/server/streaming.ts';
import type { KubeletServer } from '../../../src/components/kubelet/types.ts';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { MetricsRegistry } from '../../../src/machinery/serving/metrics.ts';

describe('a request is checked as', () => {
  it.each([
    ['GET', '/stats/summary', 'get', ['stats']],
    ['GET', '/metrics/cadvisor', 'get', ['metrics']],
    ['GET', '/logs/messages', 'get', ['log']],
    ['GET', '/pods', 'get', ['pods', 'proxy']],
    ['GET', '/runningpods/', 'get', ['pods', 'proxy']],
    ['GET', '/healthz', 'get', ['healthz', 'proxy']],
    ['GET', '/configz', 'get', ['configz', 'proxy']],
    ['POST', '/exec/ns/p/c', 'create', ['proxy']],
    ['GET', '/containerLogs/ns/p/c', 'get', ['proxy']],
    ['GET', '/podsx', 'get', ['proxy']],
  ])('%s %s: %s of %j', (method, path, verb, subresources) => {
    expect(attributesOf(method, path)).toEqual({ verb, subresources });
  });
});

describe('the path of a stream', () => {
  it.each([
    ['/exec/ns/p/c', { action: 'exec', namespace: 'ns', podName: 'p', container: 'c' }],
    ['/exec/ns/p/uid/c', { action: 'exec', namespace: 'ns', podName: 'p', podUid: 'uid', container: 'c' }],
    ['/portForward/ns/p', { action: 'portForward', namespace: 'ns', podName: 'p' }],
    ['/portForward/ns/p/uid', { action: 'portForward', namespace: 'ns', podName: 'p', podUid: 'uid' }],
    ['/exec/ns/p', undefined],
    ['/attach/ns/p/u/c/more', undefined],
    ['/pods', undefined],
  ])('%s', (path, target) => {
    expect(streamTarget(path)).toEqual(target);
  });
});

describe('the server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kinit-kubelet-server-'));
  const closing: (() => unknown)[] = [];
  const certificates: Record<string, { cert: string; key: string }> = {};
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'ns', uid: 'u1' },
    spec: { containers: [{ name: 'c' }] },
    status: {
      containerStatuses: [
        {
          name: 'c',
          image: '',
          imageID: '',
          ready: true,
          restartCount: 0,
          containerID: 'containerd://id1',
          state: { running: {} },
        },
      ],
    },
  };
  let server: KubeletServer;
  let healthy: string | undefined;
  const streams: string[] = [];

  beforeAll(async () => {
    const now = Date.now();
    const life = { notBefore: new Date(now - 60_000), notAfter: new Date(now + 3_600_000) };
    const key = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const pem = (one: KeyObject) => one.export({ type: 'pkcs8', format: 'pem' }).toString();
    const caKey = key();
    const ca = { certificate: issueCertificate({ commonName: 'ca', isCa: true, ...life }, caKey), key: caKey };
    const otherKey = key();
    const other = { certificate: issueCertificate({ commonName: 'ca', isCa: true, ...life }, otherKey), key: otherKey };
    for (const [name, issuer] of [
      ['admin', ca],
      ['viewer', ca],
      ['stranger', other],
    ] as const) {
      const own = key();
      const asked = { commonName: name, organizations: ['people'], usages: ['clientAuth' as const], ...life };
      certificates[name] = { cert: certificatePem(issueCertificate(asked, own, issuer)), key: pem(own) };
    }
    writeFileSync(join(directory, 'ca.crt'), certificatePem(ca.certificate));
    writeFileSync(join(directory, '0.log'), '2026-01-02T03:04:05Z stdout F hello\n');
    mkdirSync(join(directory, 'pods'));

    // Reviews as an API server would answer them: admin may all, viewer only read the pods, token t1 is admin.
    const api = createHttpServer(async (req, res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const body = JSON.parse(Buffer.concat(chunks).toString());
      const { user, resourceAttributes: asked } = body.spec;
      const status = req.url?.includes('tokenreviews')
        ? body.spec.token === 't1'
          ? { authenticated: true, user: { username: 'admin', groups: ['people'] } }
          : { authenticated: false }
        : { allowed: user === 'admin' || (user === 'viewer' && asked.subresource === 'pods' && asked.name === 'n1') };
      res.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ ...body, status }));
    });
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    closing.push(() => api.close());
    const client = createClient({ server: `http://127.0.0.1:${(api.address() as AddressInfo).port}` });
    closing.push(() => client.close());

    // The runtime's end of a stream: upgrades and echoes.
    const backend = createTcpServer((socket) => {
      let head = '';
      socket.on('data', (chunk) => {
        if (head.includes('\r\n\r\n')) socket.write(chunk);
        else {
          head += chunk.toString();
          if (!head.includes('\r\n\r\n')) return;
          streams.push(head);
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
        }
      });
      socket.on('end', () => socket.end());
    });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    closing.push(() => backend.close());
    const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}/exec/token`;

    server = await startServer({
      address: '127.0.0.1',
      port: 0,
      tls: { hosts: ['n1'] },
      auth: { clientCaFile: join(directory, 'ca.crt'), anonymous: false, client, mode: 'Webhook' },
      view: {
        nodeName: 'n1',
        pods: () => [pod],
        pod: (namespace, name) => (namespace === 'ns' && name === 'web' ? pod : undefined),
        podStatus: () => pod.status,
        containerId: (_, name) => (name === 'c' ? 'id1' : undefined),
        sandboxId: () => 'sandbox1',
        healthy: () => healthy,
      },
      runtime: {
        containerStatus: async () => ({ logPath: join(directory, '0.log'), state: 'CONTAINER_EXITED' }),
        exec: async () => url,
        execSync: async (_: string, cmd: string[]) => ({
          stdout: Buffer.from(cmd.join('|')),
          stderr: Buffer.alloc(0),
          exitCode: 0,
        }),
        listContainerStats: async () => [],
        imageFsInfo: async () => ({ imageFilesystems: [], containerFilesystems: [] }),
      } as never,
      metrics: new MetricsRegistry(),
      configuration: () => ({ maxPods: 110 }),
      rootDir: directory,
      podLogsDir: directory,
      debuggingHandlers: true,
      systemLogHandler: true,
      onError: (message) => expect.fail(message),
    });
    closing.push(() => server.close());
  });
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });

  const ask = (path: string, as: string | undefined, options: RequestOptions = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const req = request(
      {
        host: '127.0.0.1',
        port: server.port,
        path,
        rejectUnauthorized: false,
        agent: false,
        ...(as ? certificates[as] : {}),
        ...options,
      },
      (res) => {
        let body = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => {
          body += chunk;
        });
        res.on('end', () => resolve({ status: res.statusCode ?? 0, body }));
      },
    );
    req.on('error', reject);
    req.end();
    return promise;
  };
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  it('lets in who has a certificate of the CA or a token, and may', async () => {
    expect(await ask('/pods', undefined)).toEqual({ status: 401, body: 'Unauthorized' });
    expect(await ask('/pods', 'stranger')).toEqual({ status: 401, body: 'Unauthorized' });
    expect(await ask('/pods', undefined, bearer('bad'))).toEqual({ status: 401, body: 'Unauthorized' });
    expect((await ask('/pods', undefined, bearer('t1'))).status).toBe(200);
    expect((await ask('/pods', 'admin')).status).toBe(200);
    expect((await ask('/pods', 'viewer')).status).toBe(200);
    expect(await ask('/healthz', 'viewer')).toEqual({
      status: 403,
      body: 'Forbidden (user=viewer, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n',
    });
  });

  it('shows pods, configuration, health and measurements', async () => {
    expect(JSON.parse((await ask('/pods', 'admin')).body)).toEqual({
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: {},
      items: [pod],
    });
    expect((await ask('/configz', 'admin')).body).toBe('{"kubeletconfig":{"maxPods":110}}');
    expect(await ask('/healthz', 'admin')).toEqual({ status: 200, body: 'ok' });
    healthy = 'the sync loop stands still';
    expect((await ask('/healthz', 'admin')).status).toBe(500);
    healthy = undefined;
    const summary = JSON.parse((await ask('/stats/summary', 'admin')).body);
    expect(summary.node.nodeName).toBe('n1');
    expect(summary.node.memory.workingSetBytes).toBeGreaterThan(0);
    expect(summary.node.fs.capacityBytes).toBeGreaterThan(0);
    expect((await ask('/metrics/resource', 'admin')).body).toMatch(/^node_cpu_usage_seconds_total [\d.]+ \d{13}$/m);
    expect((await ask('/metrics/cadvisor', 'admin')).body).toContain('machine_cpu_cores');
    const own = (await ask('/metrics', 'admin')).body;
    expect(own).toContain('kubelet_running_containers{container_state="running"} 1');
    expect(own).toMatch(/kubelet_http_requests_total\{.*path="configz".*\} 1/);
    expect((await ask('/nothing', 'admin')).status).toBe(404);
  });

  it('reads logs and runs commands', async () => {
    expect(await ask('/containerLogs/ns/web/c', 'admin')).toEqual({ status: 200, body: 'hello\n' });
    expect(await ask('/containerLogs/ns/web/x', 'admin')).toEqual({
      status: 404,
      body: 'container "x" not found in pod "web"\n',
    });
    expect((await ask('/containerLogs/ns/gone/c', 'admin')).body).toBe('pod "gone" does not exist\n');
    expect(await ask('/run/ns/web/c?cmd=ls%20-l', 'admin', { method: 'POST' })).toEqual({ status: 200, body: 'ls|-l' });
    expect((await ask('/logs/..%2f..%2fetc/passwd', 'admin')).status).toBe(404);
  });

  it('joins upgraded connections with the runtime', async () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const req = request({
      host: '127.0.0.1',
      port: server.port,
      method: 'POST',
      path: '/exec/ns/web/c?command=sh&input=1&output=1',
      rejectUnauthorized: false,
      ...certificates['admin'],
      headers: {
        connection: 'Upgrade',
        upgrade: 'SPDY/3.1',
        authorization: 'Bearer secret',
        'x-stream-protocol-version': 'v4.channel.k8s.io',
      },
    });
    req.on('upgrade', (res, socket) => {
      expect(res.headers.upgrade).toBe('SPDY/3.1');
      let echoed = '';
      socket.on('data', (chunk: Buffer) => {
        echoed += chunk.toString();
        if (echoed === 'ping') socket.end();
      });
      socket.on('close', () => resolve(echoed));
      socket.write('ping');
    });
    req.on('response', (res) => reject(new Error(`answered ${res.statusCode}`)));
    req.on('error', reject);
    req.end();
    expect(await promise).toBe('ping');
    expect(streams[0]).toMatch(/^POST \/exec\/token HTTP\/1\.1\r\n/);
    expect(streams[0]).toContain('v4.channel.k8s.io');
    expect(streams[0]).not.toContain('secret');
  });

  it('says why there is no stream', async () => {
    const upgrade = { method: 'POST', headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' } };
    expect(await ask('/exec/ns/web/x?command=sh&output=1', 'admin', upgrade)).toEqual({
      status: 500,
      body: 'container not found ("x")',
    });
    expect(await ask('/exec/ns/gone/c?command=sh&output=1', 'admin', upgrade)).toEqual({
      status: 404,
      body: 'pod does not exist',
    });
    expect((await ask('/exec/ns/web/c?command=sh', 'admin', upgrade)).status).toBe(400);
    expect((await ask('/exec/ns/web/c?command=sh&output=1', 'viewer', upgrade)).status).toBe(403);
    expect(await ask('/exec/ns/web/c?command=sh&output=1', 'admin', { method: 'POST' })).toEqual({
      status: 400,
      body: 'Upgrade request required',
    });
  });
});
