/** Who asks (client certificate, token, nobody) and whether they may: the kubelet's own authentication and authorization. */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { subjectAccessReviews, tokenReviews } from '../../../machinery/client/resources.ts';
import type { KubeletServerOptions } from '../types.ts';
import { attributesOf } from './attributes.ts';

export interface Refusal {
  status: 401 | 403 | 500;
  message: string;
}

interface User {
  name: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

const clientAuth = '1.3.6.1.5.5.7.3.2';
const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** Answers nothing when the request may go on. */
export type Gate = (req: IncomingMessage) => Promise<Refusal | undefined>;

export function createGate(auth: KubeletServerOptions['auth'], nodeName: string): Gate {
  const users = expiring<User | undefined>();
  const decisions = expiring<boolean>();
  const authorities = auth.clientCaFile ? rereadCertificates(auth.clientCaFile) : () => [];
  const { client } = auth;

  const ofCertificate = (req: IncomingMessage): User | undefined => {
    const certificate = (req.socket as Partial<TLSSocket>).getPeerX509Certificate?.();
    if (!certificate) return undefined;
    const now = Date.now();
    if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo)) return undefined;
    if (!(certificate.keyUsage ?? []).includes(clientAuth)) return undefined;
    if (!authorities().some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey))) return undefined;
    const subject = certificate.toLegacyObject().subject as { CN?: string; O?: string | string[] };
    return subject.CN
      ? { name: subject.CN, groups: [subject.O ?? []].flat().concat('system:authenticated') }
      : undefined;
  };

  const ofToken = (token: string): Promise<User | undefined> =>
    users(
      createHash('sha256').update(token).digest('base64'),
      () => auth.tokenTtlMs ?? 120_000,
      async () => {
        const review = await client?.resource(tokenReviews).create({ spec: { token } });
        const user = review?.status?.authenticated ? review.status.user : undefined;
        if (!user?.username) return undefined;
        const { uid, extra } = user;
        return { name: user.username, groups: user.groups ?? [], ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
      },
    );

  const mayDo = (user: User, verb: string, subresource: string): Promise<boolean> =>
    decisions(
      JSON.stringify([user, verb, subresource]),
      (allowed) => (allowed ? (auth.authorizedTtlMs ?? 300_000) : (auth.unauthorizedTtlMs ?? 30_000)),
      async () => {
        if (!client) return false;
        const { status } = await client.resource(subjectAccessReviews).create({
          spec: {
            user: user.name,
            groups: user.groups,
            ...(user.uid ? { uid: user.uid } : {}),
            ...(user.extra ? { extra: user.extra } : {}),
            resourceAttributes: { verb, version: 'v1', resource: 'nodes', subresource, name: nodeName },
          },
        });
        return status?.allowed === true;
      },
    );

  return async (req) => {
    const token = /^Bearer\s+(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
    let user: User | undefined;
    try {
      user = ofCertificate(req) ?? (token ? await ofToken(token) : undefined);
    } catch (error) {
      return { status: 500, message: `Authentication error (${(error as Error).message})` };
    }
    // A token that nobody knows is refused; only who brings nothing is anonymous.
    if (!user && !token && auth.anonymous) user = anonymous;
    if (!user) return { status: 401, message: 'Unauthorized' };
    if (auth.mode === 'AlwaysAllow') return undefined;
    const { verb, subresources } = attributesOf(req.method ?? 'GET', pathOf(req));
    try {
      for (const subresource of subresources) if (await mayDo(user, verb, subresource)) return undefined;
    } catch (error) {
      const said = (error as Error).message;
      const what = `user=${user.name}, verb=${verb}, resource=nodes, subresource=${subresources.at(-1)}`;
      return { status: 500, message: `Authorization error (${what}): ${said}` };
    }
    const names = `[${subresources.join(' ')}]`;
    return {
      status: 403,
      message: `Forbidden (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=${names})\n`,
    };
  };
}

export const pathOf = (req: IncomingMessage): string => new URL(req.url ?? '/', 'https://localhost').pathname;

/** The certificates of a file, read again when it has changed. */
function rereadCertificates(file: string): () => X509Certificate[] {
  let known: { mtimeMs: number; certificates: X509Certificate[] } | undefined;
  return () => {
    const { mtimeMs } = statSync(file);
    if (known?.mtimeMs !== mtimeMs) {
      const blocks = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
      known = { mtimeMs, certificates: (blocks ?? []).map((block) => new X509Certificate(block)) };
    }
    return known.certificates;
  };
}

/** Remembers answers for a time that may depend on the answer. */
function expiring<V>() {
  const known = new Map<string, { value: V; until: number }>();
  return async (key: string, ttlMs: (value: V) => number, ask: () => Promise<V>): Promise<V> => {
    const found = known.get(key);
    if (found && found.until > Date.now()) return found.value;
    const value = await ask();
    if (known.size >= 1000) known.clear();
    known.set(key, { value, until: Date.now() + ttlMs(value) });
    return value;
  };
}
