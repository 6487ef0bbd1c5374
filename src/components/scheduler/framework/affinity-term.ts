/** Pod affinity terms, compiled: which pods a term means, and by which node label they count as near. */
import { labelSelectorOf, type MaybeSelector, matchesSelector } from '../../../machinery/api/selectors.ts';
import type { LabelSelector, Pod } from '../../../machinery/api/types.ts';

export interface AffinityTerm {
  selector: MaybeSelector;
  namespaces: ReadonlySet<string>;
  /** Null selects no further namespace. */
  namespaceSelector: MaybeSelector;
  topologyKey: string;
}

export interface WeightedAffinityTerm extends AffinityTerm {
  weight: number;
}

/** The labels of a namespace, undefined when there is no such namespace. */
export type NamespaceLabels = (namespace: string) => Record<string, string> | undefined;

interface RawTerm {
  labelSelector?: LabelSelector;
  namespaces?: string[];
  namespaceSelector?: LabelSelector;
  topologyKey: string;
}

function compile(pod: Pod, term: RawTerm): AffinityTerm {
  const own = !term.namespaces?.length && !term.namespaceSelector;
  return {
    selector: labelSelectorOf(term.labelSelector),
    namespaces: new Set(own ? [pod.metadata?.namespace ?? ''] : term.namespaces),
    namespaceSelector: labelSelectorOf(term.namespaceSelector),
    topologyKey: term.topologyKey,
  };
}

export interface AffinityTerms {
  requiredAffinity: AffinityTerm[];
  requiredAntiAffinity: AffinityTerm[];
  preferredAffinity: WeightedAffinityTerm[];
  preferredAntiAffinity: WeightedAffinityTerm[];
}

const none: AffinityTerms = {
  requiredAffinity: [],
  requiredAntiAffinity: [],
  preferredAffinity: [],
  preferredAntiAffinity: [],
};

export function affinityTermsOf(pod: Pod): AffinityTerms {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  if (!podAffinity && !podAntiAffinity) return none;
  const required = (terms: RawTerm[] | undefined) => (terms ?? []).map((term) => compile(pod, term));
  const preferred = (terms: { weight: number; podAffinityTerm: RawTerm }[] | undefined) =>
    (terms ?? []).map(({ weight, podAffinityTerm }) => ({ ...compile(pod, podAffinityTerm), weight }));
  return {
    requiredAffinity: required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    requiredAntiAffinity: required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferredAffinity: preferred(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    preferredAntiAffinity: preferred(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
  };
}

/** Whether the term means this pod. */
export function termMatches(term: AffinityTerm, pod: Pod, labelsOf: NamespaceLabels): boolean {
  const namespace = pod.metadata?.namespace ?? '';
  if (!term.namespaces.has(namespace)) {
    if (!term.namespaceSelector) return false;
    // An empty selector means every namespace, also one not yet seen.
    if (term.namespaceSelector.length > 0 && !matchesSelector(term.namespaceSelector, labelsOf(namespace)))
      return false;
  }
  return matchesSelector(term.selector, pod.metadata?.labels);
}
