/** TLS client certificates: those of users (CN and O), and that of a front proxy that names the user in headers. */
import { createHash, type X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { UserInfo } from '../types.ts';
import { parseBundle, verifyClientCertificate } from './certificate-pool.ts';
import { reloadingFile } from './reloading-file.ts';

export interface RequestHeaderOptions {
  clientCaFile: string;
  allowedNames: string[];
  usernameHeaders: string[];
  uidHeaders?: string[];
  groupHeaders: string[];
  extraHeaderPrefixes: string[];
}

/** undefined: no client certificate. Throws for one that is not valid. */
export type CertificateAuthenticator = (req: IncomingMessage) => UserInfo | undefined;

export const credentialIdKey = 'authentication.kubernetes.io/credential-id';

/** @param observe told with each request how many seconds its certificate has left */
export function createX509Authenticator(
  clientCaFile: string,
  observe?: (secondsLeft: number) => void,
): CertificateAuthenticator {
  const verified = verifier(clientCaFile);
  const users = new WeakMap<X509Certificate, UserInfo | undefined>();
  return (req) => {
    const certificate = verified(req);
    if (!certificate) return undefined;
    observe?.((certificate.validToDate.getTime() - Date.now()) / 1000);
    if (!users.has(certificate)) users.set(certificate, userOf(certificate));
    return users.get(certificate);
  };
}

export function createFrontProxyAuthenticator(options: RequestHeaderOptions): CertificateAuthenticator {
  const verified = verifier(options.clientCaFile);
  return (req) => {
    const certificate = verified(req);
    if (!certificate) return undefined;
    const name = commonName(certificate);
    if (options.allowedNames.length && !options.allowedNames.includes(name))
      throw new Error(`x509: subject with cn=${name} is not in the allowed list`);
    return userFromHeaders(req, options);
  };
}

/** The verified client certificate; the outcome is remembered for the connection while the bundle stays the same. */
function verifier(caFile: string): (req: IncomingMessage) => X509Certificate | undefined {
  const roots = reloadingFile(caFile, parseBundle);
  const known = new WeakMap<object, { certificate: X509Certificate | undefined; roots: X509Certificate[] }>();
  return (req) => {
    const socket = req.socket as TLSSocket;
    const pool = roots();
    const before = known.get(socket);
    const certificate = before ? before.certificate : socket.getPeerX509Certificate?.();
    const now = new Date();
    if (certificate && (before?.roots !== pool || now > certificate.validToDate)) {
      const problem = verifyClientCertificate(certificate, pool, now);
      if (problem) throw new Error(problem);
    }
    known.set(socket, { certificate, roots: pool });
    return certificate;
  };
}

const asList = (value: string | string[] | undefined) =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

function subject(certificate: X509Certificate): Record<string, string | string[] | undefined> {
  return certificate.toLegacyObject().subject as unknown as Record<string, string | string[] | undefined>;
}

const commonName = (certificate: X509Certificate) => asList(subject(certificate)['CN']).at(-1) ?? '';

function userOf(certificate: X509Certificate): UserInfo | undefined {
  const name = commonName(certificate);
  if (!name) return undefined;
  const fingerprint = createHash('sha256').update(certificate.raw).digest('hex');
  return {
    name,
    groups: asList(subject(certificate)['O']),
    extra: { [credentialIdKey]: [`X509SHA256=${fingerprint}`] },
  };
}

function userFromHeaders(req: IncomingMessage, options: RequestHeaderOptions): UserInfo | undefined {
  const values = (header: string) => req.headersDistinct[header.toLowerCase()] ?? [];
  const first = (headers: string[]) => headers.flatMap(values).find((value) => value !== '');
  const name = first(options.usernameHeaders);
  if (!name) return undefined;
  const uid = first(options.uidHeaders ?? []);
  const extra: Record<string, string[]> = {};
  for (const prefix of options.extraHeaderPrefixes.map((text) => text.toLowerCase()))
    for (const [header, list] of Object.entries(req.headersDistinct))
      if (header.startsWith(prefix) && list) {
        const key = unescapeKey(header.slice(prefix.length));
        extra[key] = [...(extra[key] ?? []), ...list];
      }
  return { name, ...(uid ? { uid } : {}), groups: options.groupHeaders.flatMap(values), extra };
}

/** Keys of extra travel percent-encoded, since header names cannot hold everything. */
export function unescapeKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
