/**
 * What the wings of the API server hand to each other. A request travels
 * server/ (TLS, request info) → authentication/ → authorization/ → handlers/ (decode, default, patch, validate)
 * → admission/ → storage/ (etcd, watch cache) → codec/ (JSON, protobuf, Table).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TypeSchema } from '../../machinery/api/schema/types.ts';
import type { Status, UnknownObject } from '../../machinery/api/types.ts';
import type { FieldError } from './errors.ts';

export interface GroupResource {
  /** Empty for the core group. */
  group: string;
  /** Plural, lower case. */
  resource: string;
}

export interface SubresourceDescriptor {
  /** `status`, `scale`, `binding`, `log`, … */
  name: string;
  /** Kind of the body, with its group and version where they differ from the parent's. */
  kind: string;
  group: string;
  version: string;
  verbs: string[];
}

/** One served resource in one version: drives routing, discovery, decoding, defaulting, validation, printing. */
export interface ResourceDescriptor {
  group: string;
  version: string;
  resource: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  shortNames: string[];
  categories: string[];
  verbs: string[];
  subresources: SubresourceDescriptor[];
  /** True for kinds that are only POSTed and answered (TokenReview, SubjectAccessReview, …). */
  virtual: boolean;
  /** Version whose JSON lies in etcd; another version of the same resource is converted (autoscaling/v1 ↔ v2, core ↔ events.k8s.io events). */
  storage: { group: string; version: string /** `/registry/<prefix>/[namespace/]name` */; prefix: string };
  schema: TypeSchema;
  /** Present for the resources of CustomResourceDefinitions. */
  custom?: CustomKind;
}

/** What a CustomResourceDefinition says about one of its versions beyond its descriptor's other fields. */
export interface CustomKind {
  /** The rules of its schema. */
  validate(object: UnknownObject, old: UnknownObject | undefined, subresource: string): FieldError[];
  /** What can be asked for; discovery tells less of a resource that is to go. */
  verbs: string[];
  /** JSON paths of the scale subresource. */
  scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  /** Fields that can be selected by, as `spec.color`. */
  selectableFields: string[];
  /** What lies in etcd may be of another version or lack defaults: it is completed before it is served. */
  completed: boolean;
  /** The warning that every request of a deprecated version gets. */
  deprecation?: string;
}

/** A resource as aggregated discovery lists it. */
export interface RemoteResource {
  resource: string;
  responseKind: { group: string; version: string; kind: string };
  scope: string;
  singularResource: string;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: {
    subresource: string;
    responseKind: { group: string; version: string; kind: string };
    verbs: string[];
  }[];
}

/** A group and version that another server answers for (an APIService with a service). */
export interface RemoteVersion {
  group: string;
  version: string;
  groupPriorityMinimum: number;
  versionPriority: number;
  /** What it said last. */
  resources: RemoteResource[];
  /** It did not answer when it was last asked. */
  stale: boolean;
}

/** All served resources; CustomResourceDefinitions add and remove entries while the server runs. */
export interface ApiRegistry {
  find(group: string, version: string, resource: string): ResourceDescriptor | undefined;
  findKind(group: string, version: string, kind: string): ResourceDescriptor | undefined;
  all(): ResourceDescriptor[];
  add(descriptor: ResourceDescriptor): void;
  remove(group: string, version: string, resource: string): void;
  /** What other servers answer for: listed in discovery, not in `all`. */
  remote(): readonly RemoteVersion[];
  setRemote(versions: readonly RemoteVersion[]): void;
  /** Called after each change (discovery and OpenAPI documents are made anew). */
  onChange(listener: () => void): () => void;
}

