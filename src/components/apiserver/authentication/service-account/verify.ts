/** Service account tokens: signature, issuer, audiences, times, and that everything they are bound to still exists. */
import type { Secret, UnknownObject } from '../../../../machinery/api/types.ts';
import type { CacheReader, GroupResource, LoopbackClient, UserInfo } from '../../types.ts';
import type { TokenIdentity } from '../authenticator.ts';
import { credentialIdKey } from '../client-certificate.ts';
import { isSignedByOneOf, type JwtClaims, parseJwt } from './jwt.ts';
import type { VerificationKey } from './keys.ts';

export const legacyIssuer = 'kubernetes/serviceaccount';
/** Clocks differ, and a deleted object's token must last until its pod has ended. */
const leewaySeconds = 60;

interface ObjectClaim {
  name: string;
  uid: string;
}
/** The private `kubernetes.io` claim of bound tokens. */
export interface BoundClaim {
  namespace?: string;
  serviceaccount?: ObjectClaim;
  pod?: ObjectClaim;
  secret?: ObjectClaim;
  node?: { name: string; uid?: string };
  warnafter?: number;
}

export interface TokenVerifierOptions {
  keys: VerificationKey[];
  issuers: string[];
  apiAudiences: string[];
  /** Whether the service account and the like must exist. */
  lookup: boolean;
}

export interface TokenVerifierDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
}

/** undefined: not a token of one of our issuers. Throws for one of ours that is not valid. */
export async function verifyServiceAccountToken(
  token: string,
  audiences: string[],
  options: TokenVerifierOptions,
  deps: TokenVerifierDeps,
  now: Date,
): Promise<TokenIdentity | undefined> {
  const jwt = parseJwt(token);
  const issuer = jwt?.claims.iss;
  const legacy = issuer === legacyIssuer;
  if (!jwt || !issuer || (!legacy && !options.issuers.includes(issuer))) return undefined;
  if (!isSignedByOneOf(jwt, options.keys)) throw new Error('invalid signature');
  const wanted = audiences.length ? audiences : options.apiAudiences;
  if (legacy) return verifyLegacy(token, jwt.claims, wanted, options, deps, now);
  checkTimes(jwt.claims, now);
  const meant = [jwt.claims.aud ?? []].flat();
  const common = wanted.filter((audience) => meant.includes(audience));
  if (common.length === 0)
    throw new Error(
      `token audiences ${JSON.stringify(meant)} is invalid for the target audiences ${JSON.stringify(wanted)}`,
    );
  const bound = (jwt.claims['kubernetes.io'] ?? {}) as BoundClaim;
  const { namespace, serviceaccount } = bound;
  if (
    !namespace ||
    !serviceaccount?.name ||
    jwt.claims.sub !== `system:serviceaccount:${namespace}:${serviceaccount.name}`
  )
    throw new Error('subject does not match the private claim');
  if (options.lookup) await checkBoundObjects(bound, deps, now);
  return { user: userOfClaims(jwt.claims, bound, namespace, serviceaccount), audiences: common };
}

function checkTimes({ exp, nbf, iat }: JwtClaims, now: Date): void {
  const seconds = now.getTime() / 1000;
  if (exp === undefined || seconds - leewaySeconds > exp) throw new Error('service account token has expired');
  if (seconds + leewaySeconds < Math.max(nbf ?? 0, iat ?? 0)) throw new Error('service account token is not valid yet');
}

async function checkBoundObjects(bound: BoundClaim, deps: TokenVerifierDeps, now: Date): Promise<void> {
  const { namespace = '', serviceaccount, pod, secret, node } = bound;
  await mustExist('serviceaccounts', namespace, serviceaccount, 'service account', deps, now);
  await mustExist('secrets', namespace, secret, 'secret', deps, now);
  await mustExist('pods', namespace, pod, 'pod', deps, now);
  // The node of a pod-bound token is information only.
  if (node?.uid && !pod) await mustExist('nodes', '', { name: node.name, uid: node.uid }, 'node', deps, now);
}

async function mustExist(
  resource: string,
  namespace: string,
  claim: ObjectClaim | undefined,
  what: string,
  { cache, loopback }: TokenVerifierDeps,
  now: Date,
): Promise<void> {
  if (!claim) return;
  const of: GroupResource = { group: '', resource };
  const matches = (object: UnknownObject | undefined) => object?.metadata?.uid === claim.uid;
  let object = cache.get(of, namespace, claim.name);
  // The cache may not have seen yet what was created a moment ago.
  if (!matches(object)) object = await loopback.get(of, namespace, claim.name);
  if (!object) throw new Error(`${what} ${claim.name} has been deleted`);
  if (!matches(object)) throw new Error(`${what} UID (${object.metadata?.uid}) does not match claim (${claim.uid})`);
  const deletedAt = Date.parse(object.metadata?.deletionTimestamp ?? '');
  if (deletedAt < now.getTime() - leewaySeconds * 1000) throw new Error(`${what} ${claim.name} has been deleted`);
}

function userOfClaims(claims: JwtClaims, { pod, node }: BoundClaim, namespace: string, account: ObjectClaim): UserInfo {
  const extra: Record<string, string[]> = {};
  const add = (key: string, value: string | undefined) => {
    if (value) extra[`authentication.kubernetes.io/${key}`] = [value];
  };
  if (claims.jti) extra[credentialIdKey] = [`JTI=${claims.jti}`];
  add('pod-name', pod?.name);
  add('pod-uid', pod?.uid);
  add('node-name', node?.name);
  add('node-uid', node?.uid);
  return { ...serviceAccountUser(namespace, account.name, account.uid), extra };
}

export function serviceAccountUser(namespace: string, name: string, uid: string): UserInfo {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    ...(uid ? { uid } : {}),
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
  };
}

/** Tokens without expiry that lie in Secrets of type kubernetes.io/service-account-token. */
async function verifyLegacy(
  token: string,
  claims: JwtClaims,
  wanted: string[],
  options: TokenVerifierOptions,
  deps: TokenVerifierDeps,
  now: Date,
): Promise<TokenIdentity> {
  const claim = (name: string) => {
    const value = claims[`kubernetes.io/serviceaccount/${name}`];
    return typeof value === 'string' ? value : '';
  };
  const namespace = claim('namespace');
  const account = { name: claim('service-account.name'), uid: claim('service-account.uid') };
  if (claims.sub !== `system:serviceaccount:${namespace}:${account.name}`)
    throw new Error('subject does not match the private claim');
  // Legacy tokens are meant for the API server alone.
  const common = wanted.filter((audience) => options.apiAudiences.includes(audience));
  if (wanted.length && common.length === 0) throw new Error('token audiences is invalid for the target audiences');
  if (options.lookup) {
    await mustExist('serviceaccounts', namespace, account, 'service account', deps, now);
    const secret = deps.cache.get({ group: '', resource: 'secrets' }, namespace, claim('secret.name')) as
      | Secret
      | undefined;
    if (Buffer.from(secret?.data?.['token'] ?? '', 'base64').toString('utf8') !== token)
      throw new Error('service account token has been invalidated');
  }
  return { user: serviceAccountUser(namespace, account.name, account.uid), audiences: common };
}
