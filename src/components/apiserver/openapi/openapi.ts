/** OpenAPI v2 and v3 documents: made when somebody asks, kept compressed, made anew when what they tell about changes. */
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { kubernetesVersion } from '../../../machinery/version.ts';
import { acceptedTypes, notAcceptableError } from '../codec/negotiate.ts';
import type { ApiRegistry } from '../types.ts';
import { type Described, documentV2, documentV3, indexPaths } from './documents.ts';
import type { Json } from './schemas.ts';
import { encodeV2 } from './v2-protobuf.ts';

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

interface State {
  /** Hash by path of the index, and of the document of version 2 (`v2`); undefined once the registry has changed. */
  hashes: Map<string, string> | undefined;
  /** Compressed documents by form and hash. */
  documents: Map<string, Buffer>;
}

const states = new WeakMap<ApiRegistry, State>();
const yearMs = 365 * 24 * 60 * 60 * 1000;
const json = 'application/json';
const protobuf = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
/** As older clients write it; `@` may not be in a media type. */
const oldProtobuf = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

/** `/openapi/v2`, `/openapi/v3`, `/openapi/v3/<group version path>?hash=…`; undefined for other paths. Throws a 406 StatusError. */
export function openApiDocument(
  registry: ApiRegistry,
  url: URL,
  accept: string | undefined,
  acceptEncoding: string | undefined,
): OpenApiDocument | undefined {
  const path = url.pathname.replace(/\/$/, '');
  if (path !== '/openapi/v2' && path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
  const state = stateOf(registry);
  const hashes = currentHashes(registry, state);
  const zip = /\bgzip\b/.test(acceptEncoding ?? '');
  if (path === '/openapi/v2') {
    const contentType = chosenType(accept, [json, protobuf, oldProtobuf]);
    const hash = hashes.get('v2') ?? '';
    const make = () => documentV2(registry);
    if (contentType === json) return { ...kept(state, 'v2', hash, zip, () => textOf(make())), contentType };
    return { ...kept(state, 'v2 protobuf', hash, zip, () => encodeV2(make())), contentType: protobuf };
  }
  chosenType(accept, [json]);
  if (path === '/openapi/v3') return index(hashes, zip);
  const name = path.slice('/openapi/v3/'.length);
  const hash = hashes.get(name);
  if (name === 'v2' || hash === undefined) return undefined;
  const asked = url.searchParams.get('hash');
  if (asked && asked !== hash) {
    return { contentType: json, body: Buffer.alloc(0), etag: `"${hash}"`, location: hashedUrl(name, hash) };
  }
  const make = () => textOf(documentV3(registry, name, indexPaths(registry).get(name) ?? []));
  const document = { ...kept(state, name, hash, zip, make), contentType: json };
  if (!asked) return document;
  return { ...document, cacheControl: 'public, immutable', expires: new Date(Date.now() + yearMs).toUTCString() };
}

const textOf = (document: Json): Buffer => Buffer.from(JSON.stringify(document));
const hashedUrl = (name: string, hash: string) => `/openapi/v3/${name}?hash=${hash}`;

function chosenType(accept: string | undefined, offered: string[]): string {
  const types = acceptedTypes(accept);
  if (!types.length) return json;
  for (const { type } of types) {
    if (type === '*/*' || type === 'application/*') return json;
    if (offered.includes(type)) return type;
  }
  throw notAcceptableError([json]);
}

function stateOf(registry: ApiRegistry): State {
  const known = states.get(registry);
  if (known) return known;
  const state: State = { hashes: undefined, documents: new Map() };
  states.set(registry, state);
  registry.onChange(() => {
    state.hashes = undefined;
  });
  return state;
}

const hashOf = (facts: unknown): string =>
  createHash('sha512').update(JSON.stringify(facts)).digest('hex').toUpperCase();

/** Hashes of the facts that documents are made from, so that the index needs none of the documents. */
function currentHashes(registry: ApiRegistry, state: State): Map<string, string> {
  if (state.hashes) return state.hashes;
  const hashes = new Map<string, string>();
  for (const [path, descriptors] of indexPaths(registry)) {
    hashes.set(path, hashOf([kubernetesVersion, path, descriptors.map(factsOf)]));
  }
  hashes.set('v2', hashOf([...hashes]));
  const current = new Set(hashes.values());
  for (const key of state.documents.keys()) {
    if (!current.has(key.slice(key.lastIndexOf(' ') + 1))) state.documents.delete(key);
  }
  state.hashes = hashes;
  return hashes;
}

const factsOf = (descriptor: Described): unknown => [
  descriptor.resource,
  descriptor.kind,
  descriptor.listKind,
  descriptor.namespaced,
  descriptor.verbs,
  descriptor.subresources,
  descriptor.openAPIV3Schema,
];

function kept(
  state: State,
  form: string,
  hash: string,
  zip: boolean,
  make: () => Buffer,
): Omit<OpenApiDocument, 'contentType'> {
  const key = `${form} ${hash}`;
  let zipped = state.documents.get(key);
  if (!zipped) {
    zipped = gzipSync(make(), { level: 6 });
    state.documents.set(key, zipped);
  }
  const etag = `"${hash}"`;
  return zip ? { body: zipped, contentEncoding: 'gzip', etag } : { body: gunzipSync(zipped), etag };
}

function index(hashes: Map<string, string>, zip: boolean): OpenApiDocument {
  const paths: Json = {};
  for (const [name, hash] of hashes) if (name !== 'v2') paths[name] = { serverRelativeURL: hashedUrl(name, hash) };
  const body = textOf({ paths });
  const etag = `"${hashOf(paths)}"`;
  return zip
    ? { contentType: json, body: gzipSync(body), contentEncoding: 'gzip', etag }
    : { contentType: json, body, etag };
}
