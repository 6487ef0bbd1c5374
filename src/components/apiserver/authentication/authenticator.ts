/** Who sends a request: client certificate, front proxy, bootstrap token, service account token, or nobody (anonymous). */
import type { IncomingMessage } from 'node:http';
import { unauthorized } from '../errors.ts';
import type { Authenticator, CacheReader, LoopbackClient, UserInfo } from '../types.ts';
import { bootstrapUser } from './bootstrap-token.ts';
import {
  type CertificateAuthenticator,
  createFrontProxyAuthenticator,
  createX509Authenticator,
  type RequestHeaderOptions,
} from './client-certificate.ts';
import { readVerificationKeys } from './service-account/keys.ts';
import { verifyServiceAccountToken } from './service-account/verify.ts';
import { TokenCache } from './token-cache.ts';
import { createTokenFileAuthenticator } from './token-file.ts';

/** From kube-apiserver's flags; a part that is absent is off. */
export interface AuthenticationOptions {
  /** `--client-ca-file`; read again when it changes. */
  clientCaFile?: string;
  /** `--requestheader-*`. */
  requestHeader?: RequestHeaderOptions;
  /** `--enable-bootstrap-token-auth`. */
  bootstrapTokens?: boolean;
  /** `--token-auth-file` (CSV: token,user,uid,"group1,group2"). */
  tokenAuthFile?: string;
  serviceAccount?: ServiceAccountOptions;
  /** `--anonymous-auth`, true unless told. */
  anonymous?: boolean;
}

export interface ServiceAccountOptions {
  /** `--service-account-key-file` (public or private PEM); the signing key's when empty. */
  keyFiles: string[];
  /** `--service-account-signing-key-file`. */
  signingKeyFile?: string;
  /** `--service-account-issuer`; the first one signs. */
  issuers: string[];
  /** `--api-audiences`; the issuers when empty. */
  apiAudiences: string[];
  /** `--service-account-lookup`, true unless told. */
  lookup?: boolean;
  /** `--service-account-max-token-expiration`, in seconds. */
  maxExpirationSeconds?: number;
  /** `--service-account-extend-token-expiration`, true unless told. */
  extendExpiration?: boolean;
  /** `--service-account-jwks-uri`. */
  jwksUri?: string;
}

export interface TokenIdentity {
  user: UserInfo;
  /** Those of the asked audiences that the token is meant for; absent for tokens that know no audience. */
  audiences?: string[];
}

/** What TokenReview asks besides the requests themselves. */
export interface RequestAuthenticator extends Authenticator {
  /** undefined: no authenticator knows this token. Throws with the reason for a token that is known but wrong. */
  authenticateToken(token: string, audiences: string[]): Promise<TokenIdentity | undefined>;
  /** PEM files of certificate authorities to name in the TLS handshake (`tls.Server` option `ca`). */
  clientCaFiles: string[];
}

export interface AuthenticationDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
  /** Told how many seconds a user's certificate has left. */
  observeCertificate?: (secondsLeft: number) => void;
}

type TokenAuthenticator = (token: string, audiences: string[]) => Promise<TokenIdentity | undefined>;

const allAuthenticated = 'system:authenticated';
const allUnauthenticated = 'system:unauthenticated';
const tokenCacheMs = 10_000;

/**
 * The server must ask for client certificates without refusing bad ones itself
 * (`requestCert: true, rejectUnauthorized: false`): they are checked here.
 */
export function createAuthenticator(options: AuthenticationOptions, deps: AuthenticationDeps): RequestAuthenticator {
  const certificates: CertificateAuthenticator[] = [];
  if (options.requestHeader) certificates.push(createFrontProxyAuthenticator(options.requestHeader));
  if (options.clientCaFile) certificates.push(createX509Authenticator(options.clientCaFile, deps.observeCertificate));
  const tokens = tokenAuthenticators(options, deps);
  const known = new TokenCache(tokenCacheMs);

  const authenticateToken: TokenAuthenticator = async (token, audiences) => {
    const identity = await known.get(token, audiences, () => firstIdentity(tokens, token, audiences));
    return identity && { ...identity, user: asAuthenticated(identity.user) };
  };

  return {
    clientCaFiles: [options.clientCaFile, options.requestHeader?.clientCaFile].filter((file) => file !== undefined),
    authenticateToken,
    async authenticate(req) {
      let failed = false;
      for (const authenticate of certificates) {
        try {
          const user = authenticate(req);
          if (user) return asAuthenticated(user);
        } catch {
          // Wrong for one authority may be right for the next, or come with a good token.
          failed = true;
        }
      }
      const token = bearerToken(req);
      if (token !== undefined) {
        const identity = await authenticateToken(token, []).catch(() => undefined);
        if (identity) return identity.user;
        throw unauthorized();
      }
      if (failed) throw unauthorized();
      return options.anonymous === false ? undefined : { name: 'system:anonymous', groups: [allUnauthenticated] };
    },
  };
}

function tokenAuthenticators(options: AuthenticationOptions, deps: AuthenticationDeps): TokenAuthenticator[] {
  const list: TokenAuthenticator[] = [];
  if (options.tokenAuthFile) {
    const find = createTokenFileAuthenticator(options.tokenAuthFile);
    list.push(async (token) => withUser(find(token)));
  }
  if (options.serviceAccount) {
    const { keyFiles, signingKeyFile, issuers, apiAudiences, lookup } = options.serviceAccount;
    const files = keyFiles.length ? keyFiles : signingKeyFile ? [signingKeyFile] : [];
    const verifier = {
      keys: files.flatMap(readVerificationKeys),
      issuers,
      apiAudiences: apiAudiences.length ? apiAudiences : issuers,
      lookup: lookup !== false,
    };
    list.push((token, audiences) => verifyServiceAccountToken(token, audiences, verifier, deps, new Date()));
  }
  if (options.bootstrapTokens) list.push(async (token) => withUser(bootstrapUser(token, deps.cache, new Date())));
  return list;
}

const withUser = (user: UserInfo | undefined): TokenIdentity | undefined => user && { user };

/** The first that knows the token; an error counts only when nobody does. */
async function firstIdentity(
  authenticators: TokenAuthenticator[],
  token: string,
  audiences: string[],
): Promise<TokenIdentity | undefined> {
  const errors: string[] = [];
  for (const authenticate of authenticators) {
    try {
      const identity = await authenticate(token, audiences);
      if (identity) return identity;
    } catch (error) {
      errors.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (errors.length) throw new Error(errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`);
  return undefined;
}

function asAuthenticated(user: UserInfo): UserInfo {
  if (user.groups.includes(allAuthenticated) || user.groups.includes(allUnauthenticated)) return user;
  return { ...user, groups: [...user.groups, allAuthenticated] };
}

export const webSocketTokenPrefix = 'base64url.bearer.authorization.k8s.io.';

/** From the Authorization header, or, for browsers' WebSockets, from the offered sub-protocols. */
export function bearerToken(req: IncomingMessage): string | undefined {
  const [scheme = '', token = ''] = (req.headers.authorization ?? '').trim().split(/ +/);
  if (scheme.toLowerCase() === 'bearer' && token) return token;
  for (const protocol of (req.headers['sec-websocket-protocol'] ?? '').split(',').map((text) => text.trim()))
    if (protocol.startsWith(webSocketTokenPrefix))
      return Buffer.from(protocol.slice(webSocketTokenPrefix.length), 'base64url').toString('utf8');
  return undefined;
}
