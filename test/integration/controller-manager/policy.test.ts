/** Certificates, budgets, quotas and token secrets: kube-controller-manager against a real kube-apiserver and etcd. */
import { X509Certificate } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatTime } from '../../../src/machinery/api/time.ts';
import type { CertificateSigningRequest, Pod } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  certificateSigningRequests,
  clusterRoles,
  configMaps,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  pods,
  resourceQuotas,
  secrets,
  serviceAccounts,
  services,
} from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const namespace = 'default';
let plane: ControlPlane;
let client: Client;

async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 20): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await delay(50);
  }
}

beforeAll(async () => {
  plane = await startControlPlane({ components: ['controller-manager'] });
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
  await until('the first default service account', () =>
    client.resource(serviceAccounts).find({ namespace, name: 'default' }),
  );
});

afterAll(async () => {
  client?.close();
  await plane?.stop();
});

/** A certificate request of an independent implementation. */
function requestText(commonName: string, organization: string): string {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const request = forge.pki.createCertificationRequest();
  request.publicKey = keys.publicKey;
  request.setSubject([
    { shortName: 'O', value: organization },
    { shortName: 'CN', value: commonName },
  ]);
  request.sign(keys.privateKey, forge.md.sha256.create());
  return Buffer.from(forge.pki.certificationRequestToPem(request)).toString('base64');
}

describe('certificate signing requests', () => {
  const find = (name: string) => client.resource(certificateSigningRequests).get({ name });
  const conditionsOf = ({ status }: CertificateSigningRequest) =>
    (status?.conditions ?? []).map(({ type, reason, message }) => ({ type, reason, message }));

  test('of kubelets are approved and signed for those who may have them', async () => {
    await client.resource(certificateSigningRequests).create({
      metadata: { name: 'node-a' },
      spec: {
        request: requestText('system:node:a', 'system:nodes'),
        signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
        usages: ['digital signature', 'key encipherment', 'client auth'],
        expirationSeconds: 3600,
      },
    });
    const signed = await until('the certificate', async () => {
      const found = await find('node-a');
      return found.status?.certificate ? found : undefined;
    });
    expect(conditionsOf(signed)).toEqual([
      {
        type: 'Approved',
        reason: 'AutoApproved',
        message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
      },
    ]);
    const certificate = new X509Certificate(Buffer.from(signed.status?.certificate ?? '', 'base64'));
    expect(certificate.subject).toBe('O=system:nodes\nCN=system:node:a');
    expect(Date.parse(certificate.validTo) - Date.now()).toBeLessThanOrEqual(3_600_000);
  });

  test('that their signer cannot sign fail and say why', async () => {
    await client.resource(certificateSigningRequests).create({
      metadata: { name: 'wrong' },
      spec: {
        request: requestText('anybody', 'group'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['digital signature', 'server auth'],
      },
    });
    const open = await find('wrong');
    const now = formatTime();
    const condition = { type: 'Approved', status: 'True', reason: 'Test', message: 'm', lastUpdateTime: now };
    await client
      .resource(certificateSigningRequests)
      .update({ ...open, status: { conditions: [condition] } }, { subresource: 'approval' });
    const failed = await until('the failure', async () => {
      const found = await find('wrong');
      return found.status?.conditions?.some(({ type }) => type === 'Failed') && found;
    });
    expect(conditionsOf(failed)[1]).toEqual({
      type: 'Failed',
      reason: 'SignerValidationFailure',
      message: 'invalid usage for client certificate: server auth',
    });
    expect(failed.status?.certificate).toBeUndefined();
  });
});

describe('policies', () => {
  const pod = (name: string): Pod => ({
    metadata: { namespace, name, labels: { app: 'web' } },
    spec: {
      nodeName: 'nowhere',
      containers: [{ name: 'a', image: 'a', resources: { requests: { cpu: '250m', memory: '1Gi' } } }],
    },
  });
  const status = (name: string, conditions: object[], phase: string) =>
    client
      .resource(pods)
      .patch({ namespace, name }, { status: { phase, conditions } }, { type: 'strategic', subresource: 'status' });

  test('a disruption budget allows what the healthy pods leave over', async () => {
    await client.resource(podDisruptionBudgets).create({
      metadata: { namespace, name: 'web' },
      spec: { minAvailable: 1 as never, selector: { matchLabels: { app: 'web' } } },
    });
    await client.resource(pods).create(pod('one'));
    await client.resource(pods).create(pod('two'));
    const counts = (allowed: number) =>
      until(`${allowed} allowed`, async () => {
        const found = await client.resource(podDisruptionBudgets).get({ namespace, name: 'web' });
        return found.status?.disruptionsAllowed === allowed && found.status.expectedPods === 2 && found.status;
      });
    expect((await counts(0)).conditions?.[0]).toMatchObject({ status: 'False', reason: 'InsufficientPods' });
    for (const name of ['one', 'two'])
      await status(name, [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime() }], 'Running');
    expect(await counts(1)).toMatchObject({ currentHealthy: 2, desiredHealthy: 1, observedGeneration: 1 });
  });

  test('a quota tells what is used, less when things go', async () => {
    await client.resource(resourceQuotas).create({
      metadata: { namespace, name: 'all' },
      spec: {
        hard: { pods: '9', 'requests.cpu': '2', memory: '9Gi', 'services.nodeports': '5', 'count/configmaps': '50' },
      },
    });
    await client.resource(services).create({
      metadata: { namespace, name: 'np' },
      spec: { type: 'NodePort', ports: [{ port: 80 }], selector: { app: 'web' } },
    });
    const used = (wanted: Record<string, string>) =>
      until(JSON.stringify(wanted), async () => {
        const found = (await client.resource(resourceQuotas).get({ namespace, name: 'all' })).status?.used ?? {};
        return Object.entries(wanted).every(([name, value]) => found[name] === value) && found;
      });
    // The service may have come before or after the first count: the change of the quota counts anew.
    await used({ pods: '2', 'requests.cpu': '500m', memory: '2Gi' });
    await client
      .resource(resourceQuotas)
      .patch({ namespace, name: 'all' }, { spec: { hard: { pods: '10' } } }, { type: 'merge' });
    const all = await used({ pods: '2', 'services.nodeports': '1' });
    const before = Number(all['count/configmaps']);
    expect(before).toBe((await client.resource(configMaps).list({ namespace })).items.length);
    await status('two', [], 'Succeeded');
    await client.resource(services).delete({ namespace, name: 'np' });
    await used({ pods: '1', 'requests.cpu': '250m', memory: '1Gi', 'services.nodeports': '0' });
  });

  test('aggregated roles follow the roles they select', async () => {
    const rules = [{ apiGroups: ['test.local'], resources: ['widgets'], verbs: ['get'] }];
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
    await client.resource(clusterRoles).create({ metadata: { name: 'widgets', labels }, rules });
    await until('the rule in view', async () => {
      const view = await client.resource(clusterRoles).get({ name: 'view' });
      return view.rules?.some(({ apiGroups }) => apiGroups?.includes('test.local'));
    });
  });
});

