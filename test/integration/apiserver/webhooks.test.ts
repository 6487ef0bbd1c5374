/** Admission webhooks: a real server behind TLS is asked about writes to a real API server. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeKey, privateKeyPem } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate } from '../../../src/installer/pki/x509.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { ApiError } from '../../../src/machinery/client/errors.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { configMaps, namespaces, pods, serviceAccounts } from '../../../src/machinery/client/resources.ts';
import type { Client, ResourceType } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

interface Request {
  uid: string;
  operation: string;
  object: UnknownObject | null;
  oldObject: UnknownObject | null;
  dryRun: boolean;
}
type Hook = (request: Request) => { allowed?: boolean; patch?: object[]; warnings?: string[]; message?: string };

let plane: ControlPlane;
let client: Client;
let server: Server;
let url: string;
let caBundle: string;
const hooks = new Map<string, Hook>();
const asked: [path: string, request: Request][] = [];

async function startWebhooks(): Promise<void> {
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const caKey = await makeKey();
  const ca = { key: caKey, certificate: issueCertificate({ commonName: 'hooks', isCa: true, ...validity }, caKey) };
  const key = await makeKey();
  const certificate = issueCertificate(
    { commonName: 'hook', altNames: ['127.0.0.1'], usages: ['serverAuth'], ...validity },
    key,
    ca,
  );
  caBundle = Buffer.from(certificatePem(ca.certificate)).toString('base64');
  server = createServer({ key: privateKeyPem(key), cert: certificatePem(certificate) }, (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.once('end', () => {
      const path = new URL(req.url ?? '', 'https://x').pathname;
      const review = JSON.parse(Buffer.concat(chunks).toString()) as { request: Request };
      asked.push([path, review.request]);
      const { allowed = true, patch, warnings, message } = hooks.get(path)?.(review.request) ?? {};
      const response = {
        uid: review.request.uid,
        allowed,
        ...(warnings ? { warnings } : {}),
        ...(message ? { status: { message, code: 403, reason: 'Forbidden' } } : {}),
        ...(patch ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') } : {}),
      };
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', response }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  await startWebhooks();
  plane = await startControlPlane();
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  await client.resource(serviceAccounts).create({ metadata: { namespace: 'default', name: 'default' } });
});
afterAll(async () => {
  client.close();
  server.close();
  await plane.stop();
});

const part = <T>(object: UnknownObject | null, name: string): T => object?.[name] as T;

const configurations = (sort: 'mutating' | 'validating'): ResourceType<UnknownObject> => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: `${sort}webhookconfigurations`,
  kind: sort === 'mutating' ? 'MutatingWebhookConfiguration' : 'ValidatingWebhookConfiguration',
  namespaced: false,
});
const made: ['mutating' | 'validating', string][] = [];

/** A consistent list: what was written before is in the server's memory. */
const isKnown = (sort: 'mutating' | 'validating') => client.dynamic(configurations(sort)).list();

/** Configures one webhook for config maps and pods; it is in force when this resolves. */
async function configure(
  sort: 'mutating' | 'validating',
  name: string,
  hook: Hook,
  change: object = {},
): Promise<void> {
  hooks.set(`/${name}`, hook);
  const webhook = {
    name: `${name}.example.com`,
    clientConfig: { url: `${url}/${name}`, caBundle },
    rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps', 'pods'] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...change,
  };
  await client.dynamic(configurations(sort)).create({ metadata: { name }, webhooks: [webhook] });
  made.push([sort, name]);
  await isKnown(sort);
}

const removeAll = async () => {
  for (const [sort, name] of made.splice(0)) await client.dynamic(configurations(sort)).delete({ name });
  await Promise.all([isKnown('mutating'), isKnown('validating')]);
};

afterEach(async () => {
  await removeAll();
  asked.length = 0;
});

const create = (name: string, more: object = {}) =>
  client.resource(configMaps).create({ metadata: { namespace: 'default', name }, data: { a: 'b' }, ...more });

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ApiError) return `${error.code} ${error.status.message}`;
    throw error;
  }
  return 'allowed';
}

