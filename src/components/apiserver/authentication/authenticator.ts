/** Who sends a request: client certificate, front proxy, bootstrap token, service account token, or nobody (anonymous). */
import type { IncomingMessage } from 'node:http';
import type { Authenticator, CacheReader, LoopbackClient, UserInfo } from '../types.ts';

/** From kube-apiserver's flags; a part that is absent is off. */
export interface AuthenticationOptions {
  /** `--client-ca-file`; read again when it changes. */
  clientCaFile?: string;
  /** `--requestheader-*`. */
  requestHeader?: {
    clientCaFile: string;
    allowedNames: string[];
    usernameHeaders: string[];
    uidHeaders?: string[];
    groupHeaders: string[];
    extraHeaderPrefixes: string[];
  };
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
}

/**
 * The server must ask for client certificates without refusing bad ones itself
 * (`requestCert: true, rejectUnauthorized: false`): they are checked here.
 */
export function createAuthenticator(options: AuthenticationOptions, _deps: AuthenticationDeps): RequestAuthenticator {
  return {
    clientCaFiles: [options.clientCaFile, options.requestHeader?.clientCaFile].filter((file) => file !== undefined),
    async authenticate(_req: IncomingMessage) {
      return options.anonymous === false ? undefined : { name: 'system:anonymous', groups: ['system:unauthenticated'] };
    },
    async authenticateToken() {
      return undefined;
    },
  };
}
