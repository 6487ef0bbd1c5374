/** Changes an object: a replacement, a patch or a subresource's view of it, tried again when somebody else was faster. */
import { isDeepStrictEqual } from 'node:util';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { toServed, toStored } from '../conversion/conversion.ts';
import { conflict, invalid, notFound } from '../errors.ts';
import { differsInTimesOnly, updateManagedFields } from '../managedfields/field-manager.ts';
import { AccompanyingError, type Change, KeyNotFoundError } from '../storage/store.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import type { Strategy } from '../strategies/strategy.ts';
import type { AdmissionAttributes } from '../types.ts';
import { validate } from '../validation/validation.ts';
import { catchUp } from './catch-up.ts';
import type { ObjectKey, RestDeps, WriteContext } from './deps.ts';
import { carryMetadata, metadataOf } from './metadata.ts';
import { reserve } from './reserve.ts';
import { hasStatus, keepAllButStatus, keepStatus, specChanged } from './status.ts';

export interface UpdateRequest extends ObjectKey {
  /** `status`, `finalize`, … or empty. */
  subresource: string;
  /**
   * Makes the new object from the current one, both in the served version; it must not modify `current`. Called again after a
   * conflict that is not the client's.
   */
  next(current: UnknownObject): UnknownObject | Promise<UnknownObject>;
  /** The new object's managedFields are final (server-side apply). */
  applied?: boolean;
  /** Where the object has no resourceVersion of its own: PUT of some kinds. */
  conditional?: boolean;
}

const clashTries = 16;

/** Answers the object as it is afterwards. Throws 404, 409, 422 and whatever admission and `next` throw. */
export async function updateObject(
  deps: RestDeps,
  request: UpdateRequest,
  context: WriteContext,
): Promise<UnknownObject> {
  const { descriptor, namespace, name } = request;
  const cache = deps.caches.of(descriptor);
  const key = cache.key(namespace, name);
  const strategy = deps.strategies(descriptor.group, descriptor.resource);
  let answer: UnknownObject | undefined;
  const change = async (current: StoredObject): Promise<Change> => {
    const old = toServed(descriptor, current.object);
    const next = await nextObject(deps, strategy, request, context, old);
    answer = next;
    if (context.dryRun) return { keep: true };
    if (mayGo(strategy, next)) return { delete: true, also: strategy.release?.(next) };
    const also = await reserve(deps, strategy, next, old, {
      user: context.user,
      now: new Date(),
      cache: deps.reader,
      dryRun: false,
      warn: context.warn,
    });
    return { write: toStored(descriptor, next), also };
  };
  for (let attempt = 1; ; attempt++) {
    try {
      const result = await deps.store.update(key, change, {
        cached: cache.getByKey(key),
        ttl: strategy.ttl ?? false,
      });
      if (context.dryRun || result.deletedAt) return answer as UnknownObject;
      return toServed(descriptor, result.object.object);
    } catch (error) {
      if (error instanceof KeyNotFoundError) throw notFound(descriptor.group, descriptor.resource, name);
      if (!(error instanceof AccompanyingError) || attempt >= clashTries) throw error;
      await catchUp(deps);
    }
  }
}

async function nextObject(
  deps: RestDeps,
  strategy: Strategy,
  request: UpdateRequest,
  context: WriteContext,
  old: UnknownObject,
): Promise<UnknownObject> {
  const { descriptor, subresource, namespace, name } = request;
  let next = await request.next(old);
  checkPreconditions(request, strategy, next, old);
  if (context.manager && !request.applied) next = updateManagedFields(descriptor, old, next, context.manager);
  const attributes: AdmissionAttributes = {
    operation: 'UPDATE',
    descriptor,
    subresource,
    namespace,
    name,
    object: next,
    oldObject: old,
    options: context.options,
    dryRun: context.dryRun,
    user: context.user,
    warn: context.warn,
  };
  if (context.admit) await deps.admission.admit(attributes);
  const now = context.manager?.now ?? new Date();
  carryMetadata(next, old);
  prepare(request, strategy, next, old, {
    user: context.user,
    now,
    cache: deps.reader,
    dryRun: context.dryRun,
    warn: context.warn,
  });
  if (strategy.generation && subresource !== 'binding' && specChanged(next, old, isDeepStrictEqual)) {
    const metadata = metadataOf(next);
    metadata.generation = (old.metadata?.generation ?? 0) + 1;
  }
  // A write that changes nothing else shall not become one for the times of its own record.
  const managed = old.metadata?.managedFields;
  if (managed && differsInTimesOnly(old, next)) metadataOf(next).managedFields = managed;
  const errors = subresource === 'binding' ? [] : validate(descriptor, next, old, subresource);
  if (errors.length) throw invalid(descriptor.group, descriptor.kind, name, errors);
  if (context.admit) await deps.admission.validate(attributes);
  return next;
}

function prepare(
  { descriptor, subresource }: UpdateRequest,
  strategy: Strategy,
  next: UnknownObject,
  old: UnknownObject,
  context: Parameters<NonNullable<Strategy['prepareForUpdate']>>[2],
): void {
  const special = strategy.prepareSubresource?.[subresource];
  if (special) special(next, old, context);
  else if (subresource === 'status') keepAllButStatus(next, old);
  else {
    if (hasStatus(descriptor)) keepStatus(next, old);
    if (!subresource) strategy.prepareForUpdate?.(next, old, context);
  }
}

function checkPreconditions(
  { descriptor, name, conditional }: UpdateRequest,
  strategy: Strategy,
  next: UnknownObject,
  old: UnknownObject,
): void {
  const { group, resource, kind } = descriptor;
  const { uid, resourceVersion } = next.metadata ?? {};
  if (uid && uid !== old.metadata?.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata?.uid ?? ''}`;
    throw conflict(group, resource, name, why);
  }
  if (resourceVersion && resourceVersion !== '0' && resourceVersion !== old.metadata?.resourceVersion)
    throw conflict(group, resource, name);
  if (!resourceVersion && (conditional || strategy.conditionalUpdate))
    throw invalid(group, kind, name, [
      {
        type: 'FieldValueInvalid',
        field: 'metadata.resourceVersion',
        message: 'Invalid value: 0: must be specified for an update',
      },
    ]);
}

/** A marked object goes with its last finalizer. */
export function mayGo(strategy: Strategy, object: UnknownObject): boolean {
  const { deletionTimestamp, finalizers, deletionGracePeriodSeconds } = object.metadata ?? {};
  if (!deletionTimestamp || finalizers?.length) return false;
  if (deletionGracePeriodSeconds) return false;
  return strategy.mayGo?.(object) ?? true;
}
