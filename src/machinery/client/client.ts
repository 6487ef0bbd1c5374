/** The API client of components and installer: typed calls over JSON, watches as async iterables. */
import type { IncomingMessage } from 'node:http';
import type { KubeList, KubeObject, Status, UnknownObject, WatchEvent } from '../api/types.ts';
import { pause } from '../process/pause.ts';
import { ApiError, isNotFound } from './errors.ts';
import { readBody, Transport } from './transport.ts';
import type {
  CallOptions,
  Client,
  DeleteOptions,
  ListOptions,
  ObjectRef,
  PatchOptions,
  PatchType,
  RawResponse,
  ResourceClient,
  ResourceType,
  RestConfig,
  WatchOptions,
  WriteOptions,
} from './types.ts';

export {
  ApiError,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isTooManyRequests,
  isUnauthorized,
} from './errors.ts';

const defaultTimeoutMs = 30_000;
/** A watch that brings nothing at all for this long (bookmarks come every minute) is taken for dead. */
const watchSilenceMs = 100_000;
/** An interrupted network is noticed by unanswered keep-alive probes; this is when the first one is sent. */
const keepAliveMs = 10_000;

const patchContentType: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export interface ClientOptions {
  /**
   * How long a question is asked again that got no answer, or one that a server gives which cannot serve at the moment. For those who ask
   * while servers start anew, and whose writes may be made twice.
   */
  patienceMs?: number;
}

export function createClient(config: RestConfig, { patienceMs }: ClientOptions = {}): Client {
  const transport = new Transport(config, patienceMs);
  return {
    config,
    resource: <T extends KubeObject>(type: ResourceType<T>) => resourceClient<T>(transport, type),
    dynamic: (type) => resourceClient<UnknownObject>(transport, type),
    raw: async (method, path, options = {}): Promise<RawResponse> => {
      const response = await transport.send({
        method,
        path,
        timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
        ...(options.body === undefined ? {} : { body: options.body }),
        ...(options.headers ? { headers: options.headers } : {}),
        ...(options.signal ? { signal: options.signal } : {}),
      });
      return { status: response.statusCode ?? 0, headers: response.headers, body: await readBody(response) };
    },
    close: () => transport.close(),
  };
}

/** `/api/v1/namespaces/x/pods/y/status`, each part encoded. */
export function resourcePath<T>(
  type: ResourceType<T>,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const parts = type.group ? ['apis', type.group, type.version] : ['api', type.version];
  if (namespace && type.namespaced) parts.push('namespaces', namespace);
  parts.push(type.resource);
  if (name) parts.push(name);
  if (subresource) parts.push(...subresource.split('/'));
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

function withQuery(path: string, query: Record<string, string | number | boolean | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value));
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

const writeQuery = (options: WriteOptions | undefined) => ({
  fieldManager: options?.fieldManager,
  dryRun: options?.dryRun ? 'All' : undefined,
  fieldValidation: options?.fieldValidation,
});

/** What a read of metadata alone accepts. */
const partialAccept = {
  object: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
};

const againMs = 250;
const never = new AbortController().signal;
const lostConnection = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'];

