/** Where upstream keeps each resource in etcd (below `/registry/`), and in which version. */

/** Resources whose path is not their group-less plural name. */
const prefixes: Record<string, string> = {
  '/endpoints': 'services/endpoints',
  '/nodes': 'minions',
  '/replicationcontrollers': 'controllers',
  '/services': 'services/specs',
  'apiextensions.k8s.io/customresourcedefinitions': 'apiextensions.k8s.io/customresourcedefinitions',
  'apiregistration.k8s.io/apiservices': 'apiregistration.k8s.io/apiservices',
  'networking.k8s.io/ingresses': 'ingress',
};

/** `/registry/<prefix>`: custom resources live below their group, built-in ones mostly by their name alone. */
export function storagePrefix(group: string, resource: string): string {
  return `/registry/${prefixes[`${group}/${resource}`] ?? resource}`;
}

/** `/registry/<group>/<resource>` for custom resources. */
export function customStoragePrefix(group: string, resource: string): string {
  return `/registry/${group}/${resource}`;
}

/** The group and version whose JSON lies in etcd where it is not the served one. */
const storedElsewhere: Record<string, { group: string; version: string; prefix?: string }> = {
  'autoscaling/v1/horizontalpodautoscalers': { group: 'autoscaling', version: 'v2' },
  'events.k8s.io/v1/events': { group: '', version: 'v1' },
};

export function storageOf(
  group: string,
  version: string,
  resource: string,
): { group: string; version: string; prefix: string } {
  const elsewhere = storedElsewhere[`${group}/${version}/${resource}`];
  return { group, version, ...elsewhere, prefix: storagePrefix(group, resource) };
}
