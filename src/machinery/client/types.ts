/** The contract of the API client that components and the installer share. `client.ts` implements it. */
import type { KubeList, KubeObject, Status, UnknownObject, WatchEvent } from '../api/types.ts';

/** How to reach and authenticate to an API server. Credentials given by file are read again when the file changes. */
export interface RestConfig {
  /** For example `https://10.0.0.11:6443`. */
  server: string;
  caData?: string;
  caFile?: string;
  certData?: string;
  certFile?: string;
  keyData?: string;
  keyFile?: string;
  token?: string;
  tokenFile?: string;
  tlsServerName?: string;
  insecureSkipTlsVerify?: boolean;
  userAgent?: string;
  /** The namespace of the current context. */
  namespace?: string;
}

/** Names a resource and ties it to its static type; the known ones are constants in `resources.ts` (`pods`, `nodes`, …). */
export interface ResourceType<T> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, lower case: the path segment. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Reads ask for `metadata` alone (PartialObjectMetadata): for who needs no more of many objects. */
  readonly metadataOnly?: boolean;
  /** Carries T; never set. */
  readonly _type?: T;
}

export interface ObjectRef {
  name: string;
  namespace?: string;
}

export interface CallOptions {
  /** How long a question that nobody answers is asked again; absent: as the client was made. */
  patienceMs?: number;
  signal?: AbortSignal;
  /** Default 30 000. */
  timeoutMs?: number;
}

export interface ListOptions extends CallOptions {
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan';
}

export interface WatchOptions extends CallOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion?: string;
  allowWatchBookmarks?: boolean;
  /** Asked of the server; the stream ends normally after it. */
  timeoutSeconds?: number;
}

export interface WriteOptions extends CallOptions {
  fieldManager?: string;
  dryRun?: boolean;
  fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  /** For example `status`, `scale`, `binding`, `eviction`, `token`, `approval`. */
  subresource?: string;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';
export interface PatchOptions extends WriteOptions {
  type: PatchType;
  /** Only with `apply`: take over fields of other managers. */
  force?: boolean;
}

export interface DeleteOptions extends CallOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  preconditions?: { uid?: string; resourceVersion?: string };
}

export interface ResourceClient<T extends KubeObject> {
  get(ref: ObjectRef, options?: CallOptions & { resourceVersion?: string }): Promise<T>;
  /** Like get, but answers undefined when the object does not exist. */
  find(ref: ObjectRef, options?: CallOptions): Promise<T | undefined>;
  /** One page; `limit` and `continue` are the caller's. */
  list(options?: ListOptions): Promise<KubeList<T>>;
  /** Ends normally when the server closes the stream; throws ApiError for an ERROR event (410 Expired). */
  watch(options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** Namespace and name are taken from the object. */
  create(object: T, options?: WriteOptions): Promise<T>;
  /** POSTs a body to a subresource (`binding`, `eviction`, `token`) and returns the server's answer. */
  createSubresource<R>(ref: ObjectRef, subresource: string, body: object, options?: WriteOptions): Promise<R>;
  update(object: T, options?: WriteOptions): Promise<T>;
  updateStatus(object: T, options?: WriteOptions): Promise<T>;
  patch(ref: ObjectRef, body: object, options: PatchOptions): Promise<T>;
  delete(ref: ObjectRef, options?: DeleteOptions): Promise<T | Status>;
  deleteCollection(list: ListOptions, options?: DeleteOptions): Promise<void>;
}

export interface RawResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export interface Client {
  readonly config: RestConfig;
  resource<T extends KubeObject>(type: ResourceType<T>): ResourceClient<T>;
  /** A resource known at run time only (garbage collector, namespace controller, `kinit` applying manifests). */
  dynamic(type: ResourceType<UnknownObject>): ResourceClient<UnknownObject>;
  /** Any request; does not throw for HTTP errors. `path` begins with `/` and carries its query. */
  raw(
    method: string,
    path: string,
    options?: CallOptions & { body?: string; headers?: Record<string, string> },
  ): Promise<RawResponse>;
  /** Closes idle connections. */
  close(): void;
}
