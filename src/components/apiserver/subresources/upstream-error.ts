/** Answers and failures of kubelets and proxied pods as Status errors, worded as upstream words them. */
import type { IncomingMessage } from 'node:http';
import { badRequest, internalError, StatusError } from '../errors.ts';

const maxErrorBytes = 50_000;

export async function readErrorBody(res: IncomingMessage): Promise<string> {
  let body = '';
  res.setEncoding('utf8');
  for await (const chunk of res) {
    body += chunk;
    if (body.length > maxErrorBytes) break;
  }
  return body.slice(0, maxErrorBytes);
}

/** A kubelet answered something else than 2xx. */
export function kubeletAnswerError(statusCode: number, body: string, resource: string, name: string): StatusError {
  if (statusCode === 400) return badRequest(body);
  if (statusCode === 500) return internalError(body);
  const known: Record<number, [string, string]> = {
    401: ['Unauthorized', 'the server has asked for the client to provide credentials'],
    403: ['Forbidden', body || 'forbidden'],
    404: ['NotFound', 'the server could not find the requested resource'],
    405: ['MethodNotAllowed', 'the server does not allow this method on the requested resource'],
    503: ['ServiceUnavailable', body || 'the server is currently unable to handle the request'],
  };
  const [reason, message] = known[statusCode] ?? [
    'InternalError',
    `the server responded with the status code ${statusCode} but did not return more information`,
  ];
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `${message} ( ${resource} ${name})`,
    reason,
    details: { name, kind: resource },
    code: statusCode,
  });
}

/** Node's codes of certificates that nobody known has signed. */
const unknownAuthority = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** `dial tcp 10.0.0.12:10250: connect: connection refused`, as Go says it. */
export function dialFailure(url: URL, error: unknown): string {
  // Node wraps what a deadline says in an AbortError.
  const reason = (error as Error).name === 'AbortError' ? ((error as Error).cause ?? error) : error;
  const code = (reason as NodeJS.ErrnoException).code ?? '';
  const wording: Record<string, string> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'i/o timeout',
  };
  const address = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`;
  if (unknownAuthority.has(code))
    return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
  if (wording[code]) return `dial tcp ${address}: ${wording[code]}`;
  return reason instanceof Error ? reason.message : String(reason);
}

const failed = (message: string): StatusError =>
  new StatusError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 });

/** The connection itself failed: `Get "https://…": dial tcp 10.0.0.12:10250: connect: connection refused`. */
export const connectionError = (method: string, url: URL, error: unknown): StatusError =>
  failed(`${method.charAt(0)}${method.slice(1).toLowerCase()} ${JSON.stringify(url.href)}: ${dialFailure(url, error)}`);

/** The same for an upgrade. */
export const dialError = (url: URL, error: unknown): StatusError =>
  failed(`error dialing backend: ${dialFailure(url, error)}`);
