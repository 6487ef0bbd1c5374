/** Where a DaemonSet's pods belong, and what its pods look like. */
import { matchesRequiredNodeAffinity, nodeNamesOf } from '../../../../machinery/api/node-affinity.ts';
import { taintKeys, untoleratedTaint } from '../../../../machinery/api/taints.ts';
import type { DaemonSet, Node, Pod, PodSpec, PodTemplateSpec, Toleration } from '../../../../machinery/api/types.ts';
import { revisionHashLabel } from '../revisions/history.ts';

const generationLabel = 'pod-template-generation';
const generationAnnotation = 'deprecated.daemonset.template.generation';

/** Daemons run on nodes in trouble too. */
export function daemonTolerations(spec: PodSpec | undefined): Toleration[] {
  const tolerations = [...(spec?.tolerations ?? [])];
  const add = (key: string, effect: string) => {
    const toleration = { key, operator: 'Exists', effect };
    const same = tolerations.findIndex(
      (old) => old.key === key && old.effect === effect && (old.operator ?? 'Equal') === 'Exists' && !old.value,
    );
    if (same < 0) tolerations.push(toleration);
    else tolerations[same] = toleration;
  };
  add(taintKeys.notReady, 'NoExecute');
  add(taintKeys.unreachable, 'NoExecute');
  add(taintKeys.diskPressure, 'NoSchedule');
  add(taintKeys.memoryPressure, 'NoSchedule');
  add(taintKeys.pidPressure, 'NoSchedule');
  add(taintKeys.unschedulable, 'NoSchedule');
  if (spec?.hostNetwork) add(taintKeys.networkUnavailable, 'NoSchedule');
  return tolerations;
}

/** `start`: a pod should be made there; `stay`: one that is there may go on. */
export interface Placement {
  start: boolean;
  stay: boolean;
}

export function placementOn(node: Node, set: DaemonSet): Placement {
  const spec = set.spec?.template.spec;
  const named = !spec?.nodeName || spec.nodeName === node.metadata?.name;
  if (!named || !matchesRequiredNodeAffinity(spec, node)) return { start: false, stay: false };
  const tolerations = daemonTolerations(spec);
  const taints = node.spec?.taints;
  if (!untoleratedTaint(taints, tolerations, ['NoSchedule', 'NoExecute'])) return { start: true, stay: true };
  return { start: false, stay: !untoleratedTaint(taints, tolerations, ['NoExecute']) };
}

/** The node that a daemon pod runs on or was made for. */
export function nodeNameOf({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const names = nodeNamesOf(spec);
  return names?.size === 1 ? [...names][0] : undefined;
}

export const generationOf = ({ metadata }: DaemonSet): string | undefined =>
  metadata?.annotations?.[generationAnnotation];

/** The template of the pod for one node: with the daemons' tolerations, the labels of its revision, pinned to the node. */
export function daemonTemplate(set: DaemonSet, hash: string, nodeName: string): PodTemplateSpec {
  const template = set.spec?.template ?? {};
  const generation = generationOf(set);
  const affinity = template.spec?.affinity;
  const terms = [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] }];
  return {
    metadata: {
      ...template.metadata,
      labels: {
        ...template.metadata?.labels,
        ...(generation === undefined ? {} : { [generationLabel]: generation }),
        [revisionHashLabel]: hash,
      },
    },
    spec: {
      containers: [],
      ...template.spec,
      tolerations: daemonTolerations(template.spec),
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
        },
      },
    },
  };
}

/** Whether the pod was made from the current template. */
export function isUpdated({ metadata }: Pod, set: DaemonSet, hash: string): boolean {
  const generation = generationOf(set);
  const sameGeneration = generation !== undefined && metadata?.labels?.[generationLabel] === generation;
  return sameGeneration || (hash !== '' && metadata?.labels?.[revisionHashLabel] === hash);
}
