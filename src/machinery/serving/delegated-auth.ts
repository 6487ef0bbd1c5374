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
  extra?: Record<string, string[]>;
}

/** What a request for a resource is about; the other ones are about their path. */
export interface ResourceAttributes {
  group: string;
  version: string;
  resource: string;
  verb: string;
  namespace?: string;
  name?: string;
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
  /** Of servers that serve resources. */
  attributes?(req: IncomingMessage): ResourceAttributes | undefined;
}

/** What the ConfigMap says. */
interface AuthenticationFacts {
  clientCas: X509Certificate[];
  proxyCas: X509Certificate[];
  /** Empty: any name. */
  proxyNames: string[];
  userHeaders: string[];
  uidHeaders: string[];
  groupHeaders: string[];
  extraPrefixes: string[];
}

const cacheMs = 10_000;
const factsMs = 60_000;
/** Of a certificate that nobody believed in knows has signed: an authority may have come. */
const unknownFactsMs = 5_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';

const anonymous: DelegatedUser = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export const pathAllowed = (path: string, patterns: string[]): boolean =>
  patterns.some((pattern) => (pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern));

export function createDelegatedAuth(options: DelegatedAuthOptions): (req: IncomingMessage) => Promise<AccessDecision> {
  const patterns = options.alwaysAllowPaths ?? ['/healthz', '/readyz', '/livez'];
  const users = expiring<DelegatedUser | undefined>();
  const decisions = expiring<boolean>();
  let known: { at: number; facts: AuthenticationFacts } | undefined;

  const facts = async (oldestMs = factsMs): Promise<AuthenticationFacts | undefined> => {
    if (!options.authentication) return undefined;
    if (known && Date.now() - known.at < oldestMs) return known.facts;
    const ref = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
    const found = await options.authentication.resource(configMaps).find(ref);
    known = { at: Date.now(), facts: readFacts(found?.data ?? {}) };
    return known.facts;
  };

  const userOfCertificate = async (req: IncomingMessage): Promise<DelegatedUser | undefined> => {
    const certificate = (req.socket as Partial<TLSSocket>).getPeerX509Certificate?.();
    if (!certificate) return undefined;
    if (!isClientCertificate(certificate)) return undefined;
    let believed = await facts();
    const isKnown = () => believed && issuedBy(certificate, [...believed.proxyCas, ...believed.clientCas]);
    if (!isKnown()) believed = await facts(unknownFactsMs);
    if (!believed) return undefined;
    const subject = certificate.toLegacyObject().subject as { CN?: string; O?: string | string[] };
    const { proxyNames } = believed;
    const isProxy =
      issuedBy(certificate, believed.proxyCas) && (!proxyNames.length || proxyNames.includes(subject.CN ?? ''));
    const named = isProxy ? userOfHeaders(req, believed) : undefined;
    if (named) return named;
    if (!issuedBy(certificate, believed.clientCas) || !subject.CN) return undefined;
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

  const mayDo = (user: DelegatedUser, verb: string, path: string, about?: ResourceAttributes): Promise<boolean> => {
    if (user.groups.includes('system:masters')) return Promise.resolve(true);
    return decisions(JSON.stringify([user, verb, path, about]), async () => {
      const attributes = about ? { resourceAttributes: about } : { nonResourceAttributes: { path, verb } };
      const { name, uid, groups, extra } = user;
      const spec = { user: name, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}), ...attributes };
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
      const about = options.attributes?.(req);
      if (await mayDo(user, verb, path, about)) return { status: 200, message: '' };
      if (about) return { status: 403, message: resourceForbidden(user, about) };
      return { status: 403, message: `forbidden: User "${user.name}" cannot ${verb} path "${path}"` };
    } catch (error) {
      return { status: 500, message: `Internal Server Error: ${JSON.stringify(req.url)}: ${(error as Error).message}` };
    }
  };
}

const resourceForbidden = ({ name }: DelegatedUser, about: ResourceAttributes): string =>
  `${about.resource}.${about.group}${about.name ? ` ${JSON.stringify(about.name)}` : ''} is forbidden: User ${JSON.stringify(name)} ` +
  `cannot ${about.verb} resource ${JSON.stringify(about.resource)} in API group ${JSON.stringify(about.group)} ` +
  (about.namespace ? `in the namespace ${JSON.stringify(about.namespace)}` : 'at the cluster scope');

function isClientCertificate({ validFrom, validTo, keyUsage }: X509Certificate): boolean {
  const now = Date.now();
  return now >= Date.parse(validFrom) && now <= Date.parse(validTo) && (keyUsage ?? []).includes(clientAuth);
}

const issuedBy = (certificate: X509Certificate, authorities: X509Certificate[]): boolean =>
  authorities.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey));

function readFacts(data: Record<string, string>): AuthenticationFacts {
  const certificates = (key: string) =>
    (data[key]?.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map(
      (block) => new X509Certificate(block),
    );
  const names = (key: string) => JSON.parse(data[`requestheader-${key}`] || '[]') as string[];
  const headers = (key: string) => names(key).map((name) => name.toLowerCase());
  return {
    clientCas: certificates('client-ca-file'),
    proxyCas: certificates('requestheader-client-ca-file'),
    proxyNames: names('allowed-names'),
    userHeaders: headers('username-headers'),
    uidHeaders: headers('uid-headers'),
    groupHeaders: headers('group-headers'),
    extraPrefixes: headers('extra-headers-prefix'),
  };
}

/** Go writes headers as UTF-8, Node reads Latin-1. */
const utf8 = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

/** The user that a front proxy names. */
function userOfHeaders({ headersDistinct }: IncomingMessage, believed: AuthenticationFacts): DelegatedUser | undefined {
  const values = (names: string[]) => names.flatMap((name) => headersDistinct[name] ?? []).map(utf8);
  const [name] = values(believed.userHeaders).filter(Boolean);
  if (!name) return undefined;
  const [uid] = values(believed.uidHeaders);
  const extra: Record<string, string[]> = {};
  for (const [header, given = []] of Object.entries(headersDistinct))
    for (const prefix of believed.extraPrefixes)
      if (header.startsWith(prefix)) extra[decoded(header.slice(prefix.length))] = given.map(utf8);
  return {
    name,
    groups: values(believed.groupHeaders),
    ...(uid ? { uid } : {}),
    ...(Object.keys(extra).length ? { extra } : {}),
  };
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    // Not encoded: as it is.
    return key;
  }
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
