/** Secrets of type kubernetes.io/service-account-token get a token, the root CA and their namespace, and go with their account. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Secret, ServiceAccount } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { secrets, serviceAccounts } from '../../../machinery/client/resources.ts';
import { keyOf, splitKey } from '../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';

const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';

export const serviceAccountTokens: Controller = {
  name: 'serviceaccount-token-controller',
  // What makes the tokens of all service accounts cannot need one itself.
  serviceAccount: '',
  async run(context) {
    const { client, options, informers } = context;
    if (!options.serviceAccountPrivateKeyFile) return;
    const key = createPrivateKey(await readFile(options.serviceAccountPrivateKeyFile, 'utf8'));
    const rootCa = options.rootCaFile ? await readFile(options.rootCaFile, 'utf8') : '';
    const accounts = informers.informer(serviceAccounts);
    const tokens = informers.informer(secrets, { fieldSelector: 'type=kubernetes.io/service-account-token' });
    const queue = createWorkQueue<string>();
    const add = (secret: Secret) => queue.add(keyOf(secret));
    const addTokensOf = ({ metadata }: ServiceAccount) => {
      for (const secret of tokens.store.list())
        if (
          secret.metadata?.namespace === metadata?.namespace &&
          secret.metadata?.annotations?.[nameAnnotation] === metadata?.name
        )
          add(secret);
    };
    tokens.addHandler({ onAdd: add, onUpdate: (_old, secret) => add(secret) });
    accounts.addHandler({ onAdd: addTokensOf, onDelete: addTokensOf });
    const api = client.resource(secrets);
    await runReconciler(context, {
      queue,
      sources: [accounts, tokens],
      async reconcile(secretKey) {
        const secret = tokens.store.get(secretKey);
        const name = secret?.metadata?.annotations?.[nameAnnotation];
        if (!secret || !name || secret.metadata?.deletionTimestamp) return;
        const { namespace } = splitKey(secretKey);
        const wantedUid = secret.metadata?.annotations?.[uidAnnotation];
        const isOwn = (found: ServiceAccount | undefined) =>
          found && (!wantedUid || found.metadata?.uid === wantedUid) ? found : undefined;
        // A secret may be seen before its account is: only a live look tells that there is none.
        const account =
          isOwn(accounts.store.get(`${namespace}/${name}`)) ??
          isOwn(await client.resource(serviceAccounts).find({ namespace, name }));
        try {
          if (!account) {
            const preconditions = { uid: secret.metadata?.uid ?? '' };
            await api.delete(splitKey(secretKey), { preconditions });
            return;
          }
          const next = filledIn(secret, account, { key, rootCa });
          if (next) await api.update(next);
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};

/** The secret with what it lacks; undefined when it lacks nothing. */
export function filledIn(
  secret: Secret,
  account: ServiceAccount,
  { key, rootCa }: { key: KeyObject; rootCa: string },
): Secret | undefined {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const { namespace = '', name = '' } = secret.metadata ?? {};
  const data = { ...secret.data };
  if (rootCa && data['ca.crt'] !== encode(rootCa)) data['ca.crt'] = encode(rootCa);
  if (!data['namespace']) data['namespace'] = encode(namespace);
  if (!data['token'])
    data['token'] = encode(
      legacyToken(
        { namespace, secret: name, name: account.metadata?.name ?? '', uid: account.metadata?.uid ?? '' },
        key,
      ),
    );
  const annotations = { ...secret.metadata?.annotations, [uidAnnotation]: account.metadata?.uid ?? '' };
  const unchanged =
    secret.metadata?.annotations?.[uidAnnotation] === annotations[uidAnnotation] &&
    Object.entries(data).every(([field, value]) => secret.data?.[field] === value);
  return unchanged ? undefined : { ...secret, metadata: { ...secret.metadata, annotations }, data };
}

/** A token without end, of the issuer `kubernetes/serviceaccount`, as they were before bound tokens. */
export function legacyToken(
  account: { namespace: string; secret: string; name: string; uid: string },
  key: KeyObject,
): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const isEc = key.asymmetricKeyType === 'ec';
  const bits = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 384 : 256;
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const kid = createHash('sha256').update(spki).digest('base64url');
  const claims = {
    iss: 'kubernetes/serviceaccount',
    'kubernetes.io/serviceaccount/namespace': account.namespace,
    'kubernetes.io/serviceaccount/secret.name': account.secret,
    'kubernetes.io/serviceaccount/service-account.name': account.name,
    'kubernetes.io/serviceaccount/service-account.uid': account.uid,
    sub: `system:serviceaccount:${account.namespace}:${account.name}`,
  };
  const signed = `${encode({ alg: isEc ? `ES${bits}` : 'RS256', kid })}.${encode(claims)}`;
  const signature = sign(
    isEc ? `sha${bits}` : 'sha256',
    Buffer.from(signed),
    isEc ? { key, dsaEncoding: 'ieee-p1363' } : key,
  );
  return `${signed}.${signature.toString('base64url')}`;
}
