/** Reads a request's body, at most as much as upstream takes. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { badRequest, tooLarge } from '../errors.ts';

/** Upstream's MaxRequestBodyBytes. */
export const bodyLimitBytes = 3 * 1024 * 1024;
const gunzipAsync = promisify(gunzip);

/** Throws 413 for a body over the limit. */
export async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyLimitBytes) throw tooLarge(`limit is ${bodyLimitBytes}`);
    chunks.push(chunk);
  }
  const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  if (req.headers['content-encoding'] !== 'gzip') return body;
  try {
    return await gunzipAsync(body, { maxOutputLength: bodyLimitBytes });
  } catch (error) {
    throw badRequest(`the body cannot be unpacked: ${(error as Error).message}`);
  }
}
