/** ResourceQuota: what an object uses is added to the quotas of its namespace before it is written, or it is refused. */
import {
  addResourceLists,
  compareQuantities,
  formatQuantity,
  parseResourceList,
  type ResourceQuantities,
  subtractQuantities,
  zeroQuantity,
} from '../../../../machinery/api/quantity.ts';
import { countedResources, inScope, usageOf } from '../../../../machinery/api/quota.ts';
import type { Container, Pod, ResourceQuota, UnknownObject } from '../../../../machinery/api/types.ts';
import type { AdmissionAttributes } from '../../types.ts';
import { type AdmissionDeps, isFor, onOperations, type PluginFactory, refuse } from '../plugin.ts';

const resourceQuotas = { group: '', resource: 'resourcequotas' };

/** What an update may use more of. */
const growing = (attributes: AdmissionAttributes): boolean =>
  isFor(attributes, '', 'services') ||
  isFor(attributes, '', 'persistentvolumeclaims') ||
  isFor(attributes, '', 'pods', 'resize');

export const resourceQuota: PluginFactory = (deps) => {
  const inTurn = createTurns();
  return {
    name: 'ResourceQuota',
    handles: onOperations('CREATE', 'UPDATE'),
    async validate(attributes) {
      const { descriptor, namespace, operation, subresource, object } = attributes;
      if (!descriptor.namespaced || descriptor.virtual || !object || !namespace) return;
      if (operation === 'CREATE' ? subresource !== '' : !growing(attributes)) return;
      const quotas = (deps.cache.list(resourceQuotas, namespace) as unknown as ResourceQuota[]).filter((quota) =>
        concerns(quota, attributes),
      );
      if (!quotas.length) return;
      for (const quota of quotas) checkConstraints(quota, attributes);
      const delta = usedBy(attributes);
      if (!Object.keys(delta).length) return;
      for (const quota of quotas) reserved(quota, delta, attributes);
      if (attributes.dryRun) return;
      for (const { metadata } of quotas)
        await inTurn(`${namespace}/${metadata?.name}`, () => reserve(deps, metadata?.name ?? '', delta, attributes));
    },
  };
};

/** Names of the quota's hard limits that objects of the attributes' resource can use. */
function namesFor(quota: ResourceQuota, { descriptor: { group, resource } }: AdmissionAttributes): string[] {
  return Object.keys(quota.status?.hard ?? {}).filter((name) =>
    countedResources([name]).some((counted) => counted.group === group && counted.resource === resource),
  );
}

function concerns(quota: ResourceQuota, attributes: AdmissionAttributes): boolean {
  return (
    namesFor(quota, attributes).length > 0 && inScope(quota, attributes.descriptor, attributes.object as UnknownObject)
  );
}

/** More than zero of what the object uses beyond what it used before. */
function usedBy({ descriptor, object, oldObject }: AdmissionAttributes): ResourceQuantities {
  const usage = usageOf(descriptor, object as UnknownObject);
  const before = oldObject ? usageOf(descriptor, oldObject) : {};
  const delta: ResourceQuantities = {};
  for (const [name, quantity] of Object.entries(usage)) {
    const more = subtractQuantities(quantity, before[name] ?? zeroQuantity);
    if (more.nano > 0n) delta[name] = more;
  }
  return delta;
}

const computeNames = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

/** Where a quota limits compute resources, every container says how much it wants. */
function checkConstraints(quota: ResourceQuota, attributes: AdmissionAttributes): void {
  if (!isFor(attributes, '', 'pods')) return;
  const names = namesFor(quota, attributes).filter((name) => computeNames.includes(name));
  if (!names.length) return;
  const { spec } = attributes.object as Pod;
  const missing = new Map<string, string[]>();
  for (const container of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])])
    for (const name of names)
      if (!saysHowMuch(container, name)) missing.set(name, [...(missing.get(name) ?? []), container.name]);
  if (!missing.size) return;
  const list = [...missing]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, who]) => `${name} for: ${who.sort().join(',')}`);
  throw refuse(attributes, `failed quota: ${quota.metadata?.name}: must specify ${list.join('; ')}`);
}

function saysHowMuch({ resources }: Container, name: string): boolean {
  const [kind, resource] = name.includes('.') ? name.split('.') : ['requests', name];
  return (kind === 'limits' ? resources?.limits : resources?.requests)?.[resource ?? ''] !== undefined;
}

/** The quota's `used` with the delta. Throws 403 when that is more than allowed. */
function reserved(
  quota: ResourceQuota,
  delta: ResourceQuantities,
  attributes: AdmissionAttributes,
): Record<string, string> {
  const hard = parseResourceList(quota.status?.hard);
  const used = parseResourceList(quota.status?.used);
  const name = quota.metadata?.name ?? '';
  const unknown = namesFor(quota, attributes).filter((wanted) => !(wanted in used));
  if (unknown.length)
    throw refuse(attributes, `status unknown for quota: ${name}, resources: ${unknown.sort().join(',')}`);
  const relevant = Object.fromEntries(Object.entries(delta).filter(([wanted]) => wanted in hard));
  const next = addResourceLists(used, relevant);
  const exceeded = Object.keys(relevant).filter(
    (wanted) => compareQuantities(next[wanted] ?? zeroQuantity, hard[wanted] ?? zeroQuantity) > 0,
  );
  if (exceeded.length) {
    const print = (list: ResourceQuantities) =>
      exceeded
        .sort()
        .map((wanted) => `${wanted}=${formatQuantity(list[wanted] ?? zeroQuantity)}`)
        .join(',');
    throw refuse(
      attributes,
      `exceeded quota: ${name}, requested: ${print(relevant)}, used: ${print(used)}, limited: ${print(hard)}`,
    );
  }
  return Object.fromEntries(Object.entries(next).map(([wanted, quantity]) => [wanted, formatQuantity(quantity)]));
}

async function reserve(
  { loopback }: AdmissionDeps,
  name: string,
  delta: ResourceQuantities,
  attributes: AdmissionAttributes,
): Promise<void> {
  const change = (current: UnknownObject): UnknownObject | undefined => {
    const quota = current as ResourceQuota & UnknownObject;
    // It may have changed since it was looked at.
    if (!concerns(quota, attributes)) return undefined;
    return { ...current, status: { ...quota.status, used: reserved(quota, delta, attributes) } };
  };
  await loopback.update(resourceQuotas, attributes.namespace, name, change, 'status');
}

/** Runs what has the same key one after the other: creates of one namespace do not fight for its quota in etcd. */
function createTurns(): (key: string, run: () => Promise<void>) => Promise<void> {
  const last = new Map<string, Promise<void>>();
  return (key, run) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(run, run);
    last.set(key, mine);
    const forget = () => {
      if (last.get(key) === mine) last.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  };
}
