/** The entries of `metadata.managedFields`: who owns which fields, read, written, ordered and limited in number. */
import type { ManagedFieldsEntry, UnknownObject } from '../../../machinery/api/types.ts';
import { type FieldSet, isEmptySet, union } from './field-set.ts';
import { sameJson } from './shapes.ts';

export interface Owner {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource?: string | undefined;
  time?: string | undefined;
  fields: FieldSet;
}

const maxUpdaters = 10;
const oldUpdaters = 'ancient-changes';

/** Whether both are one owner: appliers keep their identity over versions. */
export function sameOwner(a: Omit<Owner, 'fields'>, b: Omit<Owner, 'fields'>): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** undefined when an entry cannot be read. */
export function readOwners(object: UnknownObject | undefined): Owner[] | undefined {
  const entries = object?.metadata?.managedFields;
  if (!Array.isArray(entries)) return [];
  const owners: Owner[] = [];
  for (const { manager, operation, apiVersion, subresource, time, fieldsType, fieldsV1 } of entries) {
    if ((operation !== 'Apply' && operation !== 'Update') || fieldsType !== 'FieldsV1' || !apiVersion) return undefined;
    const fields = (fieldsV1 ?? {}) as FieldSet;
    owners.push({ manager: manager ?? '', operation, apiVersion, subresource, time, fields });
  }
  return owners;
}

/** An update may ask to forget all owners by sending one empty entry. */
export function asksForReset(object: UnknownObject): boolean {
  const entries = object.metadata?.managedFields;
  return entries?.length === 1 && Object.values(entries[0] ?? {}).every((value) => value === undefined || value === '');
}

/** The object with the owners written into its metadata; the given object is not modified. */
export function withOwners(object: UnknownObject, owners: Owner[]): UnknownObject {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  if (owners.length === 0) return { ...object, metadata };
  return { ...object, metadata: { ...metadata, managedFields: [...owners].sort(byAge).map(entryOf) } };
}

function entryOf({ manager, operation, apiVersion, subresource, time, fields }: Owner): ManagedFieldsEntry {
  return {
    manager,
    operation,
    apiVersion,
    ...(time ? { time } : {}),
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource ? { subresource } : {}),
  };
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const seconds = ({ time }: Owner): number => (time ? Math.floor(Date.parse(time) / 1000) : 0);

function byAge(a: Owner, b: Owner): number {
  return (
    compareText(a.operation, b.operation) ||
    seconds(a) - seconds(b) ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource ?? '', b.subresource ?? '')
  );
}

/** As upstream's manager identifier: the text that owners of one age are ordered by. */
export const ownerText = ({ manager, operation, apiVersion, subresource }: Owner): string =>
  JSON.stringify({ manager, operation, ...(operation === 'Update' ? { apiVersion } : {}), subresource });

/** Joins the oldest updaters of each version into one entry until few enough are left. */
export function limitOwners(owners: Owner[]): Owner[] {
  const updaters = owners.filter(({ operation }) => operation === 'Update');
  if (updaters.length <= maxUpdaters) return owners;
  updaters.sort((a, b) => seconds(a) - seconds(b) || compareText(ownerText(a), ownerText(b)));
  let kept = [...owners];
  let count = updaters.length;
  const firsts = new Map<string, Owner>();
  for (const owner of updaters) {
    if (count <= maxUpdaters) break;
    const { apiVersion, time } = owner;
    const first = firsts.get(apiVersion);
    if (!first) {
      firsts.set(apiVersion, owner);
      continue;
    }
    const identity = { manager: oldUpdaters, operation: 'Update' as const, apiVersion };
    const bucket = kept.find((candidate) => sameOwner(candidate, identity));
    const fields = union((bucket ?? first).fields, owner.fields);
    kept = kept.filter((candidate) => candidate !== owner && candidate !== (bucket ?? first));
    kept.push({ ...identity, time, fields });
    count--;
  }
  return kept;
}

/** Owners whose set has become empty are no more. */
export const withoutEmpty = (owners: Owner[]): Owner[] => owners.filter(({ fields }) => !isEmptySet(fields));

/** Whether the objects are the same but for the times of their owners: such a change is not worth a write. */
export function differsInTimesOnly(before: UnknownObject, after: UnknownObject): boolean {
  const [old, next] = [before.metadata?.managedFields ?? [], after.metadata?.managedFields ?? []];
  if (old.length !== next.length) return false;
  const sameOwners = next.every((entry, index) =>
    sameJson({ ...entry, time: undefined }, { ...old[index], time: undefined }),
  );
  return sameOwners && sameJson(withOwners(before, []), withOwners(after, []));
}
