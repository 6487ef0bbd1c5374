/** What the checks of the Pod Security Standards share: the containers of a pod, and how faults are worded. */
import type { Container, Pod, PodSpec } from '../../../../../machinery/api/types.ts';

export interface Violation {
  reason: string;
  detail: string;
}

export interface Check {
  id: string;
  level: 'baseline' | 'restricted';
  /** Minor version from which on it applies. */
  since: number;
  /** Checks of the baseline that this one replaces on the restricted level. */
  overrides?: string[];
  check(pod: Pod): Violation | undefined;
}

export type Named = Pick<
  Container,
  'name' | 'securityContext' | 'ports' | 'livenessProbe' | 'readinessProbe' | 'startupProbe' | 'lifecycle'
>;

export const specOf = (pod: Pod): PodSpec => pod.spec ?? { containers: [] };

export function containersOf(pod: Pod): Named[] {
  const spec = specOf(pod);
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...((spec.ephemeralContainers ?? []) as Named[])];
}

export const quoted = (names: string[]): string => names.map((name) => JSON.stringify(name)).join(', ');
export const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many);
export const theContainers = (names: string[]): string =>
  `${plural('container', 'containers', names.length)} ${quoted(names)}`;
export const namesWhere = (pod: Pod, bad: (container: Named) => boolean): string[] =>
  containersOf(pod)
    .filter(bad)
    .map(({ name }) => name);
export const unique = (values: string[]): string[] => [...new Set(values)].sort();

/** `pod and container "x"`, or undefined when nobody is to blame. */
export function setters(pod: boolean, names: string[]): string | undefined {
  const who = [...(pod ? ['pod'] : []), ...(names.length ? [theContainers(names)] : [])];
  return who.length ? who.join(' and ') : undefined;
}

export const isWindows = (pod: Pod): boolean => specOf(pod).os?.name === 'windows';

/** Capabilities added beyond `allowed`, with the containers that add them. */
export function addedCapabilities(pod: Pod, allowed: (name: string) => boolean): { who: string[]; what: string[] } {
  const beyond = ({ securityContext }: Named) =>
    (securityContext?.capabilities?.add ?? []).filter((name) => !allowed(name));
  const who = containersOf(pod).filter((container) => beyond(container).length);
  return { who: who.map(({ name }) => name), what: unique(who.flatMap(beyond)) };
}

export const mustNotInclude = ({ who, what }: { who: string[]; what: string[] }): string =>
  `${theContainers(who)} must not include ${quoted(what)} in securityContext.capabilities.add`;
