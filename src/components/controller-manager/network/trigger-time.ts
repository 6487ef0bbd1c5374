/** The annotation that says which change the endpoints follow: programming latency is measured from it. */
import { timeOf } from '../../../machinery/api/time.ts';
import type { Pod, Service } from '../../../machinery/api/types.ts';

export const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

export class TriggerTimes {
  readonly #services = new Map<string, { service: number; pods: Map<string, number> }>();

  /** The earliest change not seen before, as the annotation's value; undefined when nothing that counts has changed. */
  next(key: string, service: Service, pods: Pod[]): string | undefined {
    const old = this.#services.get(key);
    const seen = { service: timeOf(service.metadata?.creationTimestamp), pods: new Map<string, number>() };
    let earliest = 0;
    const consider = (time: number, before: number) => {
      if (time > before && (earliest === 0 || time < earliest)) earliest = time;
    };
    for (const { metadata, status } of pods) {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      const time = timeOf(ready?.lastTransitionTime);
      seen.pods.set(metadata?.name ?? '', time);
      consider(time, old?.pods.get(metadata?.name ?? '') ?? 0);
    }
    consider(seen.service, old?.service ?? 0);
    this.#services.set(key, seen);
    return earliest > 0 ? new Date(earliest).toISOString().replace('.000Z', 'Z') : undefined;
  }

  forget(key: string): void {
    this.#services.delete(key);
  }
}
