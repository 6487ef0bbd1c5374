/** Watches: what there is, then every change, in the client's encoding; bookmarks; an end after the asked time. */
import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { UnknownObject, WatchEventType } from '../../../machinery/api/types.ts';
import { encodeObject, encodeWatchFrame } from '../codec/encode.ts';
import type { Negotiated } from '../codec/negotiate.ts';
import { apiVersionOf, toServed } from '../conversion/conversion.ts';
import { badRequest, expired, invalid } from '../errors.ts';
import { commonHeaders } from '../server/respond.ts';
import { type CacheEvent, TooOldRevisionError } from '../storage/resource-cache.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import { toTable } from '../table/table.ts';
import type { RequestContext, ResourceDescriptor } from '../types.ts';
import { flagParameter, integerParameter, type ObjectFilter, objectFilter, revisionParameter } from './query.ts';
import { type ReadDeps, waitForRevision } from './read.ts';
import { encodeStored, includeObject, negotiated } from './respond-object.ts';

/** Running watches, so that they can be ended when the cache had to be read anew, and counted. */
export class Watchers {
  /** How each ends, and the prefix in etcd that it looks at. */
  readonly #ends = new Map<() => void, string>();

  get size(): number {
    return this.#ends.size;
  }

  add(end: () => void, prefix: string): () => void {
    this.#ends.set(end, prefix);
    return () => this.#ends.delete(end);
  }

