/** Discovery documents: `/api`, `/apis`, `/api/v1`, `/apis/<group>[/<version>]`, aggregated or not. */
import type { ApiRegistry } from '../types.ts';

export interface DiscoveryDocument {
  contentType: string;
  body: Buffer;
  /** With its quotes, as in the ETag header; only aggregated documents have one. Answer 304 when If-None-Match equals it. */
  etag?: string;
}

/**
 * The document for a path, negotiated by the Accept header; undefined when the path is no discovery path.
 * Throws a 406 StatusError. `serverAddress` is printed in `/api` as the address for all clients.
 */
export function discoveryDocument(
  _registry: ApiRegistry,
  _path: string,
  _accept: string | undefined,
  _serverAddress?: string,
): DiscoveryDocument | undefined {
  return undefined;
}
