/** Brings objects of a manifest into the cluster: creates what is missing, updates what differs, leaves the rest alone. */

import type { UnknownObject } from '../../machinery/api/types.ts';
import { isAlreadyExists, isConflict } from '../../machinery/client/errors.ts';
import type { Client, ResourceType } from '../../machinery/client/types.ts';
import { KinitError } from '../errors.ts';

type Kind = Omit<ResourceType<UnknownObject>, 'kind'>;

const kinds: Record<string, Kind> = {
  'v1/ConfigMap': { group: '', version: 'v1', resource: 'configmaps', namespaced: true },
  'v1/Secret': { group: '', version: 'v1', resource: 'secrets', namespaced: true },
  'v1/Service': { group: '', version: 'v1', resource: 'services', namespaced: true },
  'v1/ServiceAccount': { group: '', version: 'v1', resource: 'serviceaccounts', namespaced: true },
  'v1/Namespace': { group: '', version: 'v1', resource: 'namespaces', namespaced: false },
  'storage.k8s.io/v1/StorageClass': {
    group: 'storage.k8s.io',
    version: 'v1',
    resource: 'storageclasses',
    namespaced: false,
  },
  'v1/Node': { group: '', version: 'v1', resource: 'nodes', namespaced: false },
  'apps/v1/Deployment': { group: 'apps', version: 'v1', resource: 'deployments', namespaced: true },
  'apps/v1/DaemonSet': { group: 'apps', version: 'v1', resource: 'daemonsets', namespaced: true },
  'apiregistration.k8s.io/v1/APIService': {
    group: 'apiregistration.k8s.io',
    version: 'v1',
    resource: 'apiservices',
    namespaced: false,
  },
  ...Object.fromEntries(
    (['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'] as const).map((kind) => [
      `rbac.authorization.k8s.io/v1/${kind}`,
      {
        group: 'rbac.authorization.k8s.io',
        version: 'v1',
        resource: `${kind.toLowerCase()}s`,
        namespaced: !kind.startsWith('Cluster'),
      },
    ]),
  ),
};

export function resourceTypeOf({ apiVersion, kind }: UnknownObject): ResourceType<UnknownObject> {
  const type = kinds[`${apiVersion}/${kind}`];
  if (!type) throw new KinitError('Internal', `no resource is known for ${apiVersion} ${kind}`);
  return { ...type, kind: kind ?? '' };
}

/** Whether every field of `wanted` stands in `found` with the same value; other fields of `found` do not matter. */
export function isPartOf(wanted: unknown, found: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(found) &&
      wanted.length === found.length &&
      wanted.every((item, index) => isPartOf(item, found[index]))
    );
  }
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof found !== 'object' || found === null) return Object.keys(wanted).length === 0;
    return Object.entries(wanted).every(([key, value]) => isPartOf(value, (found as Record<string, unknown>)[key]));
  }
  // The API leaves out fields whose value is false.
  return wanted === found || (wanted === false && found === undefined);
}

/** Fields that the user or a controller changes afterwards, by the value that decides them: kept unless it was given. */
const keptFields: Record<string, { value: string; keep(found: UnknownObject, wanted: UnknownObject): void }> = {
  Deployment: {
    value: 'replicas',
    keep(found, wanted) {
      const replicas = (found['spec'] as { replicas?: number } | undefined)?.replicas;
      if (replicas !== undefined) (wanted['spec'] as { replicas?: number }).replicas = replicas;
    },
  },
  // Whether it is the default one is the user's choice.
  StorageClass: {
    value: 'defaultClass',
    keep(found, wanted) {
      if (wanted.metadata) wanted.metadata.annotations = found.metadata?.annotations ?? {};
    },
  },
};

export interface ApplyOptions {
  signal?: AbortSignal;
  /** Keep an object as it is when it is there (kubeadm does so with the CoreDNS ConfigMap). */
  onlyCreate?: boolean;
  /** Names of values that were given: what they decide is not kept as it was found. */
  decided?: ReadonlySet<string>;
}

/** @returns whether anything changed */
export async function applyObject(client: Client, object: UnknownObject, options: ApplyOptions = {}): Promise<boolean> {
  const resource = client.dynamic(resourceTypeOf(object));
  const { name = '', namespace } = object.metadata ?? {};
  const { signal } = options;
  const found = await resource.find({ name, namespace }, { signal });
  if (!found) {
    try {
      await resource.create(object, { signal, fieldManager: 'kinit' });
      return true;
    } catch (error) {
      // Somebody else was faster: look again.
      if (isAlreadyExists(error)) return applyObject(client, object, options);
      throw error;
    }
  }
  if (options.onlyCreate) return false;
  const wanted = structuredClone(object);
  const kept = keptFields[object.kind ?? ''];
  if (kept && !options.decided?.has(kept.value)) kept.keep(found, wanted);
  if (isPartOf(wanted, found)) return false;
  const metadata = { ...found.metadata, ...wanted.metadata, resourceVersion: found.metadata?.resourceVersion };
  delete metadata.managedFields;
  try {
    await resource.update({ ...wanted, metadata }, { signal, fieldManager: 'kinit' });
  } catch (error) {
    if (isConflict(error)) return applyObject(client, object, options);
    throw error;
  }
  return true;
}

/** Applies in order of the list's stages, objects of one stage at once. @returns whether anything changed */
export async function applyObjects(
  client: Client,
  objects: UnknownObject[],
  options: ApplyOptions = {},
): Promise<boolean> {
  for (const object of objects.filter(({ kind }) => kind === 'Namespace')) await applyObject(client, object, options);
  // Workloads last: their service accounts and configuration have to be there.
  const isWorkload = ({ kind }: UnknownObject) => kind === 'Deployment' || kind === 'DaemonSet';
  const first = await Promise.all(objects.filter((o) => !isWorkload(o)).map((o) => applyObject(client, o, options)));
  const second = await Promise.all(objects.filter(isWorkload).map((o) => applyObject(client, o, options)));
  return [...first, ...second].some(Boolean);
}
