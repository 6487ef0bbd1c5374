/**
 * One object as it lies in etcd, with its revision: JSON text with `metadata.resourceVersion` filled in, parsed only when
 * somebody looks inside, and its other encodings remembered (D7).
 */
import type { UnknownObject } from '../../../machinery/api/types.ts';

/** What our server and upstream's JSON storage write first. */
const head = /^\{"kind":"[^"]*","apiVersion":"[^"]*","metadata":\{/;
const metadataEmpty = /^\s*\}/;

/** JSON as kept in etcd: kind, apiVersion and metadata first, no resourceVersion. */
export function serialize(object: UnknownObject): string {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...meta } = metadata ?? {};
  return JSON.stringify({ kind, apiVersion, metadata: meta, ...rest });
}

/** The stored text with the revision written into its metadata. */
export function withRevision(text: string, revision: number): string {
  const match = head.exec(text);
  if (match && !metadataEmpty.test(text.slice(match[0].length, match[0].length + 8))) {
    return flat(`${match[0]}"resourceVersion":"${revision}",`, text.slice(match[0].length));
  }
  const object = JSON.parse(text) as UnknownObject;
  const { kind, apiVersion, metadata, ...others } = object;
  return JSON.stringify({ kind, apiVersion, metadata: { ...metadata, resourceVersion: String(revision) }, ...others });
}

/** Concatenates without leaving a rope that keeps both halves alive. */
function flat(a: string, b: string): string {
  return Buffer.from(a + b).toString();
}

export class StoredObject {
  readonly key: string;
  readonly revision: number;
  /** JSON in the storage version, with its resourceVersion. */
  readonly json: string;
  /** What sealed it in etcd; empty: nothing did. */
  readonly sealedBy: string;
  #object: UnknownObject | undefined;
  #encodings: Map<string, unknown> | undefined;

  constructor(key: string, revision: number, text: string, sealedBy = '') {
    this.key = key;
    this.revision = revision;
    this.json = withRevision(text, revision);
    this.sealedBy = sealedBy;
  }

  /** Parsed once and shared: never modify it. */
  get object(): UnknownObject {
    this.#object ??= JSON.parse(this.json) as UnknownObject;
    return this.#object;
  }

  /** A copy of its own for the caller to change. */
  copy(): UnknownObject {
    return JSON.parse(this.json) as UnknownObject;
  }

  /** The same object at a later revision, as a DELETED event shows it. */
  atRevision(revision: number): StoredObject {
    return new StoredObject(this.key, revision, serialize(this.object));
  }

  /** What `make` answered the first time it was asked for this encoding. */
  encoding<T>(name: string, make: () => T): T {
    this.#encodings ??= new Map();
    if (!this.#encodings.has(name)) this.#encodings.set(name, make());
    return this.#encodings.get(name) as T;
  }

  /** Forgets what can be made again: called when the object is no longer news. */
  trim(): void {
    this.#encodings = undefined;
  }

  /** Called when a later state has taken its place: only watches that start in the past will look inside again. */
  retire(): void {
    this.#encodings = undefined;
    this.#object = undefined;
  }
}
