/** The bodies of discovery documents. */
import { createHash } from 'node:crypto';
import type { ResourceDescriptor } from '../types.ts';
import type { ServedGroup, ServedVersion } from './groups.ts';

/** `/api`. */
export const apiVersions = (serverAddress: string) => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
});

const groupVersion = (group: string, version: string) => (group ? `${group}/${version}` : version);

const groupFields = ({ group, versions }: ServedGroup) => {
  const listed = versions.map(({ version }) => ({ groupVersion: groupVersion(group, version), version }));
  return { name: group, versions: listed, preferredVersion: listed[0] };
};

/** `/apis`. */
export const groupList = (groups: ServedGroup[]) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: groups.filter(({ group }) => group).map(groupFields),
});

/** `/apis/<group>`. */
export const apiGroup = (group: ServedGroup) => ({ kind: 'APIGroup', apiVersion: 'v1', ...groupFields(group) });

/** `/api/v1` and `/apis/<group>/<version>`. */
export const resourceList = (group: string, { version, resources }: ServedVersion) => ({
  kind: 'APIResourceList',
  ...(group ? { apiVersion: 'v1' } : {}),
  groupVersion: groupVersion(group, version),
  resources: resources.flatMap((descriptor) => [
    {
      name: descriptor.resource,
      singularName: descriptor.singular,
      namespaced: descriptor.namespaced,
      kind: descriptor.kind,
      verbs: descriptor.verbs,
      ...(descriptor.shortNames.length ? { shortNames: descriptor.shortNames } : {}),
      ...(descriptor.categories.length ? { categories: descriptor.categories } : {}),
      ...storageVersionHash(descriptor),
    },
    ...descriptor.subresources.map((subresource) => ({
      name: `${descriptor.resource}/${subresource.name}`,
      singularName: '',
      namespaced: descriptor.namespaced,
      ...(subresource.group === descriptor.group && subresource.version === descriptor.version
        ? {}
        : { group: subresource.group, version: subresource.version }),
      kind: subresource.kind,
      verbs: subresource.verbs,
    })),
  ]),
});

/** Kinds whose hash upstream still makes from an older version. */
const hashedVersions: Record<string, string> = {
  CustomResourceDefinition: 'v1beta1',
  MutatingAdmissionPolicy: 'v1beta1',
  MutatingAdmissionPolicyBinding: 'v1beta1',
};

/** Tells clients when the stored form changes: the start of a hash over the stored group, version and kind. */
function storageVersionHash({ storage, kind, virtual, resource, group }: ResourceDescriptor) {
  if (virtual || (group === '' && resource === 'componentstatuses')) return {};
  const version = hashedVersions[kind] ?? storage.version;
  const hash = createHash('sha256').update(`${storage.group}/${version}/${kind}`).digest();
  return { storageVersionHash: hash.subarray(0, 8).toString('base64') };
}

/** `/api` and `/apis` in the form that lists all resources at once. */
export const aggregated = (groups: ServedGroup[], version: 'v2' | 'v2beta1') => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: `apidiscovery.k8s.io/${version}`,
  metadata: {},
  items: groups.map(({ group, versions }) => ({
    metadata: group ? { name: group } : {},
    versions: versions.map(({ version, resources, remote }) => ({
      version,
      resources: remote?.resources ?? resources.map(aggregatedResource),
      freshness: remote?.stale ? 'Stale' : 'Current',
    })),
  })),
});

const aggregatedResource = (descriptor: ResourceDescriptor) => ({
  resource: descriptor.resource,
  responseKind: { group: '', version: '', kind: descriptor.kind },
  scope: descriptor.namespaced ? 'Namespaced' : 'Cluster',
  singularResource: descriptor.singular,
  verbs: descriptor.verbs,
  ...(descriptor.shortNames.length ? { shortNames: descriptor.shortNames } : {}),
  ...(descriptor.categories.length ? { categories: descriptor.categories } : {}),
  ...(descriptor.subresources.length
    ? {
        subresources: descriptor.subresources.map((subresource) => {
          const same = subresource.group === descriptor.group && subresource.version === descriptor.version;
          const { group, version } = same ? { group: '', version: '' } : subresource;
          return {
            subresource: subresource.name,
            responseKind: { group, version, kind: subresource.kind },
            verbs: subresource.verbs,
          };
        }),
      }
    : {}),
});
