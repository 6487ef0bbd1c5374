/** Objects that every cluster has from the first moment: namespaces, priority classes, service address range. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { StatusError } from '../errors.ts';
import type { CacheReader, GroupResource, LoopbackClient } from '../types.ts';

export interface BootstrapDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
}

export const systemNamespaces = ['kube-system', 'kube-public', 'kube-node-lease', 'default'];

/** Idempotent. */
export async function bootstrapNamespaces(deps: BootstrapDeps): Promise<void> {
  await Promise.all(
    systemNamespaces.map((name) =>
      ensure(deps, { group: '', resource: 'namespaces' }, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
    ),
  );
}

const priorityClasses = [
  {
    name: 'system-node-critical',
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    name: 'system-cluster-critical',
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
];

/** Idempotent. */
export async function bootstrapObjects(deps: BootstrapDeps, serviceRanges: string[]): Promise<void> {
  await Promise.all([
    ...priorityClasses.map(({ name, value, description }) =>
      ensure(
        deps,
        { group: 'scheduling.k8s.io', resource: 'priorityclasses' },
        { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value, description },
      ),
    ),
    ensureServiceRange(deps, serviceRanges),
  ]);
}

async function ensureServiceRange(deps: BootstrapDeps, cidrs: string[]): Promise<void> {
  const resource = { group: 'networking.k8s.io', resource: 'servicecidrs' };
  await ensure(deps, resource, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs },
  });
}

/** Creates what is not there; somebody else may be faster. */
export async function ensure(
  { cache, loopback }: BootstrapDeps,
  resource: GroupResource,
  object: UnknownObject,
): Promise<void> {
  const { namespace = '', name = '' } = object.metadata ?? {};
  if (cache.get(resource, namespace, name)) return;
  try {
    await loopback.create(resource, object);
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 409) throw error;
  }
}
