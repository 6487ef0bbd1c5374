/** Deletes an object: at once, or marked first, when it has finalizers or time to end gracefully. */
import { formatTime } from '../../../machinery/api/time.ts';
import type { ObjectMeta, Status, UnknownObject } from '../../../machinery/api/types.ts';
import { toServed, toStored } from '../conversion/conversion.ts';
import { conflict, notFound } from '../errors.ts';
import { type Change, KeyNotFoundError } from '../storage/store.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import type { DeleteRequestOptions, Strategy } from '../strategies/strategy.ts';
import type { AdmissionAttributes, ResourceDescriptor } from '../types.ts';
import type { ObjectKey, RestDeps, WriteContext } from './deps.ts';
import { metadataOf } from './metadata.ts';

export interface DeleteOptions extends DeleteRequestOptions {
  preconditions?: { uid?: string; resourceVersion?: string };
  orphanDependents?: boolean;
}

export interface Deleted {
  /** False: it is marked, and goes later. */
  gone: boolean;
  object: UnknownObject;
}

const orphan = 'orphan';
const foreground = 'foregroundDeletion';

/** Throws 404, 409 (preconditions) and what admission throws. */
export async function deleteObject(
  deps: RestDeps,
  { descriptor, namespace, name }: ObjectKey,
  options: DeleteOptions,
  context: WriteContext,
): Promise<Deleted> {
  const cache = deps.caches.of(descriptor);
  const key = cache.key(namespace, name);
  const strategy = deps.strategies(descriptor.group, descriptor.resource);
  let answer: UnknownObject | undefined;
  let gone = false;
  const change = async (current: StoredObject): Promise<Change> => {
    const old = toServed(descriptor, current.object);
    checkPreconditions(descriptor, name, old, options);
    if (context.admit) await admit(deps, { descriptor, namespace, name }, old, context);
    const next = toServed(descriptor, current.copy());
    const marked = mark(strategy, next, options, new Date());
    answer = next;
    gone = marked === 'gone';
    if (context.dryRun || marked === 'unchanged') return { keep: true };
    if (gone) return { delete: true, also: strategy.release?.(next) };
    return { write: toStored(descriptor, next) };
  };
  try {
    const { object, deletedAt } = await deps.store.update(key, change, { cached: cache.getByKey(key) });
    const result = deletedAt || context.dryRun ? (answer as UnknownObject) : toServed(descriptor, object.object);
    return { gone, object: result };
  } catch (error) {
    if (error instanceof KeyNotFoundError) throw notFound(descriptor.group, descriptor.resource, name);
    throw error;
  }
}

async function admit(
  { admission }: RestDeps,
  { descriptor, namespace, name }: ObjectKey,
  oldObject: UnknownObject,
  { options, dryRun, user, warn }: WriteContext,
): Promise<void> {
  const attributes: AdmissionAttributes = {
    operation: 'DELETE',
    descriptor,
    subresource: '',
    namespace,
    name,
    oldObject,
    options,
    dryRun,
    user,
    warn,
  };
  await admission.admit(attributes);
  await admission.validate(attributes);
}

function checkPreconditions(
  { group, resource }: ResourceDescriptor,
  name: string,
  { metadata = {} }: UnknownObject,
  { preconditions = {} }: DeleteOptions,
): void {
  const { uid, resourceVersion } = preconditions;
  if (uid && uid !== metadata.uid)
    throw conflict(
      group,
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
    );
  if (resourceVersion && resourceVersion !== metadata.resourceVersion)
    throw conflict(
      group,
      resource,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    );
}

/** Writes the deletion into `object`, as far as it cannot go at once. */
function mark(
  strategy: Strategy,
  object: UnknownObject,
  options: DeleteOptions,
  now: Date,
): 'gone' | 'marked' | 'unchanged' {
  const metadata = metadataOf(object);
  const before = JSON.stringify([metadata.finalizers, metadata.deletionTimestamp, metadata.deletionGracePeriodSeconds]);
  setPropagation(strategy, metadata, options);
  const grace = strategy.graceSeconds?.(object, options);
  const finalizers = metadata.finalizers?.length ?? 0;
  if (metadata.deletionTimestamp) shorten(metadata, grace ?? 0);
  else if (grace || finalizers || !(strategy.mayGo?.(object) ?? true)) {
    const seconds = grace ?? 0;
    metadata.deletionTimestamp = formatTime(new Date(now.getTime() + seconds * 1000)) as never;
    metadata.deletionGracePeriodSeconds = seconds;
    if (metadata.generation) metadata.generation += 1;
    strategy.markDeleted?.(object);
  } else return 'gone';
  const settled = metadata.deletionGracePeriodSeconds === 0 && !finalizers && (strategy.mayGo?.(object) ?? true);
  if (settled) return 'gone';
  const after = JSON.stringify([metadata.finalizers, metadata.deletionTimestamp, metadata.deletionGracePeriodSeconds]);
  return before === after ? 'unchanged' : 'marked';
}

/** A second delete may make the end come earlier, never later. */
function shorten(metadata: ObjectMeta, seconds: number): void {
  const current = metadata.deletionGracePeriodSeconds ?? 0;
  if (seconds >= current) return;
  const end = new Date(metadata.deletionTimestamp as unknown as string).getTime() - (current - seconds) * 1000;
  metadata.deletionTimestamp = formatTime(new Date(end)) as never;
  metadata.deletionGracePeriodSeconds = seconds;
}

/** The garbage collector acts on these finalizers. */
function setPropagation(strategy: Strategy, metadata: ObjectMeta, options: DeleteOptions): void {
  const had = metadata.finalizers ?? [];
  const policy =
    options.propagationPolicy ??
    (options.orphanDependents === undefined
      ? // Finalizers that an earlier delete has set stand for its policy.
        had.includes(orphan) || had.includes(foreground)
        ? undefined
        : strategy.defaultPropagation
      : options.orphanDependents
        ? 'Orphan'
        : 'Background');
  if (!policy) return;
  const kept = had.filter((finalizer) => finalizer !== orphan && finalizer !== foreground);
  if (policy === 'Orphan') kept.push(orphan);
  if (policy === 'Foreground') kept.push(foreground);
  if (kept.length) metadata.finalizers = kept;
  else delete metadata.finalizers;
}

/** The answer to a delete after which the object is gone. */
export function deletedStatus({ group, resource }: ResourceDescriptor, object: UnknownObject): Status {
  const { name, uid } = object.metadata ?? {};
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      ...(name ? { name } : {}),
      ...(group ? { group } : {}),
      kind: resource,
      ...(uid ? { uid } : {}),
    },
  };
}
