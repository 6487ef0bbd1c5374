/** Fields that a request cannot change, whatever it sends: they are neither compared nor owned. */
import type { ResourceDescriptor } from '../types.ts';
import type { IgnoredFields } from './compare.ts';
import type { FieldSet } from './field-set.ts';

/** Every object's identity and bookkeeping: nobody owns them. */
const unowned = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
];

/** What is taken out of every set. */
export const unownedFields: FieldSet = {
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': { '.': {}, ...Object.fromEntries(unowned.map((field) => [`f:${field}`, {}])) },
};

const unownedMetadata = new Set(unowned);
const podStatusMetadata = new Set([...unowned, 'deletionTimestamp', 'ownerReferences']);
const labelled = new Set([...unowned, 'labels']);

/** Metadata that a status update leaves alone, by kind; kinds that are not listed let it change all. */
const statusMetadata: Record<string, Set<string>> = {
  'apps/Deployment': labelled,
  '/Pod': podStatusMetadata,
};

const isTyping = (field: string): boolean => field === 'apiVersion' || field === 'kind';

/** What requests of the resource (`subresource` empty) or one of its subresources leave alone. */
export function ignoredFields(descriptor: ResourceDescriptor, subresource: string | undefined): IgnoredFields {
  const { group, kind, schema } = descriptor;
  if (subresource === 'status') {
    const custom = !schema.name.startsWith('io.k8s.');
    const metadata = statusMetadata[`${group}/${kind}`] ?? unownedMetadata;
    return {
      top: (field) => field !== 'status' && field !== 'metadata',
      metadata: custom ? () => true : (field) => metadata.has(field),
    };
  }
  if (subresource === 'approval') {
    return { top: (field) => isTyping(field) || field === 'spec', metadata: (field) => unownedMetadata.has(field) };
  }
  const hasStatus = descriptor.subresources.some(({ name }) => name === 'status');
  return {
    top: (field) => isTyping(field) || (hasStatus && field === 'status'),
    metadata: (field) => unownedMetadata.has(field),
  };
}