test('a claim is bound to the smallest volume that fits, and stays as long as a pod uses it', async () => {
  const volume = (name: string, storage: string, path = `/srv/${name}`) =>
    client.resource(persistentVolumes).create({
      metadata: { name },
      spec: {
        capacity: { storage },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        persistentVolumeReclaimPolicy: 'Retain',
        hostPath: { path },
      },
    });
  await volume('large', '10Gi');
  await volume('small', '1Gi');
  await volume('medium', '3Gi');
  const phase = async (name: string) => (await client.resource(persistentVolumes).get({ name })).status?.phase;
  for (const name of ['large', 'small', 'medium'])
    await until(`${name} to be available`, async () => (await phase(name)) === 'Available');
  const claimRef = { namespace, name: 'data' };
  await client.resource(persistentVolumeClaims).create({
    metadata: claimRef,
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'manual',
      resources: { requests: { storage: '2Gi' } },
    },
  });
  const bound = await until('the binding', async () => {
    const found = await client.resource(persistentVolumeClaims).get(claimRef);
    return found.status?.phase === 'Bound' ? found : undefined;
  });
  expect(bound.spec?.volumeName).toBe('medium');
  expect(bound.status?.capacity).toEqual({ storage: '3Gi' });
  const volumeNow = await client.resource(persistentVolumes).get({ name: 'medium' });
  expect(volumeNow.status?.phase).toBe('Bound');
  expect(Date.parse(String(volumeNow.status?.lastPhaseTransitionTime))).toBeGreaterThan(Date.now() - 60_000);
  expect(await phase('large')).toBe('Available');

  const user: Pod = {
    metadata: { namespace, name: 'user' },
    spec: {
      nodeName: 'nowhere',
      containers: [{ name: 'a', image: 'a', resources: { requests: { cpu: '1m', memory: '1Mi' } } }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
    },
  };
  await client.resource(pods).create(user);
  await client.resource(persistentVolumeClaims).delete(claimRef);
  expect((await client.resource(persistentVolumeClaims).get(claimRef)).metadata?.deletionTimestamp).toBeDefined();
  await client.resource(pods).delete({ namespace, name: 'user' }, { gracePeriodSeconds: 0 });
  await until('the claim to go', async () => !(await client.resource(persistentVolumeClaims).find(claimRef)));
  await until('the volume to be released', async () => (await phase('medium')) === 'Released');
  await client.resource(persistentVolumes).delete({ name: 'medium' });
  await until('the volume to go', async () => {
    return !(await client.resource(persistentVolumes).find({ name: 'medium' }));
  });
});

test('a token secret gets its token, with which its account is known, and goes with the account', async () => {
  await client.resource(serviceAccounts).create({ metadata: { namespace, name: 'bot' } });
  await client.resource(secrets).create({
    metadata: { namespace, name: 'bot-token', annotations: { 'kubernetes.io/service-account.name': 'bot' } },
    type: 'kubernetes.io/service-account-token',
  });
  const secret = await until('the token', async () => {
    const found = await client.resource(secrets).get({ namespace, name: 'bot-token' });
    return found.data?.token ? found : undefined;
  });
  expect(Object.keys(secret.data ?? {}).sort()).toEqual(['ca.crt', 'namespace', 'token']);
  const { server, caData } = client.config;
  const token = Buffer.from(secret.data?.['token'] ?? '', 'base64').toString();
  const bot = createClient({ server, ...(caData ? { caData } : {}), token });
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = await bot.raw('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    body: JSON.stringify(review),
    headers: { 'content-type': 'application/json' },
  });
  bot.close();
  expect(JSON.parse(answer.body).status.userInfo.username).toBe(`system:serviceaccount:${namespace}:bot`);
  await client.resource(serviceAccounts).delete({ namespace, name: 'bot' });
  await until('the secret to go', async () => {
    return !(await client.resource(secrets).find({ namespace, name: 'bot-token' }));
  });
});
