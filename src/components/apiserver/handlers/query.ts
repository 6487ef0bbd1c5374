/** Query parameters as the options of list, watch and the writes. */
import {
  type FieldRequirement,
  matchesSelector,
  parseSelector,
  type Selector,
} from '../../../machinery/api/selectors.ts';
import { badRequest } from '../errors.ts';
import { matchesFieldRequirements, parseFields } from '../rest/fields.ts';
import { isTrue } from '../server/request-info.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import type { ResourceDescriptor } from '../types.ts';

export interface ObjectFilter {
  /** Empty filters match everything. */
  empty: boolean;
  matches(stored: StoredObject): boolean;
  /** Demanded by `metadata.name=` or the URL. */
  name: string | undefined;
}

/** Throws 400 for selectors that cannot be read. */
export function objectFilter(descriptor: ResourceDescriptor, query: URLSearchParams, name = ''): ObjectFilter {
  let labels: Selector = [];
  try {
    labels = parseSelector(query.get('labelSelector') ?? '');
  } catch (error) {
    throw badRequest(`unable to parse requirement: ${(error as Error).message}`);
  }
  const fields: FieldRequirement[] = parseFields(descriptor, query.get('fieldSelector'));
  if (name) fields.push({ field: 'metadata.name', operator: '=', value: name } as FieldRequirement);
  return {
    empty: labels.length === 0 && fields.length === 0,
    name: fields.find(({ field, operator }) => field === 'metadata.name' && operator !== '!=')?.value,
    matches: ({ object }) =>
      (labels.length === 0 || matchesSelector(labels, object.metadata?.labels)) &&
      (fields.length === 0 || matchesFieldRequirements(fields, object)),
  };
}

/** A number parameter; throws 400 for anything else. */
export function integerParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** `resourceVersion` as a number; undefined when it is not given. Throws 400. */
export function revisionParameter(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion');
  if (!text) return undefined;
  if (!/^\d+$/.test(text))
    throw badRequest(
      `Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return Number(text);
}

export const flagParameter = (query: URLSearchParams, name: string): boolean => isTrue(query.get(name));

/** Throws 400 for anything but `All`. */
export function dryRunParameter(values: string[]): boolean {
  const given = values.filter(Boolean);
  if (given.some((value) => value !== 'All'))
    throw badRequest(`Invalid value: ${JSON.stringify(given)}: dryRun must be one of: "All"`);
  return given.length > 0;
}
