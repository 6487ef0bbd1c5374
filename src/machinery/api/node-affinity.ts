/** Which nodes a pod's nodeSelector and node affinity allow, and how much it prefers one. */
import { matchesRequirement, type SelectorOperator } from './selectors.ts';
import type { Node, NodeSelector, NodeSelectorTerm, PodSpec } from './types.ts';

interface TermRequirement {
  key: string;
  operator: string;
  values?: string[];
}

const matchesLabels = (requirements: TermRequirement[] | undefined, labels: Record<string, string> | undefined) =>
  requirements?.every(({ key, operator, values }) =>
    matchesRequirement({ key, operator: operator as SelectorOperator, values: values ?? [] }, labels),
  ) ?? true;

/** A term without any requirement matches no node. */
export function matchesNodeSelectorTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions, matchFields } = term;
  if (!matchExpressions?.length && !matchFields?.length) return false;
  return (
    matchesLabels(matchExpressions, node.metadata?.labels) &&
    matchesLabels(matchFields, { 'metadata.name': node.metadata?.name ?? '' })
  );
}

/** Any term suffices. */
export const matchesNodeSelector = (selector: NodeSelector, node: Node): boolean =>
  selector.nodeSelectorTerms.some((term) => matchesNodeSelectorTerm(term, node));

/** `spec.nodeSelector` and the required node affinity together. */
export function matchesRequiredNodeAffinity(spec: PodSpec | undefined, node: Node): boolean {
  const labels = node.metadata?.labels ?? {};
  for (const [key, value] of Object.entries(spec?.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || matchesNodeSelector(required, node);
}

/** The sum of the weights of matching preferred terms. */
export function nodeAffinityWeight(spec: PodSpec | undefined, node: Node): number {
  let weight = 0;
  for (const term of spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesNodeSelectorTerm(term.preference, node)) weight += term.weight;
  }
  return weight;
}

/** Node names that `matchFields` on metadata.name leaves possible (pods of a DaemonSet); undefined when it does not narrow. */
export function nodeNamesOf(spec: PodSpec | undefined): Set<string> | undefined {
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms?.length) return undefined;
  const all = new Set<string>();
  for (const term of terms) {
    let names: Set<string> | undefined;
    for (const { key, operator, values } of term.matchFields ?? []) {
      if (key !== 'metadata.name' || operator !== 'In') continue;
      const listed = new Set(values);
      names = names ? new Set([...names].filter((name) => listed.has(name))) : listed;
    }
    if (!names) return undefined;
    for (const name of names) all.add(name);
  }
  return all;
}
