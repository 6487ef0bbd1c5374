/** The rules of every kind by group and resource. */
import { dns1123SubdomainErrors, pathSegmentErrors } from '../../../machinery/api/names.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { ResourceDescriptor } from '../types.ts';
import type { FieldError } from './field-errors.ts';
import { podCreateErrors, podEphemeralErrors, podStatusErrors, podUpdateErrors } from './pods/update.ts';

export interface KindRules {
  /** What is wrong with a name; generated names are checked by their base, which may end with a dash. */
  name: (name: string) => string[];
  create?: (object: UnknownObject) => FieldError[];
  /** Absent: the rules of create. */
  update?: (object: UnknownObject, old: UnknownObject) => FieldError[];
  subresources?: Record<string, (object: UnknownObject, old: UnknownObject | undefined) => FieldError[]>;
}

const pathSegment: KindRules = { name: pathSegmentErrors };
const table: Record<string, KindRules> = {
  'rbac.authorization.k8s.io/roles': pathSegment,
  'rbac.authorization.k8s.io/rolebindings': pathSegment,
  'rbac.authorization.k8s.io/clusterroles': pathSegment,
  'rbac.authorization.k8s.io/clusterrolebindings': pathSegment,
  'networking.k8s.io/ipaddresses': { name: () => [] },
  'certificates.k8s.io/certificatesigningrequests': pathSegment,
};
const other: KindRules = { name: dns1123SubdomainErrors };

export const rulesOf = ({ group, resource }: ResourceDescriptor): KindRules => table[`${group}/${resource}`] ?? other;
