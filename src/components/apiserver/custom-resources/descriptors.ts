/** The served resources that a CustomResourceDefinition describes: one descriptor per served version. */
import { typeSchemaFromOpenApi } from '../../../machinery/api/schema/from-openapi.ts';
import type { TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { Described } from '../openapi/documents.ts';
import { customStoragePrefix } from '../registry/storage.ts';
import { typeTable } from '../registry/type-facts.ts';
import type { PrinterColumn } from '../table/custom-columns.ts';
import type { CustomKind, SubresourceDescriptor } from '../types.ts';
import { type Definition, type DefinitionVersion, isTrue, type Schema, storageVersion } from './definition.ts';
import { createObjectValidation } from './object-validation.ts';

export type CustomDescriptor = Described & { printerColumns: PrinterColumn[]; custom: CustomKind };

const verbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const verbsOfTerminating = ['delete', 'deletecollection', 'get', 'list', 'watch'];
const subresourceVerbs = ['get', 'patch', 'update'];

/** The names are the accepted ones. */
export function customDescriptors(definition: Definition): CustomDescriptor[] {
  return definition.spec.versions.filter(({ served }) => served).map((version) => descriptorOf(definition, version));
}

function descriptorOf(definition: Definition, version: DefinitionVersion): CustomDescriptor {
  const { group, scope, names, versions } = definition.spec;
  const { kind, plural } = names;
  const openApi: Schema = version.schema?.openAPIV3Schema ?? {};
  let schema: TypeSchema | undefined;
  let validation: CustomKind['validate'] | undefined;
  const terminating = isTrue(definition, 'Terminating');
  const { scale } = version.subresources ?? {};
  return {
    group,
    version: version.name,
    resource: plural,
    singular: names.singular || kind.toLowerCase(),
    kind,
    listKind: names.listKind || `${kind}List`,
    namespaced: scope === 'Namespaced',
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    verbs: terminating ? verbsOfTerminating : verbs,
    subresources: subresourcesOf(definition, version),
    virtual: false,
    storage: { group, version: storageVersion(definition), prefix: customStoragePrefix(group, plural) },
    get schema() {
      schema ??= typeSchemaFromOpenApi(`custom.${group}.${version.name}.${kind}`, openApi, objectMeta());
      return schema;
    },
    openAPIV3Schema: openApi,
    printerColumns: version.additionalPrinterColumns ?? [],
    custom: {
      validate(object, old, subresource) {
        validation ??= createObjectValidation(openApi);
        return validation(object, old, subresource);
      },
      verbs: terminating ? verbs.filter((verb) => verb !== 'create') : verbs,
      ...(scale ? { scale } : {}),
      selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath.replace(/^\./, '')),
      completed: versions.length > 1 || hasDefaults(openApi),
      ...(version.deprecated ? { deprecation: deprecationOf(definition, version) } : {}),
    },
  };
}

function objectMeta(): TypeSchema {
  const found = typeTable().type('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
  if (!found) throw new Error('no type for ObjectMeta');
  return found;
}

function subresourcesOf({ spec }: Definition, { name, subresources = {} }: DefinitionVersion): SubresourceDescriptor[] {
  const { kind } = spec.names;
  return [
    ...(subresources.status
      ? [{ name: 'status', kind, group: spec.group, version: name, verbs: subresourceVerbs }]
      : []),
    ...(subresources.scale
      ? [{ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: subresourceVerbs }]
      : []),
  ];
}

const deprecationOf = ({ spec }: Definition, { name, deprecationWarning }: DefinitionVersion): string =>
  deprecationWarning ?? `${spec.group}/${name} ${spec.names.kind} is deprecated`;

/** Whether the schema or a part of it has a default. */
const hasDefaults = ({ default: own, properties, items, additionalProperties }: Schema): boolean =>
  own !== undefined ||
  [...Object.values(properties ?? {}), items, additionalProperties].some(
    (part) => typeof part === 'object' && hasDefaults(part),
  );
