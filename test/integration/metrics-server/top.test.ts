/** metrics-server behind a real API server: stock kubectl top, and who is let in. The kubelet's answers are made by its own code. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttps, request, type Server } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { resourceMetrics } from '../../../src/components/kubelet/stats/exposition.ts';
import type { Observation } from '../../../src/components/kubelet/stats/observation.ts';
import { makeKey, privateKeyPem } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');
const started = Date.now();

let dir: string;
let plane: ControlPlane;
let kubelet: Server;
let server: ChildProcess;
let port: number;
/** Common names of the client certificates that the kubelet has seen. */
const scrapers = new Set<string>();

/** A node that uses one core and a half, and a pod with a quarter of a core. */
function observed(): Observation {
  const seconds = (Date.now() - started) / 1000 + 1000;
  return {
    time: new Date(),
    cpuNanoseconds: seconds * 1.5e9,
    memory: { workingSetBytes: 512 * 2 ** 20, swapTotalBytes: 0, swapFreeBytes: 0 },
    pods: [
      {
        pod: { metadata: { namespace: 'default', name: 'web' } },
        usage: {},
        containers: [
          {
            name: 'nginx',
            startTime: new Date(started - 1_000_000).toISOString(),
            usage: { cpuNanoseconds: seconds * 0.25e9, workingSetBytes: 20 * 2 ** 20 },
          },
        ],
      },
    ],
  } as unknown as Observation;
}

async function startKubelet(): Promise<number> {
  const options = { ...selfSignedCertificate('kubelet', ['127.0.0.1']), requestCert: true, rejectUnauthorized: false };
  kubelet = createHttps(options, (req, res) => {
    scrapers.add(String((req.socket as TLSSocket).getPeerCertificate().subject?.CN));
    if (req.url === '/metrics/resource') res.end(resourceMetrics(observed()));
    else res.writeHead(404).end();
  });
  await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve));
  return (kubelet.address() as AddressInfo).port;
}

const kubectl = async (...args: string[]): Promise<string> => {
  const flags = [`--kubeconfig=${plane.kubeconfig('admin')}`, `--cache-dir=${join(dir, 'cache')}`];
  return (await run('kubectl', [...flags, ...args])).stdout;
};

