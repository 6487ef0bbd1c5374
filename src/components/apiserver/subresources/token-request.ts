/** `serviceaccounts/token`: short-lived tokens, bound to a pod, a secret or a node. */
import { randomUUID } from 'node:crypto';
import type { Pod, ServiceAccount, UnknownObject } from '../../../machinery/api/types.ts';
import type { ServiceAccountOptions } from '../authentication/authenticator.ts';
import { reloadingFile } from '../authentication/reloading-file.ts';
import { signJwt } from '../authentication/service-account/jwt.ts';
import { readSigningKey, type SigningKey } from '../authentication/service-account/keys.ts';
import type { BoundClaim } from '../authentication/service-account/verify.ts';
import { badRequest, conflict, type FieldError, invalid, notFound } from '../errors.ts';
import type { CacheReader, GroupResource, LoopbackClient } from '../types.ts';
import type { VirtualRequest, VirtualResource } from './virtual-resources.ts';

interface TokenRequestSpec {
  audiences?: string[];
  expirationSeconds?: number;
  boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
}

/** Tokens of this lifetime are those that the kubelet asks for pods: they live longer than asked, for old clients. */
const podTokenSeconds = 60 * 60 + 7;
const extendedSeconds = 365 * 24 * 60 * 60;
const defaultSeconds = 60 * 60;
const minSeconds = 10 * 60;
const maxSeconds = 2 ** 32;

export function tokenRequest(
  options: ServiceAccountOptions,
  deps: { cache: CacheReader; loopback: LoopbackClient },
): VirtualResource {
  const file = options.signingKeyFile;
  let signingKey: (() => SigningKey) | undefined;
  const issuer = options.issuers[0] ?? '';
  const apiAudiences = options.apiAudiences.length ? options.apiAudiences : options.issuers;
  return {
    group: '',
    resource: 'serviceaccounts',
    subresource: 'token',
    async create(request) {
      if (!file) throw new Error('no --service-account-signing-key-file given');
      signingKey ??= reloadingFile(file, () => readSigningKey(file));
      const spec = (request.object['spec'] ?? {}) as TokenRequestSpec;
      const account = await findAccount(deps, request);
      validate(spec, request.name);
      const audiences = spec.audiences?.length ? spec.audiences : apiAudiences;
      const bound = await boundObjects(deps, request, spec, account);
      const asked = Math.min(spec.expirationSeconds ?? defaultSeconds, options.maxExpirationSeconds || maxSeconds);
      const now = Math.floor(Date.now() / 1000);
      const extend =
        options.extendExpiration !== false &&
        bound.pod !== undefined &&
        asked === podTokenSeconds &&
        audiences.every((audience) => apiAudiences.includes(audience));
      const exp = now + (extend ? extendedSeconds : asked);
      const token = signJwt(
        {
          aud: audiences,
          exp,
          iat: now,
          iss: issuer,
          jti: randomUUID(),
          'kubernetes.io': { ...bound, ...(extend ? { warnafter: now + asked } : {}) },
          nbf: now,
          sub: `system:serviceaccount:${request.namespace}:${request.name}`,
        },
        signingKey(),
      );
      const stated = new Date((now + asked) * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
      return {
        ...request.object,
        metadata: {
          name: request.name,
          namespace: request.namespace,
          creationTimestamp: new Date(now * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
        },
        spec: { ...spec, audiences, expirationSeconds: asked, boundObjectRef: spec.boundObjectRef ?? null },
        status: { token, expirationTimestamp: stated },
      };
    },
  };
}

type Deps = { cache: CacheReader; loopback: LoopbackClient };

async function find(
  { cache, loopback }: Deps,
  resource: GroupResource,
  namespace: string,
  name: string,
): Promise<UnknownObject | undefined> {
  return cache.get(resource, namespace, name) ?? (await loopback.get(resource, namespace, name));
}

async function findAccount(deps: Deps, { namespace, name }: VirtualRequest): Promise<ServiceAccount> {
  const account = await find(deps, { group: '', resource: 'serviceaccounts' }, namespace, name);
  if (!account) throw notFound('', 'serviceaccounts', name);
  return account as ServiceAccount;
}

function validate(spec: TokenRequestSpec, name: string): void {
  const errors: FieldError[] = [];
  const seconds = spec.expirationSeconds;
  if (seconds !== undefined && seconds < minSeconds)
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.expirationSeconds',
      message: `Invalid value: ${seconds}: may not specify a duration less than 10 minutes`,
    });
  if (seconds !== undefined && seconds > maxSeconds)
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.expirationSeconds',
      message: `Invalid value: ${seconds}: may not specify a duration larger than 2^32 seconds`,
    });
  if (errors.length) throw invalid('authentication.k8s.io', 'TokenRequest', name, errors);
}

async function boundObjects(
  deps: Deps,
  { namespace, name }: VirtualRequest,
  { boundObjectRef: ref }: TokenRequestSpec,
  account: ServiceAccount,
): Promise<BoundClaim> {
  const claim: BoundClaim = { namespace, serviceaccount: { name, uid: account.metadata?.uid ?? '' } };
  if (!ref) return claim;
  const kind = ref.apiVersion === 'v1' ? { Pod: 'pods', Secret: 'secrets', Node: 'nodes' }[ref.kind ?? ''] : undefined;
  if (!kind) {
    const message = `cannot bind token to object of type ${ref.apiVersion ?? ''}, Kind=${ref.kind ?? ''}`;
    throw badRequest(message);
  }
  const object = await find(deps, { group: '', resource: kind }, kind === 'nodes' ? '' : namespace, ref.name ?? '');
  if (!object) throw notFound('', kind, ref.name ?? '');
  const uid = object.metadata?.uid ?? '';
  if (ref.uid && ref.uid !== uid)
    throw conflict(
      '',
      kind,
      ref.name ?? '',
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  const of = { name: ref.name ?? '', uid };
  if (kind === 'secrets') return { ...claim, secret: of };
  if (kind === 'nodes') return { ...claim, node: of };
  return { ...claim, pod: of, ...(await nodeOfPod(deps, object as Pod, name)) };
}

async function nodeOfPod(deps: Deps, pod: Pod, account: string): Promise<Pick<BoundClaim, 'node'>> {
  if (pod.spec?.serviceAccountName !== account) {
    const message = `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`;
    throw badRequest(message);
  }
  const { nodeName } = pod.spec;
  if (!nodeName) return {};
  const node = await find(deps, { group: '', resource: 'nodes' }, '', nodeName);
  const uid = node?.metadata?.uid;
  return { node: { name: nodeName, ...(uid ? { uid } : {}) } };
}
