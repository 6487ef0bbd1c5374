/** GET of one object, and lists: consistent reads, reads from the cache, pages, exact revisions. */
import type { KubeList } from '../../../machinery/api/types.ts';
import { toServed } from '../conversion/conversion.ts';
import { badRequest, expired, notFound, StatusError } from '../errors.ts';
import type { ObjectKey, RestDeps } from '../rest/deps.ts';
import { writeBody } from '../server/respond.ts';
import { decodeContinue, encodeContinue } from '../storage/continue-token.ts';
import { EtcdCompactedError, EtcdFutureRevisionError, type KeyValue, prefixEnd } from '../storage/etcd-client.ts';
import type { ResourceCache } from '../storage/resource-cache.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import type { RequestContext, ResourceDescriptor } from '../types.ts';
import { integerParameter, type ObjectFilter, objectFilter, revisionParameter } from './query.ts';
import { encodeList, encodeOne, encodeStored, negotiated } from './respond-object.ts';

const freshWaitMs = 3_000;
const pageOfEtcd = 500;

export interface ReadDeps extends RestDeps {
  /** Text of a value in etcd. */
  stored(kv: KeyValue): StoredObject;
}

export async function getObject(
  deps: ReadDeps,
  ctx: RequestContext,
  { descriptor, namespace, name }: ObjectKey,
): Promise<void> {
  const form = negotiated(ctx, descriptor);
  const cache = deps.caches.of(descriptor);
  const cached = cache.get(namespace, name);
  const revision = revisionParameter(ctx.url.searchParams);
  if (revision) await waitForRevision(deps, revision);
  const stored = revision === undefined ? await deps.store.get(cache.key(namespace, name), cached) : cached;
  if (!stored) throw notFound(descriptor.group, descriptor.resource, name);
  if (ctx.audit?.wantsResponse) ctx.audit.responded(toServed(descriptor, stored.object));
  const plain = !form.as && !form.pretty;
  const body = plain
    ? encodeStored(descriptor, stored, form)
    : encodeOne(descriptor, toServed(descriptor, stored.object), form, ctx.url);
  if (ctx.res) await writeBody(ctx.req, ctx.res, 200, body, { 'content-type': form.contentType });
}

/** Throws 504 for a revision that etcd has not come to within a few seconds. */
export async function waitForRevision({ watchCache }: RestDeps, revision: number): Promise<void> {
  if (await watchCache.waitFor(revision, freshWaitMs)) return;
  throw new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `Timeout: Too large resource version: ${revision}, current: ${watchCache.revision}`,
    reason: 'Timeout',
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
    code: 504,
  });
}

interface Page {
  items: readonly StoredObject[];
  metadata: KubeList<never>['metadata'];
}

export async function listObjects(
  deps: ReadDeps,
  ctx: RequestContext,
  descriptor: ResourceDescriptor,
  namespace: string,
): Promise<void> {
  const form = negotiated(ctx, descriptor);
  const page = await readPage(deps, descriptor, namespace, ctx.url.searchParams);
  if (ctx.audit?.wantsResponse) ctx.audit.responded(listOf(descriptor, page));
  const body = encodeList(descriptor, page.items, page.metadata, form, ctx.url);
  if (ctx.res) await writeBody(ctx.req, ctx.res, 200, body, { 'content-type': form.contentType });
}

const listOf = (descriptor: ResourceDescriptor, { items, metadata }: Page) => ({
  kind: descriptor.listKind,
  apiVersion: descriptor.group ? `${descriptor.group}/${descriptor.version}` : descriptor.version,
  metadata,
  items: items.map((stored) => toServed(descriptor, stored.object)),
});

