/** Amounts of resources as plain numbers, as the scheduler compares them on every node for every pod. */
import { podRequests } from '../../../machinery/api/pod-resources.ts';
import {
  parseQuantity,
  parseResourceList,
  quantityMilliValue,
  quantityValue,
  type ResourceQuantities,
} from '../../../machinery/api/quantity.ts';
import type { Pod } from '../../../machinery/api/types.ts';

/** cpu in thousandths, everything else in units. */
export type Amounts = Map<string, number>;

export function amountsOf(list: ResourceQuantities): Amounts {
  const amounts: Amounts = new Map();
  for (const [name, quantity] of Object.entries(list))
    amounts.set(name, name === 'cpu' ? quantityMilliValue(quantity) : quantityValue(quantity));
  return amounts;
}

export const amountsOfTexts = (list: Record<string, string> | undefined): Amounts => amountsOf(parseResourceList(list));

/** Adds in place; `sign` -1 takes away. */
export function addAmounts(to: Amounts, other: Amounts, sign: 1 | -1): void {
  for (const [name, amount] of other) to.set(name, (to.get(name) ?? 0) + sign * amount);
}

/** What scoring assumes for containers that request nothing, so that they are spread too: 100m and 200 MB. */
const assumed: ResourceQuantities = { cpu: parseQuantity('100m'), memory: parseQuantity(200 * 1024 * 1024) };

export const requestsOf = (pod: Pod): Amounts => amountsOf(podRequests(pod));
export const assumedRequestsOf = (pod: Pod): Amounts => amountsOf(podRequests(pod, { nonZero: assumed }));
