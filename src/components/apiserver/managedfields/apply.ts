/** Server-side apply: merge, conflicts, ownership, and removal of what the applier no longer wants. */
import type { TypeSchema } from '../../../machinery/api/schema/types.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { apiVersionOf } from '../conversion/conversion.ts';
import { badRequest, StatusError } from '../errors.ts';
import type { ResourceDescriptor } from '../types.ts';
import { compareObjects, type IgnoredFields } from './compare.ts';
import { type Conflict, conflictError } from './conflicts.ts';
import { type Owner, readOwners, sameOwner, withOwners, withoutEmpty } from './entries.ts';
import { difference, type FieldSet, intersection, isEmptySet, union } from './field-set.ts';
import { fieldsOf, withNamedFields } from './field-sets-of.ts';
import { clientSideFields, followLastApplied } from './last-applied.ts';
import { mergeApplied, removeFields } from './merge.ts';
import { type FieldWrite, ownersAfterUpdate, ownerTime } from './ownership.ts';
import { ignoredFields, unownedFields } from './reset-fields.ts';
import { emptyObject, sameJson } from './shapes.ts';

type ApplyWrite = FieldWrite & { force: boolean };

/** The applier that may take over what client-side apply owned. */
const kubectl = 'kubectl';

/**
 * Server-side apply: merges `applied` into `live` (undefined: creates) and returns the merged object with its managedFields;
 * the caller normalizes, defaults and validates it. When nothing changes, the result equals `live`.
 * Throws the 409 StatusError with one cause per conflict, and 400/422 for apply configurations that cannot be read.
 */
export function applyPatch(
  descriptor: ResourceDescriptor,
  live: UnknownObject | undefined,
  applied: UnknownObject,
  write: ApplyWrite,
): UnknownObject {
  const { schema } = descriptor;
  if (applied.metadata?.managedFields?.length) throw badRequest('metadata.managedFields must be nil');
  const ignored = ignoredFields(descriptor, write.subresource);
  const config = mergeable(applied, ignored);
  const declared = declaredFields(descriptor, applied, ignored);
  const owners = ownersBefore(descriptor, live, write);
  const identity = {
    manager: write.manager || 'unknown',
    operation: 'Apply' as const,
    apiVersion: apiVersionOf(descriptor),
    subresource: write.subresource,
  };
  const previous = owners.find((owner) => sameOwner(owner, identity));
  const others = owners.filter((owner) => owner !== previous);

  const base = live ?? { apiVersion: applied.apiVersion ?? '', kind: applied.kind ?? '', metadata: {} };
  const merged = mergeApplied(schema, base, config) as UnknownObject;
  const claimed = others.reduce((set, owner) => union(set, owner.fields), declared);
  const result = previous ? pruned(schema, merged, previous.fields, declared, claimed) : merged;

  const { changed, removed } = compareObjects(schema, live ?? emptyObject(schema), result, ignored);
  const conflicts = conflictsWith(others, changed);
  if (conflicts.length && !write.force) checkConflicts(schema, live, identity, conflicts);

  const remaining = others.map((owner) => {
    const fields = difference(difference(owner.fields, changed), removed);
    return fields === owner.fields ? owner : { ...owner, fields };
  });
  const fields = difference(declared, unownedFields);
  const same = live !== undefined && sameJson(withOwners(live, []), withOwners(result, []));
  const unchanged =
    same &&
    live.metadata?.managedFields !== undefined &&
    previous?.apiVersion === identity.apiVersion &&
    sameJson(previous.fields, fields) &&
    remaining.every((owner, index) => owner === others[index]);
  const self: Owner = { ...identity, time: unchanged ? previous?.time : ownerTime(write.now), fields };
  const annotated = write.manager === kubectl && !write.subresource ? followLastApplied(live, result, applied) : result;
  if (unchanged && annotated === result) return live;
  return structuredClone(withOwners(annotated, withoutEmpty([...remaining, self])));
}

/** The configuration without what this request cannot change. */
function mergeable(applied: UnknownObject, ignored: IgnoredFields): UnknownObject {
  const config: UnknownObject = {};
  for (const [name, value] of Object.entries(applied)) {
    if (name === 'apiVersion' || name === 'kind' || !ignored.top(name)) config[name] = value;
  }
  const {
    managedFields: _fields,
    creationTimestamp: _time,
    generation: _generation,
    selfLink: _link,
    ...metadata
  } = config.metadata ?? {};
  return { ...config, metadata };
}

/** What the configuration sets, identity included. Throws as upstream does for fields that the type does not have. */
function declaredFields(descriptor: ResourceDescriptor, applied: UnknownObject, ignored: IgnoredFields): FieldSet {
  const { set, errors } = fieldsOf(descriptor.schema, applied);
  if (errors.length) {
    const { namespace = '', name = '' } = applied.metadata ?? {};
    const listed = errors.length === 1 ? errors[0] : `errors:\n${errors.map((error) => `  ${error}`).join('\n')}`;
    throw new StatusError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: `failed to create typed patch object (${namespace}/${name}; ${applied.apiVersion}, Kind=${applied.kind}): ${listed}`,
      code: 500,
    });
  }
  const kept: FieldSet = {};
  for (const [element, node] of Object.entries(set)) {
    const name = element.slice(2);
    if (name === 'apiVersion' || name === 'kind' || !ignored.top(name)) kept[element] = node;
  }
  return kept;
}

/** Of an object that nobody is recorded for, everything belongs to who came before the first apply. */
function ownersBefore(descriptor: ResourceDescriptor, live: UnknownObject | undefined, write: ApplyWrite): Owner[] {
  const owners = readOwners(live) ?? [];
  if (owners.length || !live) return owners;
  return ownersAfterUpdate(descriptor, undefined, live, [], { ...write, manager: 'before-first-apply' });
}

/** Without fields that this applier set last time, does not set now, and nobody else claims. */
function pruned(
  schema: TypeSchema,
  merged: UnknownObject,
  lastApplied: FieldSet,
  declared: FieldSet,
  claimed: FieldSet,
): UnknownObject {
  if (isEmptySet(difference(lastApplied, declared))) return merged;
  const named = (set: FieldSet) => withNamedFields(schema, set);
  const fields = (object: UnknownObject) => named(fieldsOf(schema, object).set);
  const last = named(lastApplied);
  const all = fields(merged);
  const withoutLast = removeFields(schema, merged, last) as UnknownObject;
  const unclaimed = difference(all, union(fields(withoutLast), named(claimed)));
  const withClaimed = removeFields(schema, merged, unclaimed) as UnknownObject;
  const dangling = intersection(difference(all, fields(withClaimed)), last);
  return removeFields(schema, merged, dangling) as UnknownObject;
}

function conflictsWith(others: Owner[], changed: FieldSet): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const owner of others) {
    const fields = intersection(owner.fields, changed);
    if (!isEmptySet(fields)) conflicts.push({ owner, fields });
  }
  return conflicts;
}

function checkConflicts(
  schema: TypeSchema,
  live: UnknownObject | undefined,
  { manager, subresource }: { manager: string; subresource: string | undefined },
  conflicts: Conflict[],
): void {
  const allowed = manager === kubectl && !subresource && live ? clientSideFields(schema, live) : {};
  const forbidden = conflicts
    .map(({ owner, fields }) => ({ owner, fields: difference(fields, allowed) }))
    .filter(({ fields }) => !isEmptySet(fields));
  if (forbidden.length) throw conflictError(forbidden);
}
