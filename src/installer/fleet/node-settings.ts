/** What the inventory says of nodes as objects of the cluster: labels, annotations, taints. What it once said is remembered on each. */
import type { Node } from '../../machinery/api/types.ts';
import type { Taint } from '../config/types.ts';

/** Names what kinit has set on the node: only that is ever taken away. */
export const appliedAnnotation = 'kinit.local/applied';

export interface NodeSettings {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  taints: Taint[];
}

/** Keys; of taints, `key:effect`. */
interface Applied {
  labels: string[];
  annotations: string[];
  taints: string[];
}

export interface NodeDifference {
  /** A merge patch of the node; absent: it is as it should be. */
  patch?: object;
  /** `label disk=ssd`, `taint dedicated=batch:NoSchedule removed`. */
  changes: string[];
  /** Set by kinit, not given any more, and still there. */
  leftovers: string[];
}

const taintName = ({ key, effect }: Pick<Taint, 'key' | 'effect'>) => `${key}:${effect}`;
const taintText = ({ key, value, effect }: Taint) => `taint ${key}${value ? `=${value}` : ''}:${effect}`;

function appliedOn(node: Node): Applied {
  let value: unknown;
  try {
    value = JSON.parse(node.metadata?.annotations?.[appliedAnnotation] ?? '{}');
  } catch (error) {
    // Somebody has written something else there: then nothing is known to be kinit's.
    if (!(error instanceof SyntaxError)) throw error;
  }
  const listOf = (name: keyof Applied): string[] => {
    const list = (value as Partial<Record<keyof Applied, unknown>> | null | undefined)?.[name];
    return Array.isArray(list) ? list.map(String) : [];
  };
  return { labels: listOf('labels'), annotations: listOf('annotations'), taints: listOf('taints') };
}

interface MapDifference {
  patch: Record<string, string | null>;
  changes: string[];
  /** Keys. */
  leftovers: string[];
}

function mapDifference(
  what: string,
  found: Record<string, string>,
  wanted: Record<string, string>,
  applied: readonly string[],
  prune: boolean,
): MapDifference {
  const patch: Record<string, string | null> = {};
  const changes: string[] = [];
  for (const [key, value] of Object.entries(wanted)) {
    if (found[key] === value) continue;
    patch[key] = value;
    changes.push(`${what} ${key}=${value}`);
  }
  const leftovers = applied.filter((key) => wanted[key] === undefined && found[key] !== undefined);
  for (const key of prune ? leftovers : []) {
    patch[key] = null;
    changes.push(`${what} ${key} removed`);
  }
  return { patch, changes, leftovers: prune ? [] : leftovers };
}

export function nodeDifference(node: Node, wanted: NodeSettings, prune: boolean): NodeDifference {
  const applied = appliedOn(node);
  const { labels: foundLabels = {}, annotations: foundAnnotations = {} } = node.metadata ?? {};
  const labels = mapDifference('label', foundLabels, wanted.labels, applied.labels, prune);
  const annotations = mapDifference('annotation', foundAnnotations, wanted.annotations, applied.annotations, prune);
  const taints = taintDifference(node, wanted.taints, applied.taints, prune);
  const now: Applied = {
    labels: [...Object.keys(wanted.labels), ...labels.leftovers].sort(),
    annotations: [...Object.keys(wanted.annotations), ...annotations.leftovers].sort(),
    taints: [...wanted.taints.map(taintName), ...taints.leftovers.map(taintName)].sort(),
  };
  // Also when it says nothing: an inventory has brought this node.
  const remembered = JSON.stringify(now);
  if (foundAnnotations[appliedAnnotation] !== remembered) annotations.patch[appliedAnnotation] = remembered;
  const changes = [...labels.changes, ...annotations.changes, ...taints.changes];
  const leftovers = [
    ...labels.leftovers.map((key) => `label ${key}=${foundLabels[key]}`),
    ...annotations.leftovers.map((key) => `annotation ${key}=${foundAnnotations[key]}`),
    ...taints.leftovers.map(taintText),
  ];
  const hasPatch = taints.list || Object.keys(labels.patch).length > 0 || Object.keys(annotations.patch).length > 0;
  if (!hasPatch) return { changes, leftovers };
  const patch = {
    metadata: {
      // The list of taints is written as a whole: somebody else's taint between reading and writing must not be lost.
      ...(taints.list ? { resourceVersion: node.metadata?.resourceVersion } : {}),
      labels: labels.patch,
      annotations: annotations.patch,
    },
    ...(taints.list ? { spec: { taints: taints.list } } : {}),
  };
  return { patch, changes, leftovers };
}

interface TaintDifference {
  /** The whole list, when it differs. */
  list?: object[];
  changes: string[];
  leftovers: Taint[];
}

function taintDifference(node: Node, wanted: Taint[], applied: readonly string[], prune: boolean): TaintDifference {
  const found = (node.spec?.taints ?? []) as Taint[];
  const isWanted = (one: Taint) => wanted.some((other) => taintName(other) === taintName(one));
  const different = wanted.filter(
    (one) => !found.some((other) => taintName(other) === taintName(one) && (other.value ?? '') === (one.value ?? '')),
  );
  const old = found.filter((one) => applied.includes(taintName(one)) && !isWanted(one));
  const gone = prune ? old : [];
  const changes = [...different.map(taintText), ...gone.map((one) => `${taintText(one)} removed`)];
  const leftovers = prune ? [] : old;
  if (!changes.length) return { changes, leftovers };
  const replaced = new Set([...different, ...gone].map(taintName));
  return { list: [...found.filter((one) => !replaced.has(taintName(one))), ...different], changes, leftovers };
}
