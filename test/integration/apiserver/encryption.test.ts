/** `--encryption-provider-config` on a real etcd: what lies there, what clients see, and how keys are changed. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EtcdClient, prefixEnd } from '../../../src/components/apiserver/storage/etcd-client.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, secrets } from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const namespace = 'default';
const data = { password: Buffer.from('correct horse').toString('base64') };

let folder: string;
let file: string;
let plane: ControlPlane;
let client: Client;
let etcd: EtcdClient;

const keys = Object.fromEntries(['one', 'two'].map((name) => [name, randomBytes(32).toString('base64')]));
const provider = (kind: string, ...names: string[]) =>
  `{${kind}: {keys: [${names.map((name) => `{name: ${name}, secret: "${keys[name]}"}`)}]}}`;

async function configure(...providers: string[]): Promise<void> {
  const configuration = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [${providers}]
`;
  await writeFile(`${file}.draft`, configuration, { mode: 0o600 });
  await rename(`${file}.draft`, file);
}

async function metric(start: string): Promise<string | undefined> {
  const { body } = await client.raw('GET', '/metrics');
  return body
    .toString()
    .split('\n')
    .find((line) => line.startsWith(start));
}

/** The apiserver counts every time that it has taken up a file. */
async function reloaded(times: number): Promise<void> {
  await vi.waitFor(
    async () =>
      expect(await metric('apiserver_encryption_config_controller_automatic_reloads_total{')).toMatch(
        new RegExp(`success.* ${times}$`),
      ),
    { timeout: 15_000, interval: 200 },
  );
}

const raw = async (name: string) =>
  (await etcd.get(`/registry/secrets/${namespace}/${name}`)).kv?.value.toString('latin1') ?? '';
const create = (name: string) =>
  client.resource(secrets).create({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kinit-encryption-'));
  file = join(folder, 'encryption.yaml');
  await configure('{identity: {}}');
  plane = await startControlPlane({
    arguments: [`--encryption-provider-config=${file}`, '--encryption-provider-config-automatic-reload=true'],
  });
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  etcd = new EtcdClient({ servers: [plane.etcd] });
}, 60_000);

afterAll(async () => {
  etcd?.close();
  await plane?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe.sequential('secrets', () => {
  it('are written in the clear as long as identity stands first', async () => {
    await create('early');
    expect(await raw('early')).toMatch(/^\{"kind":"Secret"/);
  });

  it('are sealed once a key stands first, without a restart; others stay as they are', async () => {
    await configure(provider('secretbox', 'one'), '{identity: {}}');
    await reloaded(1);
    await create('sealed');
    expect(await raw('sealed')).toMatch(/^k8s:enc:secretbox:v1:one:/);
    expect(await raw('sealed')).not.toContain(data.password);
    await client.resource(configMaps).create({ metadata: { name: 'plain', namespace }, data: { a: 'b' } });
    expect((await etcd.get(`/registry/configmaps/${namespace}/plain`)).kv?.value.toString()).toMatch(/^\{"kind"/);
  });

  it('are read, listed, watched and changed as before, sealed or not', async () => {
    const { items } = await client.resource(secrets).list({ namespace });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(['early', 'sealed']);
    expect((await client.resource(secrets).get({ name: 'sealed', namespace })).data).toEqual(data);
    const patched = await client
      .resource(secrets)
      .patch({ name: 'sealed', namespace }, { data: { more: 'YQ==' } }, { type: 'merge' });
    expect(patched.data).toEqual({ ...data, more: 'YQ==' });
    expect(await raw('sealed')).toMatch(/^k8s:enc:secretbox:v1:one:/);
  });

  it('are sealed when they are written again unchanged, and then an unchanged one is left alone', async () => {
    const before = await client.resource(secrets).get({ name: 'early', namespace });
    const after = await client.resource(secrets).update(before);
    expect(await raw('early')).toMatch(/^k8s:enc:secretbox:v1:one:/);
    expect(after.metadata?.resourceVersion).not.toBe(before.metadata?.resourceVersion);
    const third = await client.resource(secrets).update(after);
    expect(third.metadata?.resourceVersion).toBe(after.metadata?.resourceVersion);
  });

  it('are there after a restart with another key and provider in front', async () => {
    await configure(provider('aesgcm', 'two'), provider('secretbox', 'one'));
    await plane.restart('apiserver');
    expect((await client.resource(secrets).get({ name: 'early', namespace })).data).toEqual(data);
    await client.resource(secrets).update(await client.resource(secrets).get({ name: 'sealed', namespace }));
    expect(await raw('sealed')).toMatch(/^k8s:enc:aesgcm:v1:two:/);
  });

  it('that no key opens are errors by name, in lists too, and the server serves everything else', async () => {
    await configure(provider('aesgcm', 'two'));
    await plane.restart('apiserver');
    const message =
      'Internal error occurred: unable to transform key "/registry/secrets/default/early": no matching prefix found';
    await expect(client.resource(secrets).get({ name: 'early', namespace })).rejects.toThrow(message);
    await expect(client.resource(secrets).list({ namespace })).rejects.toThrow(message);
    expect((await client.resource(secrets).get({ name: 'sealed', namespace })).data).toMatchObject(data);
    expect((await client.resource(configMaps).list({ namespace })).items.length).toBeGreaterThan(0);
  });

  it('come back when their key does', async () => {
    await configure(provider('aesgcm', 'two'), provider('secretbox', 'one'));
    await vi.waitFor(async () => expect((await client.resource(secrets).list({ namespace })).items).toHaveLength(2), {
      timeout: 15_000,
      interval: 200,
    });
  });

  it('keep the last good configuration when the file is broken', async () => {
    await writeFile(file, 'kind: Nonsense');
    await vi.waitFor(
      async () =>
        expect(await metric('apiserver_encryption_config_controller_automatic_reloads_total{status="failure"')).toMatch(
          / 1$/,
        ),
      { timeout: 15_000, interval: 200 },
    );
    await create('late');
    expect(await raw('late')).toMatch(/^k8s:enc:aesgcm:v1:two:/);
    const { items } = await etcd.range('/registry/secrets/', { end: prefixEnd('/registry/secrets/') });
    for (const { value } of items) expect(value.toString('latin1')).toMatch(/^k8s:enc:/);
    const log = await readFile(join(plane.dir, 'apiserver.log'), 'utf8');
    for (const key of Object.values(keys)) expect(log).not.toContain(key);
  });
});
