/** Descriptors of the built-in resources, made from the discovery and type facts. */
import type { TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import { storageOf } from './storage.ts';
import { builtInGroups, type DiscoveredResource, typeTable } from './type-facts.ts';

/** Everything that a v1.36 server serves by default, in the order of its discovery documents. */
export function builtInDescriptors(): ResourceDescriptor[] {
  return builtInGroups().flatMap(({ group, versions }) =>
    versions.flatMap(({ version, resources }) =>
      resources.map((resource) => builtInDescriptor(group, version, resource)),
    ),
  );
}

function builtInDescriptor(group: string, version: string, found: DiscoveredResource): ResourceDescriptor {
  let schema: TypeSchema | undefined;
  return {
    group,
    version,
    resource: found.resource,
    singular: found.singularResource,
    kind: found.responseKind.kind,
    listKind: `${found.responseKind.kind}List`,
    namespaced: found.scope === 'Namespaced',
    shortNames: found.shortNames ?? [],
    categories: found.categories ?? [],
    verbs: found.verbs,
    subresources: (found.subresources ?? []).map((subresource) => ({
      name: subresource.subresource,
      kind: subresource.responseKind?.kind ?? found.responseKind.kind,
      group: subresource.responseKind?.version ? (subresource.responseKind.group ?? '') : group,
      version: subresource.responseKind?.version || version,
      verbs: subresource.verbs,
    })),
    virtual: found.verbs.length === 1 && found.verbs[0] === 'create',
    storage: storageOf(group, version, found.resource),
    get schema() {
      schema ??= typeTable().kind(group, version, found.responseKind.kind);
      if (!schema) throw new Error(`no type for ${group}/${version} ${found.responseKind.kind}`);
      return schema;
    },
  };
}
