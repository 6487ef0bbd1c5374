/** Small facts about the containers of a pod's spec. */
import { fnv1a32, stableJson } from '../../../machinery/api/hash.ts';
import { isSidecar } from '../../../machinery/api/pod-resources.ts';
import type { Container, Pod } from '../../../machinery/api/types.ts';

/** Changes when a running container must be replaced: name and image are all that may change in a pod's life. */
export const containerHash = ({ name, image }: Container): string =>
  fnv1a32(JSON.stringify({ image, name })).toString(16);

export const sidecars = (pod: Pod): Container[] => (pod.spec?.initContainers ?? []).filter(isSidecar);
export const regularInitContainers = (pod: Pod): Container[] =>
  (pod.spec?.initContainers ?? []).filter((container) => !isSidecar(container));

export const allContainers = (pod: Pod): Container[] => [
  ...(pod.spec?.initContainers ?? []),
  ...(pod.spec?.containers ?? []),
];

export const containerNamed = (pod: Pod, name: string): Container | undefined =>
  allContainers(pod).find((container) => container.name === name);

/** Containers that were added to look into a running pod (kubectl debug). */
export const isEphemeral = (pod: Pod, name: string): boolean =>
  pod.spec?.ephemeralContainers?.some((container) => container.name === name) ?? false;

/** Whether a new version of the pod's object is more than another status. */
export function concernsKubelet(before: Pod, after: Pod): boolean {
  if (after.spec?.readinessGates?.length) return true;
  const relevant = ({ metadata, spec }: Pod) =>
    stableJson([
      metadata?.generation,
      spec,
      metadata?.labels,
      metadata?.annotations,
      metadata?.deletionTimestamp,
      metadata?.deletionGracePeriodSeconds,
    ]);
  return relevant(before) !== relevant(after);
}

/** Where an event about a container points. */
export function fieldPathOf(pod: Pod, name: string): string {
  if (isEphemeral(pod, name)) return `spec.ephemeralContainers{${name}}`;
  const init = pod.spec?.initContainers?.some((container) => container.name === name);
  return `spec.${init ? 'initContainers' : 'containers'}{${name}}`;
}

/** `name_namespace(uid)`, as upstream's messages name pods. */
export const formatPod = (pod: Pod): string => `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;

export const isHostNetwork = (pod: Pod): boolean => pod.spec?.hostNetwork === true;

/** Whether a container that ended is started again; `exitCode` undefined: it has not run yet. */
export function isRestarted(pod: Pod, container: Container, exitCode: number | undefined): boolean {
  if (exitCode === undefined) return true;
  if (isEphemeral(pod, container.name)) return false;
  const rule = (container.restartPolicyRules ?? []).find(({ exitCodes }) => {
    if (!exitCodes) return false;
    const listed = exitCodes.values?.includes(exitCode) ?? false;
    return exitCodes.operator === 'NotIn' ? !listed : listed;
  });
  if (rule) return rule.action === 'Restart' || rule.action === 'RestartAllContainers';
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (policy === 'Always') return true;
  return policy === 'OnFailure' && exitCode !== 0;
}
