/** What a CustomResourceDefinition must be like to be stored. */
import { isDeepStrictEqual } from 'node:util';
import { dns1035LabelErrors, dns1123SubdomainErrors } from '../../../machinery/api/names.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import {
  at,
  eachInvalid,
  type FieldError,
  fieldImmutable,
  invalidValue,
  required,
  unsupported,
} from '../validation/field-errors.ts';
import { isProtectedGroup } from './conditions.ts';
import { asDefinition, type Definition, type DefinitionNames, type DefinitionVersion, isTrue } from './definition.ts';
import { structuralErrors } from './structural.ts';
import { valueErrors } from './value-validation.ts';

export function definitionErrors(object: UnknownObject): FieldError[] {
  const definition = asDefinition(object);
  const { metadata, spec } = definition;
  const { group = '' } = spec;
  const names = spec.names ?? ({} as DefinitionNames);
  const versions = spec.versions ?? [];
  const errors: FieldError[] = [];
  const wanted = `${names.plural}.${group}`;
  if (metadata.name !== wanted)
    errors.push(invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'));
  if (isProtectedGroup(group) && metadata.annotations?.['api-approved.kubernetes.io'] === undefined)
    errors.push(
      required(
        'metadata.annotations[api-approved.kubernetes.io]',
        'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    );
  if (!group) errors.push(required('spec.group'));
  else {
    errors.push(...eachInvalid('spec.group', group, dns1123SubdomainErrors(group)));
    if (!group.includes('.'))
      errors.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'));
  }
  if (!spec.scope) errors.push(required('spec.scope'));
  else if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced')
    errors.push(unsupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']));
  errors.push(...versionErrors(definition, versions));
  if (spec.preserveUnknownFields)
    errors.push(
      invalidValue(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  errors.push(...nameErrors(names, 'spec.names'), ...conversionErrors(definition));
  return errors;
}

function versionErrors({ spec }: Definition, versions: DefinitionVersion[]): FieldError[] {
  const errors: FieldError[] = [];
  const path = 'spec.versions';
  const seen = new Set<string>();
  for (const [index, version] of versions.entries()) {
    const here = at(path, index);
    errors.push(...eachInvalid(`${here}.name`, version.name, dns1035LabelErrors(version.name ?? '')));
    if (seen.has(version.name))
      errors.push(invalidValue(`${here}.name`, version.name, 'must contain unique version names'));
    seen.add(version.name);
    if (version.deprecationWarning !== undefined && !version.deprecated)
      errors.push(
        invalidValue(
          `${here}.deprecationWarning`,
          version.deprecationWarning,
          'can only be set for deprecated versions',
        ),
      );
    errors.push(...schemaErrors(version, here), ...subresourceErrors(version, here), ...columnErrors(version, here));
  }
  const stored = versions.filter(({ storage }) => storage).length;
  if (stored !== 1)
    errors.push(invalidValue(path, spec.versions ?? null, 'must have exactly one version marked as storage version'));
  return errors;
}

function schemaErrors({ schema }: DefinitionVersion, path: string): FieldError[] {
  const openApi = schema?.openAPIV3Schema;
  const here = `${path}.schema.openAPIV3Schema`;
  if (!openApi) return [required(here, 'schemas are required')];
  const errors = structuralErrors(openApi, here);
  return errors.length ? errors : defaultErrors(openApi, here);
}

/** Defaults must be values that their own schema allows. */
function defaultErrors(
  schema: NonNullable<NonNullable<DefinitionVersion['schema']>['openAPIV3Schema']>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.default !== undefined) errors.push(...valueErrors(schema, schema.default, undefined, `${path}.default`));
  for (const [name, part] of Object.entries(schema.properties ?? {}))
    errors.push(...defaultErrors(part, `${path}.properties[${name}]`));
  if (schema.items) errors.push(...defaultErrors(schema.items, `${path}.items`));
  if (typeof schema.additionalProperties === 'object')
    errors.push(...defaultErrors(schema.additionalProperties, `${path}.additionalProperties`));
  return errors;
}

function subresourceErrors({ subresources }: DefinitionVersion, path: string): FieldError[] {
  const scale = subresources?.scale;
  if (!scale) return [];
  const check = (
    field: 'specReplicasPath' | 'statusReplicasPath' | 'labelSelectorPath',
    roots: string[],
  ): FieldError[] => {
    const here = `${path}.subresources.scale.${field}`;
    const value = scale[field];
    if (!value) return field === 'labelSelectorPath' ? [] : [required(here)];
    if (!/^(\.[A-Za-z0-9_-]+)+$/.test(value))
      return [invalidValue(here, value, 'should be a json path without array notation')];
    if (!roots.some((root) => value.startsWith(root)))
      return [invalidValue(here, value, `should be a json path under ${roots.join(' or ')}`)];
    return [];
  };
  return [
    ...check('specReplicasPath', ['.spec.']),
    ...check('statusReplicasPath', ['.status.']),
    ...check('labelSelectorPath', ['.status.', '.spec.']),
  ];
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];

function columnErrors(
  { additionalPrinterColumns = [], selectableFields = [] }: DefinitionVersion,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, column] of additionalPrinterColumns.entries()) {
    const here = `${path}.additionalPrinterColumns[${index}]`;
    if (!column.name) errors.push(required(`${here}.name`));
    if (!column.type) errors.push(required(`${here}.type`, `must be one of ${columnTypes.join(',')}`));
    else if (!columnTypes.includes(column.type))
      errors.push(invalidValue(`${here}.type`, column.type, `must be one of ${columnTypes.join(',')}`));
    if (!column.jsonPath) errors.push(required(`${here}.jsonPath`));
  }
  for (const [index, { jsonPath }] of selectableFields.entries())
    if (!jsonPath) errors.push(required(`${path}.selectableFields[${index}].jsonPath`));
  return errors;
}

function nameErrors(names: DefinitionNames, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const check = (field: string, value: string | undefined, given: string) => {
    if (!value) errors.push(required(`${path}.${field}`));
    else errors.push(...eachInvalid(`${path}.${field}`, given, dns1035LabelErrors(value)));
  };
  check('plural', names.plural, names.plural);
  check('singular', names.singular, names.singular ?? '');
  for (const [index, name] of (names.shortNames ?? []).entries())
    errors.push(...eachInvalid(`${path}.shortNames[${index}]`, name, dns1035LabelErrors(name)));
  for (const [index, name] of (names.categories ?? []).entries())
    errors.push(...eachInvalid(`${path}.categories[${index}]`, name, dns1035LabelErrors(name)));
  check('kind', names.kind?.toLowerCase(), names.kind);
  check('listKind', names.listKind?.toLowerCase(), names.listKind ?? '');
  if (names.kind && names.kind === names.listKind)
    errors.push(invalidValue(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'));
  return errors;
}

function conversionErrors({ spec }: Definition): FieldError[] {
  const { strategy, webhook } = spec.conversion ?? {};
  if (strategy !== undefined && strategy !== 'None' && strategy !== 'Webhook')
    return [unsupported('spec.conversion.strategy', strategy, ['None', 'Webhook'])];
  if (strategy === 'Webhook' && !webhook)
    return [required('spec.conversion.webhook.clientConfig', 'required when strategy is set to Webhook')];
  return [];
}

export function definitionUpdateErrors(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [next, before] = [asDefinition(object), asDefinition(old)];
  const errors = definitionErrors(object);
  const immutable = (field: string, value: unknown, was: unknown) => {
    if (!isDeepStrictEqual(value, was)) errors.push(invalidValue(field, value, fieldImmutable));
  };
  if (isTrue(before, 'Established')) {
    immutable('spec.scope', next.spec.scope, before.spec.scope);
    immutable('spec.names.kind', next.spec.names.kind, before.spec.names.kind);
  }
  immutable('spec.group', next.spec.group, before.spec.group);
  immutable('spec.names.plural', next.spec.names.plural, before.spec.names.plural);
  const known = new Set((next.spec.versions ?? []).map(({ name }) => name));
  for (const [index, version] of (next.status?.storedVersions ?? []).entries())
    if (!known.has(version))
      errors.push(invalidValue(at('status.storedVersions', index), version, 'must appear in spec.versions'));
  return errors;
}
