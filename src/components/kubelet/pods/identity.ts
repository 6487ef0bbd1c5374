/** How pods are told apart. */
import type { Pod } from '../../../machinery/api/types.ts';
import { podAnnotations } from '../cri/labels.ts';

/** One pod of that name at a time, whatever its uid. */
export const fullName = (pod: Pod): string => `${pod.metadata?.name}_${pod.metadata?.namespace}`;

/** Whether `mirror` shows this static pod, not the one of the same name that its manifest described before. */
export const isMirrorOf = (mirror: Pod, pod: Pod): boolean =>
  mirror.metadata?.annotations?.[podAnnotations.configMirror] === pod.metadata?.uid;

/** The API server's image of a static pod. */
export const isMirrorPod = (pod: Pod): boolean =>
  pod.metadata?.annotations?.[podAnnotations.configMirror] !== undefined;
