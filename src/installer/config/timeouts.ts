/** The limits of time of a configuration, as numbers. */
import { parseDuration } from './duration.ts';
import type { Timeouts } from './types.ts';

/** How long a question that no API server answers is asked again, in milliseconds. */
export const apiPatience = ({ kubernetesAPICall }: Timeouts): number => parseDuration(kubernetesAPICall) ?? 60_000;
