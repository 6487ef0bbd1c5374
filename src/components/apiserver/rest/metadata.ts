/** The part of metadata that belongs to the server: filled in on create, carried over on update. */
import { randomUUID } from 'node:crypto';
import { generateName } from '../../../machinery/api/names.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { ObjectMeta, UnknownObject } from '../../../machinery/api/types.ts';
import { badRequest } from '../errors.ts';
import type { ResourceDescriptor } from '../types.ts';

export function metadataOf(object: UnknownObject): ObjectMeta {
  object.metadata ??= {};
  return object.metadata;
}

/** Throws 400 where the object and the URL disagree. */
export function checkLocation(
  descriptor: ResourceDescriptor,
  object: UnknownObject,
  namespace: string,
  name: string,
): void {
  const metadata = metadataOf(object);
  if (descriptor.namespaced) {
    if (metadata.namespace && metadata.namespace !== namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    metadata.namespace = namespace;
  } else if (metadata.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (!name) return;
  if (metadata.name && metadata.name !== name)
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  metadata.name = name;
}

/** Fills in what a new object gets, and drops what a client may not bring. Throws 400 when it brings a resourceVersion. */
export function initMetadata(object: UnknownObject, generation: boolean, now: Date): void {
  const metadata = metadataOf(object);
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  delete metadata.generation;
  delete metadata.resourceVersion;
  if (generation) metadata.generation = 1;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = formatTime(now) as never;
}

/** The name itself, or a new one from generateName. */
export function nameObject(object: UnknownObject): void {
  const metadata = metadataOf(object);
  if (!metadata.name && metadata.generateName) metadata.name = generateName(metadata.generateName);
}

const carried = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'generateName',
] as const;

/** Carries over what an update cannot change. An update without `uid` or times means the same object. */
export function carryMetadata(next: UnknownObject, old: UnknownObject): void {
  const metadata = metadataOf(next);
  const before = old.metadata ?? {};
  delete metadata.selfLink;
  for (const field of carried) {
    // A different uid or generateName is refused by validation, not overwritten.
    if ((field === 'uid' || field === 'generateName') && metadata[field]) continue;
    if (before[field] === undefined) delete metadata[field];
    else metadata[field] = before[field] as never;
  }
}
