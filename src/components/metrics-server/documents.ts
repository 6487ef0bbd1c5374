/** What metrics.k8s.io/v1beta1 answers besides metrics: discovery. */
import type { UnknownObject } from '../../machinery/api/types.ts';

export const group = 'metrics.k8s.io';
export const version = 'v1beta1';
export const groupVersion = `${group}/${version}`;

const versionEntry = { groupVersion, version };
const groupEntry = { name: group, versions: [versionEntry], preferredVersion: versionEntry };
const readable = ['get', 'list'];

const discovery: Record<string, UnknownObject> = {
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [groupEntry] },
  [`/apis/${group}`]: { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry },
  [`/apis/${groupVersion}`]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: [
      { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: readable },
      { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: readable },
    ],
  },
  '/openapi/v2': { swagger: '2.0', info: { title: 'metrics-server', version }, paths: {} } as UnknownObject,
  '/openapi/v3': { paths: {} } as UnknownObject,
};

export const discoveryDocument = (path: string): UnknownObject | undefined =>
  discovery[path.length > 1 ? path.replace(/\/$/, '') : path];