/** Another try may go better: the server was not there, or says that it cannot at the moment. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return [429, 503, 504].includes(error.code) || /etcdserver: /.test(error.message);
  if (!(error instanceof Error)) return false;
  return (
    lostConnection.includes((error as NodeJS.ErrnoException).code ?? '') ||
    /^no (answer|connection) /.test(error.message)
  );
}

async function call<R>(...question: Parameters<typeof callOnce>): Promise<R> {
  const [transport, , , { signal, patienceMs = transport.patienceMs } = {}] = question;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return (await callOnce(...question)) as R;
    } catch (error) {
      if (!isPassing(error) || signal?.aborted || performance.now() >= deadline) throw error;
      // Whoever has waited long enough hears what was wrong.
      await pause(againMs, signal ?? never);
      if (signal?.aborted) throw error;
    }
  }
}

async function callOnce(
  transport: Transport,
  method: string,
  path: string,
  options: CallOptions = {},
  body?: object,
  headers?: Record<string, string>,
): Promise<unknown> {
  const response = await transport.send({
    method,
    path,
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    ...(options.signal ? { signal: options.signal } : {}),
    headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await readBody(response);
  if ((response.statusCode ?? 500) >= 400) throw errorOf(response, text, `${method} ${path}`);
  return JSON.parse(text) as unknown;
}

function errorOf(response: IncomingMessage, text: string, what: string): ApiError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return new ApiError({ ...status, code: status.code ?? response.statusCode ?? 0 });
  } catch {
    // not a Status: a proxy or a server that is not an API server answered
  }
  return new ApiError({
    code: response.statusCode ?? 0,
    reason: 'Unknown',
    message: `${what}: HTTP ${response.statusCode}: ${text.slice(0, 200)}`,
  });
}

function resourceClient<T extends KubeObject>(transport: Transport, type: ResourceType<T>): ResourceClient<T> {
  const pathOf = (ref: ObjectRef, subresource?: string) => resourcePath(type, ref.namespace, ref.name, subresource);
  const refOf = (object: T): ObjectRef => ({
    name: object.metadata?.name ?? '',
    ...(object.metadata?.namespace ? { namespace: object.metadata.namespace } : {}),
  });
  const typed = (object: T): T => ({
    apiVersion: type.group ? `${type.group}/${type.version}` : type.version,
    kind: type.kind,
    ...object,
  });
  const get = (ref: ObjectRef, options?: CallOptions & { resourceVersion?: string }) =>
    call<T>(
      transport,
      'GET',
      withQuery(pathOf(ref), { resourceVersion: options?.resourceVersion }),
      options,
      undefined,
      type.metadataOnly ? { accept: partialAccept.object } : undefined,
    );
  const update = (object: T, options?: WriteOptions) =>
    call<T>(
      transport,
      'PUT',
      withQuery(pathOf(refOf(object), options?.subresource), writeQuery(options)),
      options,
      typed(object),
    );
  const deleteBody = (options?: DeleteOptions) => ({
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(options?.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
    ...(options?.propagationPolicy ? { propagationPolicy: options.propagationPolicy } : {}),
    ...(options?.preconditions ? { preconditions: options.preconditions } : {}),
  });
  return {
    get,
    find: async (ref, options) => {
      try {
        return await get(ref, options);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    list: (options: ListOptions = {}) => {
      const { namespace, signal: _signal, timeoutMs: _timeoutMs, ...query } = options;
      const path = withQuery(resourcePath(type, namespace), query);
      const headers = type.metadataOnly ? { accept: partialAccept.list } : undefined;
      return call<KubeList<T>>(transport, 'GET', path, options, undefined, headers);
    },
    watch: (options = {}) => watch<T>(transport, type, options),
    create: (object, options) => {
      const path = options?.subresource
        ? pathOf(refOf(object), options.subresource)
        : resourcePath(type, object.metadata?.namespace);
      return call<T>(transport, 'POST', withQuery(path, writeQuery(options)), options, typed(object));
    },
    createSubresource: <R>(ref: ObjectRef, subresource: string, body: object, options?: WriteOptions) =>
      call<R>(transport, 'POST', withQuery(pathOf(ref, subresource), writeQuery(options)), options, body),
    update,
    updateStatus: (object, options) => update(object, { ...options, subresource: 'status' }),
    patch: (ref, body, options: PatchOptions) =>
      call<T>(
        transport,
        'PATCH',
        withQuery(pathOf(ref, options.subresource), { ...writeQuery(options), force: options.force }),
        options,
        body,
        { 'content-type': patchContentType[options.type] },
      ),
    delete: (ref, options) => call<T | Status>(transport, 'DELETE', pathOf(ref), options, deleteBody(options)),
    deleteCollection: async (list, options) => {
      const path = withQuery(resourcePath(type, list.namespace), {
        labelSelector: list.labelSelector,
        fieldSelector: list.fieldSelector,
      });
      await call<unknown>(transport, 'DELETE', path, options, deleteBody(options));
    },
  };
}

async function* watch<T extends KubeObject>(
  transport: Transport,
  type: ResourceType<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { namespace, signal, timeoutMs, ...query } = options;
  const path = withQuery(resourcePath(type, namespace), { ...query, watch: true });
  const response = await transport.send({
    method: 'GET',
    path,
    timeoutMs: timeoutMs ?? defaultTimeoutMs,
    ...(signal ? { signal } : {}),
    ...(type.metadataOnly ? { headers: { accept: partialAccept.object } } : {}),
  });
  if ((response.statusCode ?? 500) >= 400) throw errorOf(response, await readBody(response), `GET ${path}`);
  response.socket.setKeepAlive(true, keepAliveMs);
  const silent = () => response.destroy(new Error(`nothing came on watch ${path} for ${watchSilenceMs} ms`));
  let timer = setTimeout(silent, watchSilenceMs);
  try {
    for await (const line of linesOf(response)) {
      clearTimeout(timer);
      timer = setTimeout(silent, watchSilenceMs);
      const event = JSON.parse(line) as WatchEvent<T>;
      if (event.type === 'ERROR') throw new ApiError(event.object as unknown as Status);
      yield event;
    }
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

/** Splits a stream at newlines; characters cut between chunks stay whole. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      const line =
        pending.length === 1 ? (pending[0] as Buffer).toString('utf8') : Buffer.concat(pending).toString('utf8');
      pending = [];
      start = end + 1;
      if (line) yield line;
    }
    if (start < chunk.length) pending.push(chunk.subarray(start));
  }
}
