/** APIService objects: which server answers for a group and version, and when they may be written. */

import type { V1APIService } from '@kubernetes/client-node';
import { withCondition } from '../../../machinery/api/conditions.ts';
import type { Plain, UnknownObject } from '../../../machinery/api/types.ts';
import { type Strategy, section } from '../strategies/strategy.ts';
import type { GroupResource } from '../types.ts';

export type ApiService = Plain<V1APIService>;
export type ApiServiceCondition = NonNullable<NonNullable<ApiService['status']>['conditions']>[number];

export const apiServices: GroupResource = { group: 'apiregistration.k8s.io', resource: 'apiservices' };

export const asApiService = (object: UnknownObject): ApiService => object as unknown as ApiService;

/** `v1.apps`; the core group has `v1.`. */
export const apiServiceName = (group: string, version: string): string => `${version}.${group}`;

export const localAvailability: ApiServiceCondition = {
  type: 'Available',
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
};

/** The status with its Available condition set; undefined when it has it already. */
export function withAvailability(
  service: ApiService,
  condition: ApiServiceCondition,
): ApiService['status'] | undefined {
  const before = service.status?.conditions;
  const conditions = withCondition(before, condition);
  return conditions === before ? undefined : { ...service.status, conditions };
}

/** What this server answers itself is available from the start; the rest is found out. */
export const apiServiceStrategy: Strategy = {
  prepareForCreate(object) {
    section(object, 'spec');
    const service = asApiService(object);
    object['status'] = service.spec?.service ? {} : withAvailability({ ...service, status: {} }, localAvailability);
  },
};
