/** Writes answers: encoded objects, raw documents and Status errors, gzipped when large and wanted. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { encodeObject } from '../codec/encode.ts';
import { type Negotiated, negotiate } from '../codec/negotiate.ts';
import { StatusError } from '../errors.ts';

const gzipAsync = promisify(gzip);
/** Upstream's defaultGzipThresholdBytes. */
const gzipThreshold = 128 * 1024;

const json: Pick<Negotiated, 'mediaType' | 'pretty' | 'contentType'> = {
  mediaType: 'application/json',
  pretty: false,
  contentType: 'application/json',
};

/** Every answer has these, as upstream's. */
export const commonHeaders = { 'cache-control': 'no-cache, private' };

/** Writes a whole body; the caller's headers win. */
export async function writeBody(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Record<string, string | number>,
): Promise<void> {
  let bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const extra: Record<string, string | number> = { ...commonHeaders, ...headers };
  if (
    bytes.length > gzipThreshold &&
    !extra['content-encoding'] &&
    /\bgzip\b/.test(String(req.headers['accept-encoding'] ?? ''))
  ) {
    bytes = await gzipAsync(bytes, { level: 1 });
    extra['content-encoding'] = 'gzip';
    extra['vary'] = 'Accept-Encoding';
  }
  extra['content-length'] = bytes.length;
  if (res.destroyed || res.headersSent) return;
  res.writeHead(status, extra);
  res.end(req.method === 'HEAD' ? undefined : bytes);
}

/** The negotiated encoding, or plain JSON when what the client asks for cannot be had. */
export function negotiatedOrJson(
  req: IncomingMessage,
  url: URL,
): Pick<Negotiated, 'mediaType' | 'pretty' | 'contentType'> {
  try {
    const found = negotiate(req.headers.accept, url.searchParams.get('pretty') ?? undefined, req.headers['user-agent']);
    return found.as ? { ...json, pretty: found.pretty } : found;
  } catch (error) {
    if (error instanceof StatusError) return json;
    throw error;
  }
}

/** A Status as the answer, with the headers that belong to its code. */
export async function writeStatus(
  req: IncomingMessage,
  res: ServerResponse,
  url: URL,
  error: StatusError,
): Promise<void> {
  const negotiated = negotiatedOrJson(req, url);
  const headers: Record<string, string | number> = { 'content-type': negotiated.contentType };
  const { retryAfterSeconds } = error.status.details ?? {};
  if (retryAfterSeconds) headers['retry-after'] = retryAfterSeconds;
  await writeBody(req, res, error.code, encodeObject(error.status as unknown as UnknownObject, negotiated), headers);
}