/** The objects that a list request means. */
export async function readPage(
  deps: ReadDeps,
  descriptor: ResourceDescriptor,
  namespace: string,
  query: URLSearchParams,
): Promise<Page> {
  const filter = objectFilter(descriptor, query);
  const limit = integerParameter(query, 'limit') ?? 0;
  const token = query.get('continue');
  const match = query.get('resourceVersionMatch') ?? '';
  const revision = revisionParameter(query);
  const cache = deps.caches.of(descriptor);
  if (match && match !== 'Exact' && match !== 'NotOlderThan')
    throw badRequest(
      `resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
    );
  if (match && revision === undefined)
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    );
  if (token) {
    if (revision) throw badRequest('specifying resource version is not allowed when using continue');
    const { revision: at, start } = decodeContinue(token);
    return readFromEtcd(deps, cache, namespace, filter, limit, at, start);
  }
  if (match === 'Exact' && revision) return readFromEtcd(deps, cache, namespace, filter, limit, revision, '');
  const needed = revision ?? (await deps.store.etcd.currentRevision());
  if (needed > 0) await waitForRevision(deps, needed);
  const at = Math.max(deps.watchCache.revision, needed);
  // The same name may be in each namespace.
  const isOne = filter.name !== undefined && (namespace !== '' || !cache.namespaced);
  const all = isOne
    ? [cache.get(namespace, filter.name ?? '')].filter((found) => found !== undefined)
    : cache.list(namespace);
  const wanted = filter.empty ? all : all.filter((stored) => filter.matches(stored));
  // Reads at "any" revision are never paged, as upstream's cache answers them.
  if (!limit || revision === 0 || wanted.length <= limit)
    return { items: wanted, metadata: { resourceVersion: String(at) } };
  const items = wanted.slice(0, limit);
  const metadata = {
    resourceVersion: String(at),
    continue: encodeContinue({ revision: at, start: nextStart(cache, items.at(-1)?.key ?? '') }),
    ...(filter.empty ? { remainingItemCount: wanted.length - limit } : {}),
  };
  return { items, metadata };
}

const nextStart = (cache: ResourceCache, key: string) => `${key.slice(cache.prefix.length)}\0`;

/** At a revision of the past: etcd keeps them until they are compacted. Throws 410. */
async function readFromEtcd(
  deps: ReadDeps,
  cache: ResourceCache,
  namespace: string,
  filter: ObjectFilter,
  limit: number,
  revision: number,
  start: string,
): Promise<Page> {
  const prefix = namespace && cache.namespaced ? `${cache.prefix}${namespace}/` : cache.prefix;
  const end = prefixEnd(prefix);
  const items: StoredObject[] = [];
  let from = start ? `${cache.prefix}${start}` : prefix;
  let at = Math.max(0, revision);
  try {
    for (;;) {
      const size = limit && filter.empty ? limit - items.length : pageOfEtcd;
      const range = await deps.store.etcd.range(from, { end, limit: size, revision: at });
      at ||= range.revision;
      for (const [i, kv] of range.items.entries()) {
        const stored = deps.stored(kv);
        if (filter.matches(stored)) items.push(stored);
        if (!limit || items.length < limit) continue;
        const left = range.count - i - 1;
        if (left <= 0) break;
        return {
          items,
          metadata: {
            resourceVersion: String(at),
            continue: encodeContinue({ revision: at, start: nextStart(cache, kv.key) }),
            ...(filter.empty ? { remainingItemCount: left } : {}),
          },
        };
      }
      const last = range.items.at(-1);
      if (!range.more || !last) return { items, metadata: { resourceVersion: String(at) } };
      from = `${last.key}\0`;
    }
  } catch (error) {
    if (error instanceof EtcdCompactedError) throw continueExpired(start);
    if (error instanceof EtcdFutureRevisionError) await waitForRevision(deps, revision);
    throw error;
  }
}

/** The token in the answer lets a client go on at the newest revision, knowing that the list is not of one moment. */
function continueExpired(start: string): StatusError {
  if (!start) return expired('The resourceVersion for the provided list is too old.');
  const error = expired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
  );
  error.status.metadata = { continue: encodeContinue({ revision: -1, start }) } as NonNullable<
    StatusError['status']['metadata']
  >;
  return error;
}
