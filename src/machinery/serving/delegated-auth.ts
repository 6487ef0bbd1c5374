/**
 * Who may read a component's endpoints: asked of the API server (TokenReview, SubjectAccessReview), client certificates
 * checked against the CA in the ConfigMap extension-apiserver-authentication. Loaded with the first request that needs it.
 */
import { createHash, X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { configMaps, subjectAccessReviews, tokenReviews } from '../client/resources.ts';
import type { Client } from '../client/types.ts';

export interface DelegatedUser {
  name: string;
  uid?: string;
  groups: string[];
}

export interface AccessDecision {
  /** 200: go on. */
  status: 200 | 401 | 403 | 500;
  message: string;
}

export interface DelegatedAuthOptions {
  authentication?: Client;
  authorization?: Client;
  /** Paths for everybody, a trailing `*` is a prefix; default `/healthz`, `/readyz`, `/livez`. */
  alwaysAllowPaths?: string[];
}

const cacheMs = 10_000;
const caMs = 60_000;

const anonymous: DelegatedUser = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export const pathAllowed = (path: string, patterns: string[]): boolean =>
  patterns.some((pattern) => (pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern));

export function createDelegatedAuth(options: DelegatedAuthOptions): (req: IncomingMessage) => Promise<AccessDecision> {
  const patterns = options.alwaysAllowPaths ?? ['/healthz', '/readyz', '/livez'];
  const users = expiring<DelegatedUser | undefined>();
  const decisions = expiring<boolean>();
  let clientCAs: { at: number; certificates: X509Certificate[] } | undefined;

  const authorities = async (): Promise<X509Certificate[]> => {
    if (!options.authentication) return [];
    if (clientCAs && Date.now() - clientCAs.at < caMs) return clientCAs.certificates;
    const ref = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
    const data = (await options.authentication.resource(configMaps).find(ref))?.data?.['client-ca-file'] ?? '';
    const blocks = data.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
    clientCAs = { at: Date.now(), certificates: blocks.map((block) => new X509Certificate(block)) };
    return clientCAs.certificates;
  };

  const userOfCertificate = async (req: IncomingMessage): Promise<DelegatedUser | undefined> => {
    const certificate = (req.socket as Partial<TLSSocket>).getPeerX509Certificate?.();
    if (!certificate) return undefined;
    const now = Date.now();
    if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo)) return undefined;
    const issued = (await authorities()).some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
    if (!issued || !(certificate.keyUsage ?? []).includes('1.3.6.1.5.5.7.3.2')) return undefined;
    const subject = certificate.toLegacyObject().subject as { CN?: string; O?: string | string[] };
    if (!subject.CN) return undefined;
    return { name: subject.CN, groups: [subject.O ?? []].flat().concat('system:authenticated') };
  };

  const userOfToken = async (token: string): Promise<DelegatedUser | undefined> => {
    const key = createHash('sha256').update(token).digest('base64');
    return users(key, async () => {
      const review = await options.authentication?.resource(tokenReviews).create({ spec: { token } });
      const user = review?.status?.authenticated ? review.status.user : undefined;
      if (!user?.username) return undefined;
      return { name: user.username, groups: user.groups ?? [], ...(user.uid ? { uid: user.uid } : {}) };
    });
  };

  const mayDo = (user: DelegatedUser, verb: string, path: string): Promise<boolean> => {
    if (user.groups.includes('system:masters')) return Promise.resolve(true);
    return decisions(JSON.stringify([user, verb, path]), async () => {
      const spec = { user: user.name, groups: user.groups, nonResourceAttributes: { path, verb } };
      const review = await options.authorization?.resource(subjectAccessReviews).create({ spec });
      return review?.status?.allowed === true;
    });
  };

  return async (req) => {
    const path = new URL(req.url ?? '/', 'http://localhost').pathname;
    if (pathAllowed(path, patterns)) return { status: 200, message: '' };
    try {
      const bearer = /^Bearer\s+(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
      const user = (await userOfCertificate(req)) ?? (bearer ? await userOfToken(bearer) : anonymous);
      if (!user) return { status: 401, message: 'Unauthorized' };
      const verb = (req.method ?? 'GET').toLowerCase();
      if (await mayDo(user, verb, path)) return { status: 200, message: '' };
      return { status: 403, message: `forbidden: User "${user.name}" cannot ${verb} path "${path}"` };
    } catch (error) {
      return { status: 500, message: `Internal Server Error: ${JSON.stringify(req.url)}: ${(error as Error).message}` };
    }
  };
}

/** Remembers answers for a short time. */
function expiring<V>(): (key: string, ask: () => Promise<V>) => Promise<V> {
  const known = new Map<string, { value: V; until: number }>();
  return async (key, ask) => {
    const found = known.get(key);
    if (found && found.until > Date.now()) return found.value;
    const value = await ask();
    if (known.size > 1000) known.clear();
    known.set(key, { value, until: Date.now() + cacheMs });
    return value;
  };
}