  /** Of one resource: it is no longer served. */
  endOf(prefix: string): void {
    for (const [end, of] of [...this.#ends]) if (of === prefix) end();
  }

  endAll(): void {
    for (const end of [...this.#ends.keys()]) end();
  }
}

const bookmarkMs = 60_000;
const minimumSeconds = 1_800;
/** A client that reads this much slower than things happen is sent away. */
const backlogBytes = 16 * 1024 * 1024;

export async function watchObjects(
  deps: ReadDeps,
  watchers: Watchers,
  ctx: RequestContext,
  { descriptor, namespace, name }: { descriptor: ResourceDescriptor; namespace: string; name: string },
): Promise<void> {
  const { url, req, res } = ctx;
  const query = url.searchParams;
  const form = negotiated(ctx, descriptor);
  const filter = objectFilter(descriptor, query, name);
  const revision = revisionParameter(query);
  const initial = initialEvents(query, revision, descriptor);
  const bookmarks = flagParameter(query, 'allowWatchBookmarks');
  const seconds = integerParameter(query, 'timeoutSeconds') || minimumSeconds + randomInt(minimumSeconds);
  if (!res) throw badRequest('watches over WebSocket are not served');
  const cache = deps.caches.of(descriptor);
  const consistent = revision === undefined;
  const needed = consistent ? await deps.store.etcd.currentRevision() : revision;
  if (needed > 0) await waitForRevision(deps, needed);
  const inNamespace = inNamespaceOf(cache.prefix, cache.namespaced ? namespace : '');
  const stream = new WatchStream(res, descriptor, form, url);
  const take = (event: CacheEvent) => {
    if (inNamespace(event.object)) stream.change(event, filter);
  };
  // From here to the subscription nothing may wait: no change is missed or seen twice.
  let missed: CacheEvent[] = [];
  let startError: TooOldRevisionError | undefined;
  if (!initial) {
    try {
      missed = cache.since(revision ?? deps.watchCache.revision);
    } catch (error) {
      if (!(error instanceof TooOldRevisionError)) throw error;
      startError = error;
    }
  }
  if (startError) throw expired(`too old resource version: ${startError.asked} (${startError.oldest})`);
  res.writeHead(200, { ...commonHeaders, 'content-type': form.streamContentType, 'transfer-encoding': 'chunked' });
  req.socket.setNoDelay(true);
  if (initial) {
    for (const stored of cache.list(namespace)) if (filter.matches(stored)) stream.send('ADDED', stored);
    if (initial === 'with-end') stream.bookmark(deps.watchCache.revision, true);
  } else for (const event of missed) take(event);
  const unsubscribe = cache.subscribe(take);
  stream.flushHeaders();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    const bookmarkTimer = bookmarks
      ? setInterval(() => stream.bookmark(deps.watchCache.revision), bookmarkMs)
      : undefined;
    const forget = watchers.add(resolve, descriptor.storage.prefix);
    const stop = () => resolve();
    ctx.signal.addEventListener('abort', stop, { once: true });
    stream.onOverflow = stop;
    res.once('close', stop);
    void Promise.resolve().then(() => {
      if (ctx.signal.aborted) stop();
    });
    stream.ended = () => {
      clearTimeout(timer);
      clearInterval(bookmarkTimer);
      forget();
      unsubscribe();
    };
  });
  stream.ended();
  res.end();
}

/** Whether the watch begins with what there is, and whether a bookmark ends that part. Throws 400/422. */
function initialEvents(
  query: URLSearchParams,
  revision: number | undefined,
  { group, kind }: ResourceDescriptor,
): 'plain' | 'with-end' | undefined {
  const asked = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  if (asked === null) {
    if (match)
      throw invalid('meta.k8s.io', 'ListOptions', '', [
        {
          type: 'FieldValueForbidden',
          field: 'resourceVersionMatch',
          message: 'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        },
      ]);
    return revision ? undefined : 'plain';
  }
  if (match !== 'NotOlderThan')
    throw invalid('meta.k8s.io', 'ListOptions', '', [
      {
        type: 'FieldValueForbidden',
        field: 'resourceVersionMatch',
        message: 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      },
    ]);
  if (asked !== 'true' && asked !== '1') return undefined;
  if (!flagParameter(query, 'allowWatchBookmarks'))
    throw badRequest(`sendInitialEvents of ${group}/${kind} needs allowWatchBookmarks`);
  return 'with-end';
}

function inNamespaceOf(prefix: string, namespace: string): (stored: StoredObject) => boolean {
  if (!namespace) return () => true;
  const start = `${prefix}${namespace}/`;
  return ({ key }) => key.startsWith(start);
}

class WatchStream {
  onOverflow: () => void = () => undefined;
  ended: () => void = () => undefined;
  readonly #res: ServerResponse;
  readonly #descriptor: ResourceDescriptor;
  readonly #form: Negotiated;
  readonly #url: URL;
  #headersSent = false;

  constructor(res: ServerResponse, descriptor: ResourceDescriptor, form: Negotiated, url: URL) {
    this.#res = res;
    this.#descriptor = descriptor;
    this.#form = form;
    this.#url = url;
  }

  flushHeaders(): void {
    this.#res.flushHeaders();
  }

  /** What a change means to somebody who sees only what the filter lets through. */
  change({ type, object, previous }: CacheEvent, filter: ObjectFilter): void {
    if (filter.empty) {
      this.send(type, object);
      return;
    }
    const before = previous !== undefined && filter.matches(previous);
    const now = type !== 'DELETED' && filter.matches(object);
    if (now) this.send(before ? 'MODIFIED' : 'ADDED', object);
    else if (before)
      this.send('DELETED', type === 'DELETED' ? object : (previous as StoredObject).atRevision(object.revision));
  }

  send(type: WatchEventType, stored: StoredObject): void {
    const { mediaType, as, asVersion } = this.#form;
    let bytes: Buffer;
    if (as === 'Table') {
      const served = toServed(this.#descriptor, stored.object);
      const table = toTable(this.#descriptor, [served], {
        includeObject: includeObject(this.#url),
        version: asVersion,
        noHeaders: this.#headersSent,
        listMeta: { resourceVersion: String(stored.revision) },
      });
      this.#headersSent = true;
      bytes = encodeObject(table as unknown as UnknownObject, { mediaType, pretty: false });
    } else bytes = encodeStored(this.#descriptor, stored, { ...this.#form, pretty: false });
    this.#write(encodeWatchFrame(type, bytes, mediaType));
  }

  /** Tells how far the watch has come; `initialEnd` marks the end of what there was at its start. */
  bookmark(revision: number, initialEnd = false): void {
    const { mediaType, as, asVersion } = this.#form;
    const metadata = {
      resourceVersion: String(revision),
      creationTimestamp: null as never,
      ...(initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    let object: UnknownObject;
    if (as === 'Table') {
      object = toTable(this.#descriptor, [], {
        version: asVersion,
        noHeaders: true,
        listMeta: { resourceVersion: String(revision) },
      }) as unknown as UnknownObject;
    } else if (as) object = { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${asVersion}`, metadata };
    else {
      const { spec, status } = this.#descriptor.schema.fields;
      object = {
        kind: this.#descriptor.kind,
        apiVersion: apiVersionOf(this.#descriptor),
        metadata,
        ...(spec?.zero === undefined ? {} : { spec: spec.zero }),
        ...(status?.zero === undefined ? {} : { status: status.zero }),
      };
    }
    this.#write(encodeWatchFrame('BOOKMARK', encodeObject(object, { mediaType, pretty: false }), mediaType));
  }

  #write(frame: Buffer): void {
    if (this.#res.destroyed || this.#res.writableEnded) return;
    this.#res.write(frame);
    if (this.#res.writableLength > backlogBytes) this.onOverflow();
  }
}
