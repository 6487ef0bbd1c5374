/** The apps group: Deployments, ReplicaSets, DaemonSets, StatefulSets and their revisions. */
import { controllerOf } from '../../../../machinery/api/owners.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from '../../../../machinery/api/types.ts';
import { containers, labels, selector } from '../format.ts';
import { ageColumn, ageOf, column, containerColumns, nameColumn, nameOf, printer, selectorColumn } from '../printer.ts';

const readyColumn = column('Ready', 'string', 'Ready pods of those wanted.');

export const deploymentPrinter = printer<Deployment>({
  columns: [
    nameColumn,
    readyColumn,
    column('Up-to-date', 'string', 'Pods of the current template.'),
    column('Available', 'string', 'Pods that have been ready for long enough.'),
    ageColumn,
    ...containerColumns,
    selectorColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
    object.status?.updatedReplicas ?? 0,
    object.status?.availableReplicas ?? 0,
    ageOf(object, now),
    ...containers(object.spec?.template?.spec?.containers),
    selector(object.spec?.selector, '', '<invalid>'),
  ],
});

export const replicaSetPrinter = printer<ReplicaSet>({
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
    selector(object.spec?.selector),
  ],
});

export const daemonSetPrinter = printer<DaemonSet>({
  columns: [
    nameColumn,
    column('Desired', 'integer', 'Number of nodes that should run a pod.'),
    column('Current', 'integer', 'Number of nodes that run a pod as they should.'),
    column('Ready', 'integer', 'Number of nodes whose pod is ready.'),
    column('Up-to-date', 'integer', 'Number of nodes whose pod is of the current template.'),
    column('Available', 'integer', 'Number of nodes whose pod has been ready for long enough.'),
    column('Node Selector', 'string', 'Labels of the nodes that run a pod.'),
    ageColumn,
    ...containerColumns,
    selectorColumn,
  ],
  cells: (object, now) => [
    nameOf(object),
    object.status?.desiredNumberScheduled ?? 0,
    object.status?.currentNumberScheduled ?? 0,
    object.status?.numberReady ?? 0,
    object.status?.updatedNumberScheduled ?? 0,
    object.status?.numberAvailable ?? 0,
    labels(object.spec?.template?.spec?.nodeSelector),
    ageOf(object, now),
    ...containers(object.spec?.template?.spec?.containers),
    selector(object.spec?.selector),
  ],
});

export const statefulSetPrinter = printer<StatefulSet>({
  columns: [nameColumn, readyColumn, ageColumn, ...containerColumns],
  cells: (object, now) => [
    nameOf(object),
    `${object.status?.readyReplicas ?? 0}/${object.spec?.replicas ?? 0}`,
    ageOf(object, now),
    ...containers(object.spec?.template?.spec?.containers),
  ],
});

function controllerName(object: ControllerRevision): string {
  const owner = controllerOf(object);
  if (!owner) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${`${owner.kind}${group}`.toLowerCase()}/${owner.name}`;
}

export const controllerRevisionPrinter = printer<ControllerRevision>({
  columns: [
    nameColumn,
    column('Controller', 'string', 'Owner of the revision.'),
    column('Revision', 'string', 'Number of the revision.'),
    ageColumn,
  ],
  cells: (object, now) => [nameOf(object), controllerName(object), object.revision ?? 0, ageOf(object, now)],
});
