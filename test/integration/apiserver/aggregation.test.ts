/** Aggregated API servers: a real HTTPS server that believes the front proxy only, behind an APIService of a real API server. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeKey, privateKeyPem } from '../../../src/installer/pki/keys.ts';
import { certificatePem, type Issuer, issueCertificate } from '../../../src/installer/pki/x509.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, namespaces, services } from '../../../src/machinery/client/resources.ts';
import type { Client, ResourceType, RestConfig } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const run = promisify(execFile);
const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
const apiServices: ResourceType<UnknownObject> = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  resource: 'apiservices',
  kind: 'APIService',
  namespaced: false,
};

interface Seen {
  path: string;
  client: string | undefined;
  headers: IncomingHttpHeaders;
}

let dir: string;
let plane: ControlPlane;
let client: Client;
let extension: Server;
let caBundle: string;
const seen: Seen[] = [];

async function authority(commonName: string): Promise<Issuer> {
  const key = await makeKey();
  return { key, certificate: issueCertificate({ commonName, isCa: true, ...validity }, key) };
}

/** Serves fruits, in watches too, and echoes what comes over an upgraded connection. */
async function startExtension(frontProxy: Issuer): Promise<void> {
  const ca = await authority('extension-ca');
  const key = await makeKey();
  const certificate = issueCertificate(
    { commonName: 'extension', altNames: ['extension.default.svc'], usages: ['serverAuth'], ...validity },
    key,
    ca,
  );
  caBundle = Buffer.from(certificatePem(ca.certificate)).toString('base64');
  extension = createServer(
    {
      key: privateKeyPem(key),
      cert: certificatePem(certificate),
      ca: certificatePem(frontProxy.certificate),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (req, res) => {
      const url = new URL(req.url ?? '/', 'https://x');
      const subject = (req.socket as TLSSocket).getPeerCertificate().subject;
      seen.push({ path: url.pathname, client: subject.CN as string, headers: req.headers });
      res.setHeader('content-type', 'application/json');
      const fruit = { apiVersion: 'shop.example/v1', kind: 'Fruit', metadata: { name: 'apple' } };
      if (url.pathname === '/apis/shop.example/v1') {
        const resource = {
          name: 'fruits',
          singularName: 'fruit',
          namespaced: false,
          kind: 'Fruit',
          verbs: ['get', 'list'],
        };
        res.end(JSON.stringify({ kind: 'APIResourceList', groupVersion: 'shop.example/v1', resources: [resource] }));
      } else if (url.searchParams.has('watch')) {
        res.write(`${JSON.stringify({ type: 'ADDED', object: fruit })}\n`);
      } else if (url.pathname.endsWith('/fruits')) {
        res.end(JSON.stringify({ apiVersion: 'shop.example/v1', kind: 'FruitList', metadata: {}, items: [fruit] }));
      } else if (url.pathname.endsWith('/apple')) res.end(JSON.stringify(fruit));
      else res.writeHead(418).end('{}');
    },
  );
  extension.on('upgrade', (req, socket) => {
    seen.push({ path: req.url ?? '', client: undefined, headers: req.headers });
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => extension.listen(0, 'localhost', resolve));
}

const kubectl = async (...args: string[]): Promise<string> => {
  const kubeconfig = `--kubeconfig=${plane.kubeconfig('admin')}`;
  const cache = `--cache-dir=${join(dir, 'cache')}`;
  return (await run('kubectl', [kubeconfig, cache, ...args])).stdout;
};

async function condition(name: string): Promise<UnknownObject | undefined> {
  const status = (await client.resource(apiServices).find({ name }))?.['status'] as
    | { conditions?: UnknownObject[] }
    | undefined;
  return status?.conditions?.find((one) => one['type'] === 'Available');
}

const deadline = { timeout: 15_000, interval: 50 };

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kinit-aggregation-'));
  const frontProxy = await authority('front-proxy-ca');
  const key = await makeKey();
  const certificate = issueCertificate(
    { commonName: 'front-proxy-client', usages: ['clientAuth'], ...validity },
    key,
    frontProxy,
  );
  const file = async (name: string, text: string) => {
    await writeFile(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  await startExtension(frontProxy);
  plane = await startControlPlane({
    arguments: [
      `--proxy-client-cert-file=${await file('client.crt', certificatePem(certificate))}`,
      `--proxy-client-key-file=${await file('client.key', privateKeyPem(key))}`,
      `--requestheader-client-ca-file=${await file('ca.crt', certificatePem(frontProxy.certificate))}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-username-headers=X-Remote-User',
    ],
  });
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
});
afterAll(async () => {
  client?.close();
  extension?.closeAllConnections();
  extension?.close();
  await plane?.stop();
  await rm(dir, { recursive: true, force: true });
});

const shop = (spec: object) => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name: 'v1.shop.example' },
  spec: { group: 'shop.example', version: 'v1', groupPriorityMinimum: 100, versionPriority: 100, ...spec },
});

describe('aggregated API servers', () => {
  it('has an APIService for every built-in group, available and local', async () => {
    await vi.waitFor(async () => expect((await condition('v1.apps'))?.['reason']).toBe('Local'), deadline);
    const lines = (await kubectl('get', 'apiservices')).trim().split('\n');
    expect(lines[0]?.split(/\s+/)).toEqual(['NAME', 'SERVICE', 'AVAILABLE', 'AGE']);
    expect(lines.find((line) => line.startsWith('v1. '))).toMatch(/^v1\. +Local +True +\d+s$/);
    const apps = await client.resource(apiServices).get({ name: 'v1.apps' });
    expect(apps.metadata?.labels).toEqual({ 'kube-aggregator.kubernetes.io/automanaged': 'onstart' });
    expect(apps['spec']).toEqual({ group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 });
  });

  it('tells extension servers which certificates to believe', async () => {
    const ref = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
    await vi.waitFor(async () => expect((await client.resource(configMaps).get(ref)).data).toBeDefined(), deadline);
    const { data = {} } = await client.resource(configMaps).get(ref);
    expect(data['client-ca-file']).toContain('BEGIN CERTIFICATE');
    expect(data['requestheader-client-ca-file']).toContain('BEGIN CERTIFICATE');
    expect(data['requestheader-allowed-names']).toBe('["front-proxy-client"]');
    expect(data['requestheader-username-headers']).toBe('["X-Remote-User"]');
  });

  it('refuses an APIService whose name is not that of its version and group', async () => {
    const wrong = { ...shop({}), metadata: { name: 'fruits' } };
    await expect(client.resource(apiServices).create(wrong)).rejects.toThrow(
      'metadata.name: Invalid value: "fruits": must be `spec.version+"."+spec.group`: "v1.shop.example"',
    );
  });

  it('answers 503 as long as nothing is behind the service, and says why in the condition', async () => {
    await client.resource(namespaces).get({ name: 'default' });
    await client.resource(services).create({
      metadata: { namespace: 'default', name: 'nobody' },
      spec: { ports: [{ port: 443 }] },
    });
    await client
      .resource(apiServices)
      .create(shop({ service: { namespace: 'default', name: 'nobody' }, insecureSkipTLSVerify: true }));
    await vi.waitFor(async () => {
      expect(await condition('v1.shop.example')).toMatchObject({ status: 'False', reason: 'EndpointsNotFound' });
    }, deadline);
    await expect(kubectl('get', '--raw', '/apis/shop.example/v1/fruits')).rejects.toThrow(
      'Error from server (ServiceUnavailable): the server is currently unable to handle the request',
    );
  });

  it('lists the group in discovery and passes requests on with the user in headers once the server answers', async () => {
    const { port } = extension.address() as AddressInfo;
    await client.resource(services).create({
      metadata: { namespace: 'default', name: 'extension' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    });
    const existing = await client.resource(apiServices).get({ name: 'v1.shop.example' });
    await client.resource(apiServices).update({
      ...existing,
      ...shop({ service: { namespace: 'default', name: 'extension', port }, caBundle }),
      metadata: existing.metadata ?? {},
    });
    await vi.waitFor(async () => {
      expect(await condition('v1.shop.example')).toMatchObject({ status: 'True', message: 'all checks passed' });
    }, deadline);
    expect(await kubectl('api-resources', '--api-group=shop.example')).toMatch(
      /fruits +shop.example\/v1 +false +Fruit/,
    );
    expect(await kubectl('get', 'fruits', '-o', 'name')).toBe('fruit.shop.example/apple\n');
    expect(await kubectl('get', 'apiservices', 'v1.shop.example')).toMatch(/default\/extension +True/);
    const { headers, client: name } = seen.findLast(({ path }) => path.endsWith('/fruits')) as Seen;
    expect(name).toBe('front-proxy-client');
    expect(headers['x-remote-user']).toBe('kubernetes-admin');
    expect(headers['x-remote-group']).toBe('system:masters, system:authenticated');
    expect(headers.authorization).toBeUndefined();
  });

  it('does not let a client speak in the name of another, and asks the authorizer first', async () => {
    const config = await loadKubeconfig(await plane.issue('somebody', []));
    const refused = await ask(config, '/apis/shop.example/v1/fruits');
    expect(refused.status).toBe(403);
    const forged = { 'x-remote-user': 'root', 'x-remote-group': 'system:masters', 'x-remote-extra-a': 'b' };
    await ask(await loadKubeconfig(plane.kubeconfig('admin')), '/apis/shop.example/v1/fruits/apple', forged);
    const { headers } = seen.findLast(({ path }) => path.endsWith('/apple')) as Seen;
    expect(headers['x-remote-user']).toBe('kubernetes-admin');
    expect(headers['x-remote-extra-a']).toBeUndefined();
  });

  it('streams watches and joins upgraded connections', async () => {
    const config = await loadKubeconfig(plane.kubeconfig('admin'));
    const line = await new Promise<string>((resolve, reject) => {
      const req = request(...target(config, '/apis/shop.example/v1/fruits?watch=true'), (res) => {
        res.once('data', (chunk: Buffer) => {
          resolve(chunk.toString());
          req.destroy();
        });
      });
      req.once('error', reject);
      req.end();
    });
    expect(JSON.parse(line)).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'apple' } } });
    const upgrade = { connection: 'Upgrade', upgrade: 'echo' };
    const echoed = await new Promise<string>((resolve, reject) => {
      const req = request(...target(config, '/apis/shop.example/v1/fruits/apple/echo', upgrade));
      req.once('upgrade', (_res, socket) => {
        socket.once('data', (chunk: Buffer) => {
          resolve(chunk.toString());
          socket.destroy();
        });
        socket.write('hello');
      });
      req.once('error', reject);
      req.end();
    });
    expect(echoed).toBe('hello');
    expect(seen.at(-1)?.headers['x-remote-user']).toBe('kubernetes-admin');
  });

  it('forgets the group with its APIService', async () => {
    await client.resource(apiServices).delete({ name: 'v1.shop.example' });
    await vi.waitFor(async () => {
      const groups = JSON.parse(await kubectl('get', '--raw', '/apis')) as { groups: { name: string }[] };
      expect(groups.groups.map(({ name }) => name)).not.toContain('shop.example');
    }, deadline);
    await expect(kubectl('get', '--raw', '/apis/shop.example/v1')).rejects.toThrow('NotFound');
  });
});

function target(config: RestConfig, path: string, headers: Record<string, string> = {}) {
  return [
    new URL(path, plane.server),
    { ca: config.caData, cert: config.certData, key: config.keyData, headers },
  ] as const;
}

async function ask(config: RestConfig, path: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number }>((resolve, reject) => {
    const req = request(...target(config, path, headers), (res) => {
      res.resume();
      res.once('end', () => resolve({ status: res.statusCode ?? 0 }));
    });
    req.once('error', reject);
    req.end();
  });
}
