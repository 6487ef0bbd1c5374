/** The served groups and versions in upstream's order: built-in ones as listed, custom ones by name and version priority. */
import type { ApiRegistry, ResourceDescriptor } from '../types.ts';

export interface ServedVersion {
  version: string;
  resources: ResourceDescriptor[];
}
export interface ServedGroup {
  group: string;
  /** The preferred one first. */
  versions: ServedVersion[];
}

const isBuiltIn = (descriptor: ResourceDescriptor): boolean => descriptor.schema.name.startsWith('io.k8s.');

export function servedGroups(registry: ApiRegistry): ServedGroup[] {
  const groups = new Map<string, ServedGroup & { custom: boolean }>();
  for (const descriptor of registry.all()) {
    let group = groups.get(descriptor.group);
    if (!group) {
      group = { group: descriptor.group, versions: [], custom: !isBuiltIn(descriptor) };
      groups.set(descriptor.group, group);
    }
    let version = group.versions.find(({ version }) => version === descriptor.version);
    if (!version) {
      version = { version: descriptor.version, resources: [] };
      group.versions.push(version);
    }
    version.resources.push(descriptor);
  }
  for (const { custom, versions } of groups.values()) {
    if (!custom) continue;
    versions.sort((a, b) => compareVersions(b.version, a.version));
    for (const { resources } of versions) resources.sort((a, b) => (a.resource < b.resource ? -1 : 1));
  }
  const sorted = [...groups.values()].sort((a, b) => {
    if (a.custom !== b.custom) return a.custom ? 1 : -1;
    return a.custom ? (a.group < b.group ? -1 : 1) : 0;
  });
  return sorted.map(({ group, versions }) => ({ group, versions }));
}

const pattern = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const stages: Record<string, number> = { alpha: 0, beta: 1 };

/** Kubernetes' order of versions: v2 > v1 > v1beta1 > v1alpha1 > anything else (by name, reversed). */
export function compareVersions(a: string, b: string): number {
  const left = pattern.exec(a);
  const right = pattern.exec(b);
  if (!left || !right) return left ? 1 : right ? -1 : a < b ? 1 : a > b ? -1 : 0;
  const rank = (match: RegExpExecArray) => [stages[match[2] ?? ''] ?? 2, Number(match[1]), Number(match[3] ?? 0)];
  const [l, r] = [rank(left), rank(right)];
  return l.map((value, index) => value - r[index]!).find((difference) => difference !== 0) ?? 0;
}
