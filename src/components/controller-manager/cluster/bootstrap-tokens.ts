/** Bootstrap tokens: the signatures of cluster-info that they make, and the removal of those that have expired. */
import { createHmac } from 'node:crypto';
import type { ConfigMap, Secret } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { configMaps, secrets } from '../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';

const namePrefix = 'bootstrap-token-';
const signaturePrefix = 'jws-kubeconfig-';
const clusterInfo = { namespace: 'kube-public', name: 'cluster-info' };

const tokenInformer = (context: ControllerContext) =>
  context.informers.informer(secrets, {
    namespace: 'kube-system',
    fieldSelector: 'type=bootstrap.kubernetes.io/token',
  });

export const decoded = (secret: Secret, field: string): string =>
  Buffer.from(secret.data?.[field] ?? '', 'base64').toString('utf8');

/** Milliseconds until the token expires; undefined when never. A time that cannot be read counts as passed. */
export function expiresIn(secret: Secret, now: number): number | undefined {
  const expiration = decoded(secret, 'expiration');
  if (!expiration) return undefined;
  const at = Date.parse(expiration);
  return Number.isNaN(at) ? 0 : at - now;
}

/** Id and secret of a token that may sign cluster-info. */
export function signingToken(secret: Secret, now: number): { id: string; secret: string } | undefined {
  const name = secret.metadata?.name ?? '';
  if (!name.startsWith(namePrefix) || secret.metadata?.deletionTimestamp) return undefined;
  const id = decoded(secret, 'token-id');
  const key = decoded(secret, 'token-secret');
  if (!id || name !== namePrefix + id || !key) return undefined;
  if (decoded(secret, 'usage-bootstrap-signing') !== 'true') return undefined;
  const left = expiresIn(secret, now);
  return left !== undefined && left <= 0 ? undefined : { id, secret: key };
}

/** A detached JWS (RFC 7515, appendix F) with HMAC-SHA256. */
export function detachedSignature(content: string, id: string, secret: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: id })).toString('base64url');
  const payload = Buffer.from(content).toString('base64url');
  return `${header}..${createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')}`;
}

/** The data that cluster-info should have: one signature per token, none of tokens that are gone. */
export function signedData(map: ConfigMap, tokens: Secret[], now: number): Record<string, string> | undefined {
  const content = map.data?.['kubeconfig'];
  if (content === undefined) return undefined;
  const kept = Object.entries(map.data ?? {}).filter(([key]) => !key.startsWith(signaturePrefix));
  const signatures = tokens.flatMap((token) => {
    const signing = signingToken(token, now);
    return signing
      ? [[signaturePrefix + signing.id, detachedSignature(content, signing.id, signing.secret)] as const]
      : [];
  });
  return Object.fromEntries([...kept, ...signatures]);
}

export const bootstrapSigner: Controller = {
  name: 'bootstrap-signer-controller',
  serviceAccount: 'bootstrap-signer',
  async run(context) {
    const mapInformer = context.informers.informer(configMaps, {
      namespace: clusterInfo.namespace,
      fieldSelector: `metadata.name=${clusterInfo.name}`,
    });
    const tokens = tokenInformer(context);
    const queue = createWorkQueue<string>();
    const ask = () => queue.add('cluster-info');
    const handler = { onAdd: ask, onUpdate: ask, onDelete: ask };
    mapInformer.addHandler(handler);
    tokens.addHandler(handler);
    await runReconciler(context, {
      queue,
      sources: [mapInformer, tokens],
      async reconcile() {
        const map = mapInformer.store.get(`${clusterInfo.namespace}/${clusterInfo.name}`);
        const data = map && signedData(map, tokens.store.list(), Date.now());
        if (!map || !data || sameData(map.data, data)) return;
        await context.client.resource(configMaps).update({ ...map, data });
      },
    });
  },
};

const sameData = (a: Record<string, string> | undefined, b: Record<string, string>): boolean =>
  Object.keys(a ?? {}).length === Object.keys(b).length &&
  Object.entries(b).every(([key, value]) => a?.[key] === value);

export const tokenCleaner: Controller = {
  name: 'token-cleaner-controller',
  serviceAccount: 'token-cleaner',
  async run(context) {
    const tokens = tokenInformer(context);
    const queue = createWorkQueue<string>();
    const add = ({ metadata }: Secret) => queue.add(`${metadata?.namespace}/${metadata?.name}`);
    tokens.addHandler({ onAdd: add, onUpdate: (_old, token) => add(token) });
    await runReconciler(context, {
      queue,
      sources: [tokens],
      async reconcile(key) {
        const token = tokens.store.get(key);
        const left = token && expiresIn(token, Date.now());
        if (!token || left === undefined) return;
        if (left > 0) {
          queue.addAfter(key, left);
          return;
        }
        const { namespace = '', name = '', uid = '' } = token.metadata ?? {};
        try {
          await context.client.resource(secrets).delete({ namespace, name }, { preconditions: { uid } });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};
