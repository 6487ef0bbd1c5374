/** OpenAPI v2 and v3 documents, made from the registry when somebody asks, kept compressed, made anew when the registry changes. */
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { kubernetesVersion } from '../../../machinery/version.ts';
import { acceptedTypes, notAcceptableError } from '../codec/negotiate.ts';
import type { ApiRegistry, ResourceDescriptor } from '../types.ts';
import { addPaths, groupVersions } from './paths.ts';
import { type Json, SchemaSet } from './schemas.ts';

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

interface Rendered {
  zipped: Buffer;
  hash: string;
}

const cache = new WeakMap<ApiRegistry, Map<string, Rendered>>();
const info = { title: 'Kubernetes', version: kubernetesVersion };
const bearer = { type: 'apiKey', description: 'Bearer token authentication', name: 'authorization', in: 'header' };
const yearMs = 365 * 24 * 60 * 60 * 1000;

/** `/openapi/v2`, `/openapi/v3`, `/openapi/v3/<group version path>?hash=…`; undefined for other paths. Throws a 406 StatusError. */
export function openApiDocument(
  registry: ApiRegistry,
  url: URL,
  accept: string | undefined,
  acceptEncoding: string | undefined,
): OpenApiDocument | undefined {
  const path = url.pathname.replace(/\/$/, '');
  const zip = /\bgzip\b/.test(acceptEncoding ?? '');
  if (path === '/openapi/v2') {
    requireJson(accept);
    return answer(
      remembered(registry, 'v2', () => version2(registry)),
      zip,
    );
  }
  if (path === '/openapi/v3') {
    requireJson(accept);
    return answer(
      remembered(registry, 'v3', () => index(registry)),
      zip,
    );
  }
  if (!path.startsWith('/openapi/v3/')) return undefined;
  const name = path.slice('/openapi/v3/'.length);
  const descriptors = groupVersions(registry).get(name);
  if (!descriptors) return undefined;
  requireJson(accept);
  const rendered = remembered(registry, name, () => version3(descriptors));
  const asked = url.searchParams.get('hash');
  const document = answer(rendered, zip);
  if (asked && asked !== rendered.hash) return { ...document, location: hashedUrl(name, rendered.hash) };
  if (!asked) return document;
  return { ...document, cacheControl: 'public, immutable', expires: new Date(Date.now() + yearMs).toUTCString() };
}

/** Documents are JSON only. */
function requireJson(accept: string | undefined): void {
  const types = acceptedTypes(accept);
  if (
    !types.length ||
    types.some(({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*')
  )
    return;
  throw notAcceptableError(['application/json']);
}

function remembered(registry: ApiRegistry, name: string, make: () => Json): Rendered {
  let documents = cache.get(registry);
  if (!documents) {
    documents = new Map();
    cache.set(registry, documents);
    const stop = registry.onChange(() => {
      cache.delete(registry);
      stop();
    });
  }
  const known = documents.get(name);
  if (known) return known;
  const text = JSON.stringify(make());
  const rendered = {
    zipped: gzipSync(text, { level: 6 }),
    hash: createHash('sha512').update(text).digest('hex').toUpperCase(),
  };
  documents.set(name, rendered);
  return rendered;
}

function answer({ zipped, hash }: Rendered, zip: boolean): OpenApiDocument {
  const common = { contentType: 'application/json', etag: `"${hash}"` };
  return zip ? { ...common, body: zipped, contentEncoding: 'gzip' } : { ...common, body: gunzipSync(zipped) };
}

const hashedUrl = (name: string, hash: string) => `/openapi/v3/${name}?hash=${hash}`;

function index(registry: ApiRegistry): Json {
  const paths: Json = {};
  for (const [name, descriptors] of groupVersions(registry))
    paths[name] = { serverRelativeURL: hashedUrl(name, remembered(registry, name, () => version3(descriptors)).hash) };
  return { paths };
}

function version3(descriptors: ResourceDescriptor[]): Json {
  const set = new SchemaSet('v3');
  const paths: Json = {};
  for (const descriptor of descriptors) addPaths(paths, 'v3', set, descriptor);
  return {
    openapi: '3.0.0',
    info,
    paths,
    components: { schemas: set.definitions, securitySchemes: { BearerToken: bearer } },
  };
}

function version2(registry: ApiRegistry): Json {
  const set = new SchemaSet('v2');
  const paths: Json = {};
  for (const descriptor of registry.all()) addPaths(paths, 'v2', set, descriptor);
  return {
    swagger: '2.0',
    info,
    paths,
    definitions: set.definitions,
    securityDefinitions: { BearerToken: bearer },
    security: [{ BearerToken: [] }],
  };
}
