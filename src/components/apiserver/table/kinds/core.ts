/** The core group: namespaces, nodes, configuration, quotas, controllers of its own. Pods, services and volumes have their files. */
import { findCondition } from '../../../../machinery/api/conditions.ts';
import type {
  ConfigMap,
  Namespace,
  Node,
  PodTemplate,
  ReplicationController,
  ResourceQuota,
  Secret,
  ServiceAccount,
  UnknownObject,
} from '../../../../machinery/api/types.ts';
import { containers, labels } from '../format.ts';
import {
  ageColumn,
  ageOf,
  column,
  containerColumns,
  nameColumn,
  nameOf,
  printer,
  selectorColumn,
  wide,
} from '../printer.ts';

const sizeOf = (map: object | undefined): number => (map ? Object.keys(map).length : 0);

export const namespacePrinter = printer<Namespace>({
  columns: [nameColumn, column('Status', 'string', 'Active or Terminating.'), ageColumn],
  cells: (object, now) => [nameOf(object), object.status?.phase ?? '', ageOf(object, now)],
});

export const configMapPrinter = printer<ConfigMap>({
  columns: [nameColumn, column('Data', 'string', 'Number of entries.'), ageColumn],
  cells: (object, now) => [nameOf(object), sizeOf(object.data) + sizeOf(object.binaryData), ageOf(object, now)],
});

export const secretPrinter = printer<Secret>({
  columns: [
    nameColumn,
    column('Type', 'string', 'What the secret holds.'),
    column('Data', 'string', 'Number of entries.'),
    ageColumn,
  ],
  cells: (object, now) => [nameOf(object), object.type ?? '', sizeOf(object.data), ageOf(object, now)],
});

export const serviceAccountPrinter = printer<ServiceAccount>({
  columns: [nameColumn, column('Secrets', 'string', 'Number of secrets that pods may use.'), ageColumn],
  cells: (object, now) => [nameOf(object), object.secrets?.length ?? 0, ageOf(object, now)],
});

/** From `node-role.kubernetes.io/<role>` and `kubernetes.io/role=<role>`. */
function nodeRoles(node: Node): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.entries(node.metadata?.labels ?? {}).map(([key, value]) =>
    key.startsWith(prefix) ? key.slice(prefix.length) : key === 'kubernetes.io/role' ? value : '',
  );
  return [...new Set(roles.filter(Boolean))].sort().join(',') || '<none>';
}

function nodeStatus(node: Node): string {
  const ready = findCondition(node.status?.conditions, 'Ready');
  const status = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown';
  return node.spec?.unschedulable ? `${status},SchedulingDisabled` : status;
}

const addressOf = (node: Node, type: string): string =>
  node.status?.addresses?.find((address) => address.type === type)?.address ?? '<none>';

export const nodePrinter = printer<Node>({
  columns: [
    nameColumn,
    column('Status', 'string', 'Whether the node is ready and takes pods.'),
    column('Roles', 'string', 'Roles by its labels.'),
    ageColumn,
    column('Version', 'string', 'Version of the kubelet.'),
    wide('Internal-IP', 'string', 'Address inside the cluster.'),
    wide('External-IP', 'string', 'Address from outside.'),
    wide('OS-Image', 'string', 'Operating system.'),
    wide('Kernel-Version', 'string', 'Version of the kernel.'),
    wide('Container-Runtime', 'string', 'Container runtime and its version.'),
  ],
  cells(node, now) {
    const info = node.status?.nodeInfo;
    return [
      nameOf(node),
      nodeStatus(node),
      nodeRoles(node),
      ageOf(node, now),
      info?.kubeletVersion ?? '',
      addressOf(node, 'InternalIP'),
      addressOf(node, 'ExternalIP'),
      info?.osImage || '<unknown>',
      info?.kernelVersion || '<unknown>',
      info?.containerRuntimeVersion || '<unknown>',
    ];
  },
});

export const podTemplatePrinter = printer<PodTemplate>({
  columns: [
    nameColumn,
    column('Containers', 'string', 'Names of the containers of the template.'),
    column('Images', 'string', 'Images of the containers of the template.'),
    column('Pod Labels', 'string', 'Labels of the template.'),
  ],
  cells: (object) => [
    nameOf(object),
    ...containers(object.template?.spec?.containers),
    labels(object.template?.metadata?.labels),
  ],
});

export const replicationControllerPrinter = printer<ReplicationController>({
  columns: [
    nameColumn,
    column('Desired', 'integer', 'Number of pods wanted.'),
    column('Current', 'integer', 'Number of pods there are.'),
    column('Ready', 'integer', 'Number of pods that are ready.'),
    ageColumn,
    ...containerColumns,
    selectorColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.spec?.replicas ?? 0,
    object.status?.replicas ?? 0,
    object.status?.readyReplicas ?? 0,
    ageOf(object, now),
    ...containers(object.spec?.template?.spec?.containers),
    labels(object.spec?.selector),
  ],
});

export const resourceQuotaPrinter = printer<ResourceQuota>({
  columns: [
    nameColumn,
    column('Request', 'string', 'Used and allowed, of requests and counts.'),
    column('Limit', 'string', 'Used and allowed, of limits.'),
    ageColumn,
  ],
  cells(object, now) {
    const { hard = {}, used = {} } = object.status ?? {};
    const lines = (limits: boolean) =>
      Object.keys(hard)
        .filter((resource) => resource.startsWith('limits.') === limits)
        .sort()
        .map((resource) => `${resource}: ${used[resource] ?? '0'}/${hard[resource]}`)
        .join(', ');
    return [nameOf(object), lines(false), lines(true), ageOf(object, now)];
  },
});

interface ComponentCondition {
  type: string;
  status: string;
  message?: string;
  error?: string;
}

export const componentStatusPrinter = printer<UnknownObject>({
  columns: [
    nameColumn,
    column('Status', 'string', 'Healthy or not.'),
    column('Message', 'string', 'What the component answered.'),
    column('Error', 'string', 'What went wrong.'),
  ],
  cells(object) {
    const conditions = (object['conditions'] ?? []) as ComponentCondition[];
    const healthy = conditions.find(({ type }) => type === 'Healthy');
    const status = healthy ? (healthy.status === 'True' ? 'Healthy' : 'Unhealthy') : 'Unknown';
    return [nameOf(object), status, healthy?.message ?? '', healthy?.error ?? ''];
  },
});