export interface UserInfo {
  name: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

/** As upstream's RequestInfo: what a URL and method mean. */
export interface RequestInfo {
  isResourceRequest: boolean;
  path: string;
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `proxy`, or the lower-case HTTP method. */
  verb: string;
  apiGroup: string;
  apiVersion: string;
  namespace: string;
  resource: string;
  subresource: string;
  name: string;
  /** Path segments after the name and subresource (proxy paths). */
  rest: string[];
}

export interface RequestContext {
  req: IncomingMessage;
  /** Absent for upgraded connections, which have `socket` and `head`. */
  res?: ServerResponse;
  socket?: Duplex;
  head?: Buffer;
  url: URL;
  info: RequestInfo;
  user: UserInfo;
  /** Fires when the client has gone or the deadline has passed. */
  signal: AbortSignal;
  /** Adds an RFC 7234 `Warning: 299` header to the answer. */
  warn(text: string): void;
  /** Also in the answer's header `Audit-Id`. */
  auditId: string;
  /** Absent: nothing of this request is written down. */
  audit?: AuditTrail;
}

/** What the audit log learns of a request on its way. */
export interface AuditTrail {
  /** Whether bodies are of interest; making them may cost something. */
  readonly wantsRequest: boolean;
  readonly wantsResponse: boolean;
  impersonated(user: UserInfo): void;
  /** What the authorizer said. */
  decided(allowed: boolean, reason: string): void;
  /** The decoded body: its name and namespace are of interest in any case. */
  requested(body: unknown): void;
  responded(object: unknown): void;
  /** The answer of a long-running request has begun. */
  started(code: number): void;
  completed(code: number, status?: Status): void;
}

export interface Authenticator {
  /** undefined: nothing for me in this request. Throws a 401 StatusError for credentials that are wrong. */
  authenticate(req: IncomingMessage): Promise<UserInfo | undefined>;
}

export interface AuthorizationAttributes {
  user: UserInfo;
  verb: string;
  resourceRequest: boolean;
  path: string;
  apiGroup: string;
  apiVersion: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  fieldSelector?: string;
  labelSelector?: string;
}

export interface AuthorizationDecision {
  decision: 'allow' | 'deny' | 'no-opinion';
  reason?: string;
}

export interface Authorizer {
  authorize(attributes: AuthorizationAttributes): AuthorizationDecision | Promise<AuthorizationDecision>;
}

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

export interface AdmissionAttributes {
  operation: Operation;
  descriptor: ResourceDescriptor;
  subresource: string;
  namespace: string;
  name: string;
  /** Absent for DELETE. Mutating plugins change it in place. */
  object?: UnknownObject;
  /** Absent for CREATE. */
  oldObject?: UnknownObject;
  options: Record<string, unknown>;
  dryRun: boolean;
  user: UserInfo;
  /** Set when a webhook has patched the object: the mutating plugins see it again. */
  changedByWebhook?: boolean;
  warn(text: string): void;
}

export interface AdmissionPlugin {
  /** Upstream's plugin name, as in `--enable-admission-plugins`. */
  name: string;
  handles(operation: Operation): boolean;
  /** Mutates `attributes.object`. Throws a StatusError to reject. */
  admit?(attributes: AdmissionAttributes): void | Promise<void>;
  /** Throws a StatusError to reject. */
  validate?(attributes: AdmissionAttributes): void | Promise<void>;
}

/** Synchronous view of the watch cache, for authorizers and admission. Objects are shared: never modify them. */
export interface CacheReader {
  get(resource: GroupResource, namespace: string, name: string): UnknownObject | undefined;
  list(resource: GroupResource, namespace?: string): UnknownObject[];
  /** Calls the listener with every object there is (ADDED), then with every change. */
  onChange(
    resource: GroupResource,
    listener: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: UnknownObject, old: UnknownObject | undefined) => void,
  ): () => void;
  /** Resolves when the resource's cache has read its first list. */
  ready(resource: GroupResource): Promise<void>;
}

/** The API server's own reads and writes, past authentication and authorization (admission still runs unless told). */
export interface LoopbackClient {
  /** Linearizable read from etcd; undefined when it does not exist. */
  get(resource: GroupResource, namespace: string, name: string): Promise<UnknownObject | undefined>;
  create(resource: GroupResource, object: UnknownObject): Promise<UnknownObject>;
  /** Optimistic: reads, calls `change` (undefined: leave it), writes, and tries again on conflict. */
  update(
    resource: GroupResource,
    namespace: string,
    name: string,
    change: (current: UnknownObject) => UnknownObject | undefined,
    subresource?: 'status',
  ): Promise<UnknownObject>;
  delete(
    resource: GroupResource,
    namespace: string,
    name: string,
    options?: { gracePeriodSeconds?: number; preconditions?: { uid?: string; resourceVersion?: string } },
  ): Promise<void>;
}

/** What is handed to every wing when the server is put together (main.ts). */
export interface ServerContext {
  registry: ApiRegistry;
  cache: CacheReader;
  loopback: LoopbackClient;
  authorizer: Authorizer;
}

/** Serves one subresource of one resource outside plain CRUD (log, exec, attach, portforward, proxy, token, eviction, …). */
export interface SubresourceHandler {
  resource: GroupResource;
  subresource: string;
  handle(ctx: RequestContext): Promise<void>;
}
