/** Where groups and versions stand in discovery: upstream's `groupPriorityMinimum` and `versionPriority`. */

/** Of the built-in groups; apiregistration.k8s.io itself has no APIService. */
const builtIn: Record<string, number> = {
  '': 18000,
  apps: 17800,
  'events.k8s.io': 17750,
  'authentication.k8s.io': 17700,
  'authorization.k8s.io': 17600,
  autoscaling: 17500,
  batch: 17400,
  'certificates.k8s.io': 17300,
  'networking.k8s.io': 17200,
  policy: 17100,
  'rbac.authorization.k8s.io': 17000,
  'storage.k8s.io': 16800,
  'apiextensions.k8s.io': 16700,
  'admissionregistration.k8s.io': 16700,
  'scheduling.k8s.io': 16600,
  'coordination.k8s.io': 16500,
  'node.k8s.io': 16300,
  'discovery.k8s.io': 16200,
  'flowcontrol.apiserver.k8s.io': 16100,
  'resource.k8s.io': 15900,
};

/** Versions that do not have 15. */
const versions: Record<string, number> = { '/v1': 1, 'autoscaling/v2': 30, 'flowcontrol.apiserver.k8s.io/v1': 21 };

export interface Priority {
  groupPriorityMinimum: number;
  versionPriority: number;
}

/** Of custom resources' groups. */
export const customPriority: Priority = { groupPriorityMinimum: 1000, versionPriority: 100 };

/** undefined: not a built-in group that has an APIService. */
export function builtInPriority(group: string, version: string): Priority | undefined {
  const groupPriorityMinimum = builtIn[group];
  if (groupPriorityMinimum === undefined) return undefined;
  return { groupPriorityMinimum, versionPriority: versions[`${group}/${version}`] ?? 15 };
}
