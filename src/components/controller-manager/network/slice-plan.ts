/** From the endpoints that should be to the EndpointSlices to create, update and delete, with as few writes as possible. */
import { stableJson } from '../../../machinery/api/hash.ts';
import type { EndpointSlice } from '../../../machinery/api/types.ts';

export type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];
type SlicePort = NonNullable<EndpointSlice['ports']>[number];

/** Endpoints with the same ports can share slices. */
export interface EndpointGroup {
  ports: SlicePort[];
  endpoints: Endpoint[];
}

export interface SlicePlan {
  /** Of new slices: ports and endpoints. */
  create: EndpointGroup[];
  update: EndpointSlice[];
  remove: EndpointSlice[];
}

/** What makes an endpoint the same as before, even when its conditions changed. */
const identity = ({ addresses, targetRef, hostname }: Endpoint): string =>
  stableJson([addresses, targetRef?.uid, targetRef?.name, hostname]);

const portsKey = (ports: SlicePort[] | undefined): string =>
  (ports ?? [])
    .map(({ name = '', port, protocol = 'TCP', appProtocol = '' }) => stableJson([name, port, protocol, appProtocol]))
    .sort()
    .join();

/**
 * Plans one address type.
 * @param existing slices of that address type
 * @param isCurrent whether labels and the like of a slice are as they should be
 * @param most endpoints in a slice
 */
export function planSlices(
  groups: EndpointGroup[],
  existing: EndpointSlice[],
  isCurrent: (slice: EndpointSlice) => boolean,
  most = 100,
): SlicePlan {
  const plan: SlicePlan = { create: [], update: [], remove: [] };
  const slicesOf = Map.groupBy(existing, ({ ports }) => portsKey(ports));
  for (const group of groups) {
    const key = portsKey(group.ports);
    planGroup(group, slicesOf.get(key) ?? [], isCurrent, most, plan);
    slicesOf.delete(key);
  }
  for (const slices of slicesOf.values()) plan.remove.push(...slices);
  keepPlaceholder(plan, existing, isCurrent);
  return plan;
}

function planGroup(
  { ports, endpoints }: EndpointGroup,
  slices: EndpointSlice[],
  isCurrent: (slice: EndpointSlice) => boolean,
  most: number,
  plan: SlicePlan,
): void {
  const missing = new Map(endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const kept: { slice: EndpointSlice; endpoints: Endpoint[]; changed: boolean }[] = [];
  for (const slice of slices) {
    const still: Endpoint[] = [];
    let changed = !isCurrent(slice);
    for (const endpoint of slice.endpoints ?? []) {
      const key = identity(endpoint);
      const wanted = missing.get(key);
      if (!wanted) continue;
      missing.delete(key);
      still.push(wanted);
      changed ||= stableJson(wanted) !== stableJson(endpoint);
    }
    changed ||= still.length !== (slice.endpoints ?? []).length;
    kept.push({ slice, endpoints: still, changed });
  }
  const rest = [...missing.values()];
  // What is written anyway is filled first; then the fullest slice with room for all of the rest; then new ones.
  const written = kept.filter(({ changed, endpoints: own }) => changed && own.length > 0);
  for (const entry of written.sort((a, b) => b.endpoints.length - a.endpoints.length))
    entry.endpoints.push(...rest.splice(0, Math.max(0, most - entry.endpoints.length)));
  while (rest.length > 0) {
    const batch = rest.splice(0, most);
    const target = kept
      .filter((entry) => entry.endpoints.length + batch.length <= most)
      .sort((a, b) => b.endpoints.length - a.endpoints.length)[0];
    if (target) {
      target.endpoints.push(...batch);
      target.changed = true;
    } else plan.create.push({ ports, endpoints: batch });
  }
  for (const { slice, endpoints: own, changed } of kept) {
    if (own.length === 0) plan.remove.push(slice);
    else if (changed) plan.update.push({ ...slice, endpoints: own });
  }
}

/** A service without endpoints has one empty slice, so that readers can tell it from one not yet looked at. */
function keepPlaceholder(plan: SlicePlan, existing: EndpointSlice[], isCurrent: (slice: EndpointSlice) => boolean) {
  if (plan.create.length > 0 || plan.remove.length < existing.length) return;
  const index = plan.remove.findIndex((slice) => !slice.endpoints?.length && !slice.ports?.length && isCurrent(slice));
  if (index >= 0) plan.remove.splice(index, 1);
  else plan.create.push({ ports: [], endpoints: [] });
}
