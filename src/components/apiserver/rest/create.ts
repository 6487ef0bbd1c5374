/** Creates an object: names it, lets admission, the kind's strategy and validation look at it, and writes it to etcd. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { toServed, toStored } from '../conversion/conversion.ts';
import { alreadyExists, invalid, serverTimeout } from '../errors.ts';
import { updateManagedFields } from '../managedfields/field-manager.ts';
import { AccompanyingError, KeyExistsError } from '../storage/store.ts';
import type { AdmissionAttributes } from '../types.ts';
import { validate } from '../validation/validation.ts';
import { catchUp } from './catch-up.ts';
import type { ObjectKey, RestDeps, WriteContext } from './deps.ts';
import { checkLocation, initMetadata, nameObject } from './metadata.ts';
import { reserve } from './reserve.ts';
import { clearStatus, hasStatus } from './status.ts';

const generateTries = 8;
const clashTries = 16;

/** `object` is decoded and defaulted, in the served version; it becomes the new object. An empty `name` is taken from it. */
export async function createObject(
  deps: RestDeps,
  { descriptor, namespace, name }: ObjectKey,
  object: UnknownObject,
  context: WriteContext,
): Promise<UnknownObject> {
  checkLocation(descriptor, object, namespace, name);
  const generated = !object.metadata?.name && Boolean(object.metadata?.generateName);
  for (let attempt = 1; ; attempt++) {
    try {
      return await createOnce(
        deps,
        { descriptor, namespace, name },
        generated ? structuredClone(object) : object,
        context,
      );
    } catch (error) {
      if (!(error instanceof KeyExistsError)) throw error;
      if (!generated) throw alreadyExists(descriptor.group, descriptor.resource, object.metadata?.name ?? '');
      if (attempt >= generateTries) throw serverTimeout(descriptor.group, descriptor.resource, 'create');
    }
  }
}

async function createOnce(
  deps: RestDeps,
  { descriptor, namespace }: ObjectKey,
  draft: UnknownObject,
  context: WriteContext,
): Promise<UnknownObject> {
  const strategy = deps.strategies(descriptor.group, descriptor.resource);
  const { admission } = deps;
  const object = context.manager ? updateManagedFields(descriptor, undefined, draft, context.manager) : draft;
  const attributes: AdmissionAttributes = {
    operation: 'CREATE',
    descriptor,
    subresource: '',
    namespace,
    name: object.metadata?.name ?? '',
    object,
    options: context.options,
    dryRun: context.dryRun,
    user: context.user,
    warn: context.warn,
  };
  if (context.admit) await admission.admit(attributes);
  const now = context.manager?.now ?? new Date();
  initMetadata(object, strategy.generation ?? false, now);
  nameObject(object);
  const strategyContext = { user: context.user, now, cache: deps.reader, dryRun: context.dryRun, warn: context.warn };
  if (strategy.prepareForCreate) strategy.prepareForCreate(object, strategyContext);
  else if (hasStatus(descriptor)) clearStatus(descriptor, object);
  const errors = validate(descriptor, object, undefined, '');
  if (errors.length) throw invalid(descriptor.group, descriptor.kind, object.metadata?.name ?? '', errors);
  attributes.name = object.metadata?.name ?? '';
  if (context.admit) await admission.validate(attributes);
  const key = deps.caches.of(descriptor).key(namespace, attributes.name);
  for (let attempt = 1; ; attempt++) {
    const also = await reserve(deps, strategy, object, undefined, strategyContext);
    if (context.dryRun) {
      if (await deps.store.get(key)) throw new KeyExistsError(key);
      return object;
    }
    try {
      const stored = await deps.store.create(key, toStored(descriptor, object), { ttl: strategy.ttl ?? false, also });
      return toServed(descriptor, stored.object);
    } catch (error) {
      if (!(error instanceof AccompanyingError) || attempt >= clashTries) throw error;
      // Somebody else took what was to be reserved; the cache will have heard of it.
      await catchUp(deps);
      forgetReserved(object, draft);
    }
  }
}

/** After a clash: what reserve() filled in goes, what the client asked for stays. */
function forgetReserved(object: UnknownObject, draft: UnknownObject): void {
  object['spec'] = structuredClone(draft['spec']);
}
