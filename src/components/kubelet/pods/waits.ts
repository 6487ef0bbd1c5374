/** Why containers of a pod wait, and how long: crash back-off, image back-off, failed starts. */
import type { Container, Pod } from '../../../machinery/api/types.ts';
import type { WaitingReason } from '../status/containers.ts';
import { type BackOff, createBackOff } from './back-off.ts';
import { containerHash, fieldPathOf, formatPod } from './containers.ts';
import type { PodContext } from './context.ts';
import type { ObservedPod } from './observed.ts';
import type { StartError } from './start-container.ts';

const longestRetryMs = 10_000;
const imageLookMs = 1000;
const imageReasons: ReadonlySet<string> = new Set(['ErrImagePull', 'ImagePullBackOff', 'ErrImageNeverPull']);

export class ContainerWaits {
  /** By container name, for the status. */
  readonly reasons = new Map<string, WaitingReason>();
  private readonly context: PodContext;
  private readonly trigger: () => void;
  private readonly backOff: BackOff;
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(context: PodContext, trigger: () => void) {
    this.context = context;
    this.trigger = trigger;
    this.backOff = createBackOff(context.crashBackOff.firstMs, context.crashBackOff.longestMs);
  }

  /** Milliseconds that a container that ended must still wait; notes why, and doubles the delay when it may start now. */
  crash(pod: Pod, container: Container, observed: ObservedPod): number {
    // One that is being replaced while it runs (a failed liveness probe) counts from the end of the one before it.
    const instance = observed.containers.find(
      ({ name, state }) => name === container.name && state === 'CONTAINER_EXITED',
    );
    if (!instance) return 0;
    const key = `${container.name}_${containerHash(container)}`;
    const since = Math.floor(instance.finishedAt / 1e6);
    const left = this.backOff.remaining(key, since);
    if (left === 0) {
      this.backOff.next(key, since);
      return 0;
    }
    const name = formatPod(pod);
    const message = `Back-off restarting failed container ${container.name} in pod ${name}`;
    this.context.events.pod(pod, 'Warning', 'BackOff', message, fieldPathOf(pod, container.name));
    const delay = formatSeconds(Math.round(this.backOff.delay(key) / 1000));
    this.reasons.set(container.name, {
      reason: 'CrashLoopBackOff',
      message: `back-off ${delay} restarting failed container=${container.name} pod=${name}`,
    });
    return left;
  }

  /** @returns milliseconds until the next try */
  failed(pod: Pod, container: Container, error: StartError): number {
    this.reasons.set(container.name, { reason: error.reason, message: error.message });
    if (imageReasons.has(error.reason) && container.imagePullPolicy !== 'Always') this.lookForImage(container);
    return this.context.images.retryAfter(pod, container) || longestRetryMs;
  }

  started(container: Container): void {
    this.reasons.delete(container.name);
  }

  close(): void {
    this.reasons.clear();
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  /** An image may be loaded by hand: it is used as soon as it is there, whatever the back-off. */
  private lookForImage(container: Container): void {
    const { image = '', name } = container;
    clearTimeout(this.timers.get(name));
    const look = async () => {
      if (!imageReasons.has(this.reasons.get(name)?.reason ?? '')) return;
      const present = await this.context.runtime.imageStatus(image).catch(() => undefined);
      if (present) this.trigger();
      else this.lookForImage(container);
    };
    this.timers.set(name, setTimeout(look, imageLookMs));
  }
}

/** `10s`, `1m20s`, `5m0s`, as Go prints durations. */
function formatSeconds(seconds: number): string {
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
