/** The audit log of a real API server: what is written down of which request, and what never. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, secrets } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- level: None
  nonResourceURLs: [/healthz*, /readyz*]
- level: None
  users: ["system:apiserver"]
- level: Metadata
  omitStages: [RequestReceived]
  resources: [{group: "", resources: [secrets]}]
- level: RequestResponse
  omitStages: [RequestReceived]
  verbs: [create, patch]
  resources: [{group: "", resources: [configmaps]}]
- level: Request
  resources: [{group: "", resources: [configmaps]}]
`;

interface Event {
  auditID: string;
  stage: string;
  [field: string]: unknown;
}

let folder: string;
let log: string;
let plane: ControlPlane;
let admin: Client;
let stranger: Client;

/** The events of a request, once it has been written down completely. */
async function eventsOf(auditId: string, last = 'ResponseComplete'): Promise<Event[]> {
  return vi.waitFor(
    async () => {
      const lines = (await readFile(log, 'utf8')).split('\n').filter(Boolean);
      const events = lines.map((line) => JSON.parse(line) as Event).filter(({ auditID }) => auditID === auditId);
      expect(events.at(-1)?.stage).toBe(last);
      return events;
    },
    { timeout: 10_000, interval: 50 },
  );
}

const send = async (
  client: Client,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
) => {
  const answer = await client.raw(method, path, {
    ...(body ? { body: JSON.stringify(body) } : {}),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { ...answer, id: String(answer.headers['audit-id']) };
};
const maps = '/api/v1/namespaces/default/configmaps';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-audit-'));
  log = join(folder, 'log/audit.log');
  await writeFile(join(folder, 'policy.yaml'), policy);
  plane = await startControlPlane({
    arguments: [`--audit-policy-file=${join(folder, 'policy.yaml')}`, `--audit-log-path=${log}`],
  });
  admin = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  stranger = createClient(await loadKubeconfig(await plane.issue('stranger', [])));
}, 60_000);

afterAll(async () => {
  await plane?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('the audit log', () => {
  it('has request and answer of a creation, without managed fields, under the id of the answer', async () => {
    const { id, status } = await send(admin, 'POST', `${maps}?fieldManager=me`, {
      metadata: { name: 'm' },
      data: { a: 'b' },
    });
    expect(status).toBe(201);
    const [event, ...more] = await eventsOf(id);
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      requestURI: `${maps}?fieldManager=me`,
      verb: 'create',
      user: { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] },
      sourceIPs: ['127.0.0.1'],
      objectRef: { resource: 'configmaps', namespace: 'default', name: 'm', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 201 },
      requestObject: { metadata: { name: 'm' }, data: { a: 'b' } },
      responseObject: { metadata: { name: 'm', namespace: 'default' }, data: { a: 'b' } },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
    });
    expect(event).toHaveProperty('requestReceivedTimestamp', expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/));
    expect(JSON.stringify(event)).not.toContain('managedFields');
  });

  it('never has the content of a secret when the policy says Metadata', async () => {
    const { id } = await send(admin, 'POST', '/api/v1/namespaces/default/secrets', {
      metadata: { name: 's' },
      stringData: { password: 'correct horse' },
    });
    const [event] = await eventsOf(id);
    expect(event).toMatchObject({ level: 'Metadata', objectRef: { resource: 'secrets', name: 's' } });
    expect(event).not.toHaveProperty('requestObject');
    await admin.resource(secrets).list({ namespace: 'default' });
    expect(await readFile(log, 'utf8')).not.toMatch(/correct horse|Y29ycmVjdCBob3JzZQ/);
  });

  it('has the patch that was sent, and each stage of a request that omits none', async () => {
    const patch = await send(
      admin,
      'PATCH',
      `${maps}/m`,
      { data: { c: 'd' } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect((await eventsOf(patch.id))[0]).toMatchObject({ verb: 'patch', requestObject: { data: { c: 'd' } } });
    const get = await send(admin, 'GET', `${maps}/m`);
    const events = await eventsOf(get.id);
    expect(events.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseComplete']);
    expect(events[1]).not.toHaveProperty('responseObject');
  });

  it('says who was refused, and why', async () => {
    const { id, status } = await send(stranger, 'GET', '/api/v1/namespaces/default/secrets/s');
    expect(status).toBe(403);
    expect((await eventsOf(id))[0]).toMatchObject({
      user: { username: 'stranger' },
      responseStatus: { status: 'Failure', reason: 'Forbidden', code: 403 },
      annotations: { 'authorization.k8s.io/decision': 'forbid' },
    });
  });

  it('says who acted as whom', async () => {
    const { id } = await send(admin, 'GET', `${maps}/m`, undefined, { 'impersonate-user': 'stranger' });
    expect((await eventsOf(id)).at(-1)).toMatchObject({
      user: { username: 'kubernetes-admin' },
      impersonatedUser: { username: 'stranger' },
      responseStatus: { code: 403 },
    });
  });

  it('has the beginning and the end of a watch, and takes the id that the client gives', async () => {
    const abort = new AbortController();
    const watch = admin.resource(configMaps).watch({ namespace: 'default', signal: abort.signal });
    const seen = watch[Symbol.asyncIterator]();
    await seen.next();
    const id = await vi.waitFor(
      async () => {
        const started = (await readFile(log, 'utf8'))
          .split('\n')
          .find((line) => line.includes('"stage":"ResponseStarted"'));
        expect(started).toBeDefined();
        return (JSON.parse(started ?? '') as Event).auditID;
      },
      { timeout: 10_000, interval: 50 },
    );
    abort.abort();
    await seen.next().catch(() => undefined);
    expect((await eventsOf(id)).map(({ stage }) => stage)).toEqual([
      'RequestReceived',
      'ResponseStarted',
      'ResponseComplete',
    ]);
    expect((await send(admin, 'GET', `${maps}/m`, undefined, { 'audit-id': 'mine-1' })).id).toBe('mine-1');
    expect(await eventsOf('mine-1')).toHaveLength(2);
  });

  it('has nothing of what the policy leaves out, and only root may read it', async () => {
    const { id } = await send(admin, 'GET', '/readyz');
    await eventsOf((await send(admin, 'GET', `${maps}/m`)).id);
    expect(await readFile(log, 'utf8')).not.toContain(id);
    expect((await stat(log)).mode & 0o777).toBe(0o600);
  });
});
