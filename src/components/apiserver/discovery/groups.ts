/**
 * The served groups and versions in upstream's order: built-in ones as listed, custom and aggregated ones by priority, name and
 * version.
 */
import { customPriority } from '../aggregation/priorities.ts';
import type { ApiRegistry, RemoteVersion, ResourceDescriptor } from '../types.ts';

export interface ServedVersion {
  version: string;
  resources: ResourceDescriptor[];
  /** Present: another server answers, `resources` is empty. */
  remote?: RemoteVersion;
}
export interface ServedGroup {
  group: string;
  /** The preferred one first. */
  versions: ServedVersion[];
}

const isBuiltIn = (descriptor: ResourceDescriptor): boolean => descriptor.schema.name.startsWith('io.k8s.');
/** Built-in groups stand as they are listed, before all others. */
const first = Number.POSITIVE_INFINITY;

export function servedGroups(registry: ApiRegistry): ServedGroup[] {
  const groups = new Map<string, ServedGroup & { priority: number }>();
  const groupOf = (group: string, priority: number) => {
    const found = groups.get(group) ?? { group, versions: [], priority };
    groups.set(group, found);
    return found;
  };
  for (const descriptor of registry.all()) {
    const group = groupOf(descriptor.group, isBuiltIn(descriptor) ? first : customPriority.groupPriorityMinimum);
    let version = group.versions.find(({ version }) => version === descriptor.version);
    if (!version) {
      version = { version: descriptor.version, resources: [] };
      group.versions.push(version);
    }
    version.resources.push(descriptor);
  }
  for (const remote of registry.remote()) {
    const group = groupOf(remote.group, remote.groupPriorityMinimum);
    if (group.priority !== first) group.priority = Math.max(group.priority, remote.groupPriorityMinimum);
    const local = group.versions.findIndex(({ version }) => version === remote.version);
    if (local >= 0) group.versions.splice(local, 1);
    group.versions.push({ version: remote.version, resources: [], remote });
  }
  for (const { priority, versions } of groups.values()) {
    if (priority === first) continue;
    versions.sort((a, b) => priorityOf(b) - priorityOf(a) || compareVersions(b.version, a.version));
    for (const { resources } of versions) resources.sort((a, b) => (a.resource < b.resource ? -1 : 1));
  }
  const sorted = [...groups.values()].sort((a, b) => {
    if (a.priority !== b.priority) return a.priority > b.priority ? -1 : 1;
    return a.priority === first ? 0 : a.group < b.group ? -1 : 1;
  });
  return sorted.map(({ group, versions }) => ({ group, versions }));
}

const priorityOf = ({ remote }: ServedVersion): number => remote?.versionPriority ?? customPriority.versionPriority;

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
