/** Resources whose served version is not the one kept in etcd: events of both groups, and the older autoscaling version. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { applyDefaults } from '../defaulting/defaulting.ts';
import type { ResourceDescriptor } from '../types.ts';
import { autoscalerFromV2, autoscalerToV2 } from './autoscaling.ts';
import { eventFromCore, eventToCore } from './events.ts';

type Convert = (object: UnknownObject) => UnknownObject;

const converters: Record<string, { toStored: Convert; toServed: Convert }> = {
  'events.k8s.io/v1/Event': { toStored: eventToCore, toServed: eventFromCore },
  'autoscaling/v1/HorizontalPodAutoscaler': { toStored: autoscalerToV2, toServed: autoscalerFromV2 },
};

const converterOf = ({ group, version, kind }: ResourceDescriptor) => converters[`${group}/${version}/${kind}`];

/** `v1` or `apps/v1`. */
export const apiVersionOf = ({ group, version }: { group: string; version: string }): string =>
  group ? `${group}/${version}` : version;

/** True when what lies in etcd can be served as it is. */
export const servedAsStored = (descriptor: ResourceDescriptor): boolean =>
  descriptor.group === descriptor.storage.group &&
  descriptor.version === descriptor.storage.version &&
  !descriptor.custom?.completed;

/** Answers the given object itself when there is nothing to convert; never modifies it. */
export function toServed(descriptor: ResourceDescriptor, stored: UnknownObject): UnknownObject {
  if (servedAsStored(descriptor)) return stored;
  if (descriptor.custom) return customServed(descriptor, stored);
  const convert = converterOf(descriptor)?.toServed;
  const converted = convert ? convert(stored) : stored;
  return { ...converted, apiVersion: apiVersionOf(descriptor) };
}

const served = new WeakMap<ResourceDescriptor, WeakMap<UnknownObject, UnknownObject>>();

/** Custom objects are the same in all versions; fields that got a default since they were written have it. */
function customServed(descriptor: ResourceDescriptor, stored: UnknownObject): UnknownObject {
  let known = served.get(descriptor);
  if (!known) {
    known = new WeakMap();
    served.set(descriptor, known);
  }
  let object = known.get(stored);
  if (!object) {
    object = { ...structuredClone(stored), apiVersion: apiVersionOf(descriptor) };
    applyDefaults(descriptor, object);
    known.set(stored, object);
  }
  return object;
}

/** The other way round. */
export function toStored(descriptor: ResourceDescriptor, served: UnknownObject): UnknownObject {
  if (servedAsStored(descriptor)) return served;
  const convert = converterOf(descriptor)?.toStored;
  const converted = convert ? convert(served) : served;
  return { ...converted, apiVersion: apiVersionOf(descriptor.storage) };
}