async function apply(objects: object[]): Promise<void> {
  const path = join(dir, 'objects.json');
  await writeFile(path, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  await kubectl('apply', '--validate=false', '-f', path);
}

const rbac = 'rbac.authorization.k8s.io';
const binding = (kind: string, name: string, roleKind: string, role: string, namespace?: string) => ({
  apiVersion: `${rbac}/v1`,
  kind,
  metadata: { name, ...(namespace ? { namespace } : {}) },
  roleRef: { apiGroup: rbac, kind: roleKind, name: role },
  subjects: [{ apiGroup: rbac, kind: 'User', name: 'metrics-server' }],
});

async function startMetricsServer(): Promise<void> {
  port = await freePort();
  server = spawn(
    join(root, 'node_modules/.bin/node'),
    [
      join(root, 'src/components/metrics-server/main.ts'),
      `--kubeconfig=${await plane.issue('metrics-server', [])}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--metric-resolution=10s',
      '--kubelet-request-timeout=5s',
      '--kubelet-insecure-tls',
      '--kubelet-preferred-address-types=InternalIP',
      '--kubelet-use-node-status-port',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const found = (probe.address() as AddressInfo).port;
  await new Promise((resolve) => probe.close(resolve));
  return found;
}

/** Asks metrics-server itself, past kube-apiserver. */
async function ask(path: string, kubeconfig?: string, headers: Record<string, string> = {}) {
  const { certData, keyData } = kubeconfig ? await loadKubeconfig(kubeconfig) : {};
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const options = { cert: certData, key: keyData, headers, rejectUnauthorized: false, agent: false as const };
    const req = request(`https://127.0.0.1:${port}${path}`, options, (res) => {
      let body = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        body += chunk;
      });
      res.once('end', () => resolve({ status: res.statusCode ?? 0, body }));
    });
    req.once('error', reject);
    req.end();
  });
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kinit-metrics-'));
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const caKey = await makeKey();
  const ca = { key: caKey, certificate: issueCertificate({ commonName: 'proxy-ca', isCa: true, ...validity }, caKey) };
  const key = await makeKey();
  const proxy = issueCertificate({ commonName: 'front-proxy-client', usages: ['clientAuth'], ...validity }, key, ca);
  const file = async (name: string, text: string) => {
    await writeFile(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  plane = await startControlPlane({
    arguments: [
      `--proxy-client-cert-file=${await file('client.crt', certificatePem(proxy))}`,
      `--proxy-client-key-file=${await file('client.key', privateKeyPem(key))}`,
      `--requestheader-client-ca-file=${await file('ca.crt', certificatePem(ca.certificate))}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-username-headers=X-Remote-User',
    ],
  });
  const kubeletPort = await startKubelet();
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node1', labels: { zone: 'a' } },
      status: {
        capacity: { cpu: '4', memory: '1Gi' },
        allocatable: { cpu: '4', memory: '1Gi' },
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
      },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'default', name: 'default' } },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'system:metrics-server' },
      rules: [
        { apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] },
        { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] },
      ],
    },
    binding('ClusterRoleBinding', 'system:metrics-server', 'ClusterRole', 'system:metrics-server'),
    binding('ClusterRoleBinding', 'metrics-server:system:auth-delegator', 'ClusterRole', 'system:auth-delegator'),
    binding(
      'RoleBinding',
      'metrics-server-auth-reader',
      'Role',
      'extension-apiserver-authentication-reader',
      'kube-system',
    ),
  ]);
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name: 'web', labels: { app: 'web' } },
      spec: { nodeName: 'node1', containers: [{ name: 'nginx', image: 'nginx' }] },
    },
  ]);
  await startMetricsServer();
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'kube-system', name: 'metrics-server' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: 'v1beta1.metrics.k8s.io' },
      spec: {
        group: 'metrics.k8s.io',
        version: 'v1beta1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { namespace: 'kube-system', name: 'metrics-server', port },
      },
    },
  ]);
  await kubectl('wait', 'apiservice/v1beta1.metrics.k8s.io', '--for=condition=Available', '--timeout=30s');
  const ready = async () => expect((await ask('/readyz')).status).toBe(200);
  await vi.waitFor(ready, { timeout: 30_000, interval: 200 });
});
afterAll(async () => {
  server?.kill('SIGTERM');
  kubelet?.closeAllConnections();
  kubelet?.close();
  await plane?.stop();
  await rm(dir, { recursive: true, force: true });
});

describe('kubectl top', () => {
  it('shows what nodes use', async () => {
    const [head, line] = (await kubectl('top', 'nodes')).trim().split('\n');
    expect(head?.split(/\s{2,}/).slice(0, 2)).toEqual(['NAME', 'CPU(cores)']);
    expect(line).toMatch(/^node1 +1[45]\d\dm +3[67]% +512Mi +50% *$/);
    expect([...scrapers]).toEqual(['metrics-server']);
  });

  it('shows what pods use, by namespace, by name, by labels, by container', async () => {
    expect(await kubectl('top', 'pods')).toMatch(/web +2[45]\dm +20Mi/);
    expect(await kubectl('top', 'pod', 'web', '--containers')).toMatch(/web +nginx +2[45]\dm +20Mi/);
    expect(await kubectl('top', 'pods', '-A', '-l', 'app=web')).toMatch(/default +web/);
    await expect(kubectl('top', 'pod', 'nobody')).rejects.toThrow('NotFound');
  });

  it('is told the usage in the shape of the API', async () => {
    const path = '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web';
    const pod = JSON.parse(await kubectl('get', '--raw', path)) as Record<string, unknown>;
    expect(pod).toMatchObject({
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
      window: expect.stringMatching(/^(9|10)\.?\d*s$/) as string,
      containers: [{ name: 'nginx', usage: { cpu: expect.stringMatching(/^\d+[num]$/) as string, memory: '20Mi' } }],
    });
  });
});

describe('metrics-server', () => {
  const nodes = '/apis/metrics.k8s.io/v1beta1/nodes';
  it('believes nobody who names a user without being the front proxy', async () => {
    const forged = { 'x-remote-user': 'kubernetes-admin', 'x-remote-group': 'system:masters' };
    expect(await ask(nodes, undefined, forged)).toMatchObject({
      status: 403,
      body: expect.stringContaining('User "system:anonymous" cannot list resource "nodes"') as string,
    });
    expect((await ask(nodes, await plane.issue('somebody', []), forged)).status).toBe(403);
  });

  it('asks whether the user that the front proxy names may read metrics', async () => {
    const as = ['--as=viewer', '--as-uid=7'];
    await expect(kubectl('top', 'nodes', ...as)).rejects.toThrow('User "viewer" cannot list resource "nodes"');
    const role = { apiGroups: ['metrics.k8s.io'], resources: ['nodes'], verbs: ['get', 'list'] };
    const subjects = [{ apiGroup: rbac, kind: 'User', name: 'viewer' }];
    await apply([
      { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name: 'viewer' }, rules: [role] },
      { ...binding('ClusterRoleBinding', 'viewer', 'ClusterRole', 'viewer'), subjects },
    ]);
    const raw = ['get', '--raw', `${nodes}/node1`];
    await vi.waitFor(async () => expect(await kubectl(...raw, ...as)).toContain('NodeMetrics'), { timeout: 15_000 });
    await expect(kubectl('top', 'pods', ...as)).rejects.toThrow('Forbidden');
  });

  it('lets in whom the API server lets in, and knows tokens that the API server knows', async () => {
    expect((await ask(nodes, plane.kubeconfig('admin'))).status).toBe(200);
    const token = (await kubectl('create', 'token', 'default')).trim();
    const bearer = { authorization: `Bearer ${token}` };
    expect((await ask(nodes, undefined, bearer)).body).toContain('User "system:serviceaccount:default:default"');
    expect((await ask(nodes, undefined, { authorization: 'Bearer wrong' })).status).toBe(401);
  });
});
