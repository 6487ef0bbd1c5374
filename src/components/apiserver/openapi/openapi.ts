/** OpenAPI v2 and v3 documents, built-in ones from assets, custom kinds from the registry. */
import type { ApiRegistry } from '../types.ts';

export interface OpenApiDocument {
  contentType: string;
  body: Buffer;
  /** Set to `gzip` when `body` is compressed already. */
  contentEncoding?: 'gzip';
  /** With its quotes. Answer 304 when If-None-Match equals it. */
  etag: string;
  /** For the Cache-Control header, where upstream sets one (`public, immutable` for hashed v3 URLs). */
  cacheControl?: string;
  /** For the Expires header, with cacheControl. */
  expires?: string;
  /** Set for a v3 document asked with an outdated hash: answer 301 to this path and query. */
  location?: string;
}

/** `/openapi/v2`, `/openapi/v3`, `/openapi/v3/<group version path>?hash=…`; undefined for other paths. Throws a 406 StatusError. */
export function openApiDocument(
  _registry: ApiRegistry,
  _url: URL,
  _accept: string | undefined,
  _acceptEncoding: string | undefined,
): OpenApiDocument | undefined {
  return undefined;
}