describe('a mutating webhook', () => {
  it('changes what is written', async () => {
    await configure('mutating', 'label', () => ({
      patch: [{ op: 'add', path: '/metadata/labels', value: { by: 'hook' } }],
    }));
    expect((await create('labelled')).metadata?.labels).toEqual({ by: 'hook' });
    expect(asked[0]?.[1]).toMatchObject({
      operation: 'CREATE',
      oldObject: null,
      dryRun: false,
      object: { kind: 'ConfigMap' },
    });
  });

  it('adds containers that get what the server adds to all', async () => {
    await configure('mutating', 'inject', ({ object }) => {
      const { containers } = part<{ containers: { name: string }[] }>(object, 'spec');
      if (containers.some(({ name }) => name === 'side')) return {};
      return { patch: [{ op: 'add', path: '/spec/containers/-', value: { name: 'side', image: 'example.com/side' } }] };
    });
    const pod = await client.resource(pods).create({
      metadata: { namespace: 'default', name: 'injected' },
      spec: { containers: [{ name: 'main', image: 'example.com/main' }] },
    });
    expect(pod.spec?.containers.map(({ name, imagePullPolicy }) => [name, imagePullPolicy])).toEqual([
      ['main', 'Always'],
      ['side', 'Always'],
    ]);
    const mounts = pod.spec?.containers.map(({ volumeMounts }) => volumeMounts?.map(({ mountPath }) => mountPath));
    expect(mounts).toEqual([
      ['/var/run/secrets/kubernetes.io/serviceaccount'],
      ['/var/run/secrets/kubernetes.io/serviceaccount'],
    ]);
  });

  it('is asked again when a later one has changed the object', async () => {
    const append =
      (mark: string): Hook =>
      ({ object }) => ({
        patch: [
          { op: 'add', path: '/data/marks', value: `${part<{ marks?: string }>(object, 'data').marks ?? ''}${mark}` },
        ],
      });
    await configure('mutating', 'a-first', append('1'), { reinvocationPolicy: 'IfNeeded' });
    await configure('mutating', 'b-second', append('2'));
    expect((await create('marked')).data?.['marks']).toBe('121');
  });
});

describe('a validating webhook', () => {
  it('refuses, and is told of updates and deletions', async () => {
    await configure('validating', 'no-bad', ({ object, operation }) =>
      operation === 'DELETE' || part<{ bad?: string }>(object, 'data').bad
        ? { allowed: false, message: 'that is bad' }
        : { warnings: ['look out'] },
    );
    const denied = '403 admission webhook "no-bad.example.com" denied the request: that is bad';
    expect(await refusal(create('bad', { data: { bad: 'yes' } }))).toBe(denied);
    const good = await create('good');
    expect(await refusal(client.resource(configMaps).update({ ...good, data: { bad: 'now' } }))).toBe(denied);
    expect(await refusal(client.resource(configMaps).delete({ namespace: 'default', name: 'good' }))).toBe(denied);
    expect(asked.map(([, { operation }]) => operation)).toEqual(['CREATE', 'CREATE', 'UPDATE', 'DELETE']);
  });

  it('hears only of what it selects', async () => {
    await client.resource(namespaces).create({ metadata: { name: 'watched', labels: { hooks: 'on' } } });
    await configure('validating', 'picky', () => ({ allowed: false }), {
      namespaceSelector: { matchLabels: { hooks: 'on' } },
      matchConditions: [{ name: 'not-free', expression: '!has(object.data.free)' }],
    });
    expect(await refusal(create('elsewhere'))).toBe('allowed');
    const within = { metadata: { namespace: 'watched', name: 'x' } };
    expect(await refusal(create('x', { ...within, data: { free: 'yes' } }))).toBe('allowed');
    expect(await refusal(create('x', { ...within, metadata: { ...within.metadata, name: 'y' } }))).toBe(
      '400 admission webhook "picky.example.com" denied the request without explanation',
    );
  });

  it('that does not answer stops writes, unless its failure is ignored', async () => {
    const clientConfig = { url: 'https://127.0.0.1:1/gone', caBundle };
    await configure('validating', 'gone', () => ({}), { clientConfig });
    expect(await refusal(create('stopped'))).toBe(
      '500 Internal error occurred: failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:1/gone?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
    );
    await removeAll();
    await configure('validating', 'ignored', () => ({}), { clientConfig, failurePolicy: 'Ignore' });
    expect(await refusal(create('passed'))).toBe('allowed');
  });
});

describe('an admission policy', () => {
  const type = (resource: string, kind: string): ResourceType<UnknownObject> => ({
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    resource,
    kind,
    namespaced: false,
  });

  it('decides with its expressions once it is bound', async () => {
    const policies = client.dynamic(type('validatingadmissionpolicies', 'ValidatingAdmissionPolicy'));
    const bindings = client.dynamic(type('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding'));
    await policies.create({
      metadata: { name: 'short' },
      spec: {
        matchConstraints: {
          resourceRules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
        },
        validations: [
          { expression: '!has(object.data) || object.data.all(k, object.data[k].size() < 4)', message: 'too long' },
        ],
      },
    } as UnknownObject);
    expect(await refusal(create('unbound', { data: { a: 'long' } }))).toBe('allowed');
    await bindings.create({
      metadata: { name: 'everywhere' },
      spec: { policyName: 'short', validationActions: ['Deny'] },
    } as UnknownObject);
    await bindings.list();
    expect(await refusal(create('long', { data: { a: 'long' } }))).toBe(
      `422 configmaps "long" is forbidden: ValidatingAdmissionPolicy 'short' with binding 'everywhere' denied request: too long`,
    );
    expect(await refusal(create('brief', { data: { a: 'abc' } }))).toBe('allowed');
  });
});
