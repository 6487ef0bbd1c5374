/** ServiceAccount: every pod runs as a service account of its namespace and gets that account's token mounted. */
import { setTimeout as delay } from 'node:timers/promises';
import { randomSuffix } from '../../../../machinery/api/names.ts';
import type { Container, Pod, ServiceAccount, Volume } from '../../../../machinery/api/types.ts';
import type { AdmissionAttributes } from '../../types.ts';
import { type AdmissionDeps, isMirrorPod, nameOf, onOperations, type PluginFactory, podOf, refuse } from '../plugin.ts';

export const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
/** Asked of the API server, which knows this number: such tokens may live on for clients that do not re-read them. */
const tokenExpirationSeconds = 60 * 60 + 7;
const accounts = { group: '', resource: 'serviceaccounts' };

export const serviceAccount: PluginFactory = (deps) => ({
  name: 'ServiceAccount',
  handles: onOperations('CREATE', 'UPDATE'),
  async admit(attributes) {
    const pod = podOf(attributes);
    // The kubelet deletes a mirror pod whose spec is not the one it sent.
    if (!pod?.spec || attributes.operation !== 'CREATE' || isMirrorPod(pod)) return;
    const { spec } = pod;
    spec.serviceAccountName ||= 'default';
    spec.serviceAccount = spec.serviceAccountName;
    const account = await findAccount(deps, attributes, spec.serviceAccountName);
    if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(pod);
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
      spec.imagePullSecrets = structuredClone(account.imagePullSecrets);
  },
  async validate(attributes) {
    const pod = podOf(attributes);
    if (!pod?.spec || attributes.operation !== 'CREATE') return;
    if (isMirrorPod(pod)) {
      const problem = mirrorProblem(pod);
      if (problem) throw refuse(attributes, problem);
      return;
    }
    if (!pod.spec.serviceAccountName)
      throw refuse(attributes, `no service account specified for pod ${attributes.namespace}/${nameOf(attributes)}`);
    const account = await findAccount(deps, attributes, pod.spec.serviceAccountName);
    if (account.metadata?.annotations?.['kubernetes.io/enforce-mountable-secrets'] !== 'true') return;
    const problem = unmountableSecret(pod, account);
    if (problem) throw refuse(attributes, problem);
  },
});

/** The default account of a namespace made a moment ago may still be on its way. */
async function findAccount(
  { cache, loopback }: AdmissionDeps,
  attributes: AdmissionAttributes,
  name: string,
): Promise<ServiceAccount> {
  const attempts = name === 'default' ? 10 : 1;
  const known = cache.get(accounts, attributes.namespace, name);
  if (known) return known as ServiceAccount;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt) await delay(100);
    const account = await loopback.get(accounts, attributes.namespace, name);
    if (account) return account as ServiceAccount;
  }
  throw refuse(
    attributes,
    `error looking up service account ${attributes.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
  );
}

/** Adds the token volume where at least one container has nothing mounted at the well-known path. */
export function mountToken(pod: Pod): void {
  const spec = pod.spec;
  if (!spec) return;
  const existing = spec.volumes?.find(({ name, projected }) => name.startsWith(volumePrefix) && projected);
  const name = existing?.name ?? `${volumePrefix}${randomSuffix()}`;
  let mounted = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers] satisfies Container[]) {
    if (container.volumeMounts?.some(({ mountPath }) => mountPath === tokenMountPath)) continue;
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath: tokenMountPath }];
    mounted = true;
  }
  if (mounted && !existing) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

const tokenVolume = (name: string): Volume => ({
  name,
  projected: {
    sources: [
      { serviceAccountToken: { expirationSeconds: tokenExpirationSeconds, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
    defaultMode: 0o644,
  },
});

function mirrorProblem(pod: Pod): string | undefined {
  if (pod.spec?.serviceAccountName) return 'a mirror pod may not reference service accounts';
  if (secretNames(pod).length) return 'a mirror pod may not reference secrets';
  const sources = (pod.spec?.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  if (sources.some(({ serviceAccountToken }) => serviceAccountToken))
    return 'a mirror pod may not use ServiceAccountToken volume projections';
  return undefined;
}

function secretNames(pod: Pod): string[] {
  const { spec } = pod;
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return [
    ...(spec?.volumes ?? []).map(({ secret }) => secret?.secretName),
    ...containers.flatMap(({ env }) => (env ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef?.name)),
    ...containers.flatMap(({ envFrom }) => (envFrom ?? []).map(({ secretRef }) => secretRef?.name)),
    ...(spec?.imagePullSecrets ?? []).map(({ name }) => name),
  ].filter((name) => name !== undefined && name !== '') as string[];
}

function unmountableSecret(pod: Pod, account: ServiceAccount): string | undefined {
  const mountable = new Set((account.secrets ?? []).map(({ name }) => name));
  const pullable = new Set((account.imagePullSecrets ?? []).map(({ name }) => name));
  const accountName = account.metadata?.name ?? '';
  for (const { secret } of pod.spec?.volumes ?? [])
    if (secret && !mountable.has(secret.secretName))
      return `volume with secret.secretName=${JSON.stringify(secret.secretName)} is not allowed because service account ${accountName} does not reference that secret`;
  for (const { name: container, env } of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])])
    for (const { name: variable, valueFrom } of env ?? []) {
      const secret = valueFrom?.secretKeyRef?.name;
      if (secret && !mountable.has(secret))
        return `container ${container} with envVar ${variable} referencing secret.secretName=${JSON.stringify(secret)} is not allowed because service account ${accountName} does not reference that secret`;
    }
  for (const [index, { name }] of (pod.spec?.imagePullSecrets ?? []).entries())
    if (!pullable.has(name))
      return `imagePullSecrets[${index}].name=${JSON.stringify(name)} is not allowed because service account ${accountName} does not reference that imagePullSecret`;
  return undefined;
}
