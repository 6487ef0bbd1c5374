/** The rules of every kind by group and resource. */
import { dns1123SubdomainErrors } from '../../../machinery/api/names.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import type { FieldError } from './field-errors.ts';

export interface KindRules {
  /** What is wrong with a name; generated names are checked by their base, which may end with a dash. */
  name: (name: string) => string[];
  create?: (object: UnknownObject) => FieldError[];
  /** Absent: the rules of create. */
  update?: (object: UnknownObject, old: UnknownObject) => FieldError[];
  subresources?: Record<string, (object: UnknownObject, old: UnknownObject | undefined) => FieldError[]>;
}

const table: Record<string, KindRules> = {};
const other: KindRules = { name: dns1123SubdomainErrors };

export const rulesOf = ({ group, resource }: ResourceDescriptor): KindRules => table[`${group}/${resource}`] ?? other;
