/** Images for containers: present or pulled as the pull policy says, with back-off, one pull at a time (or several, as configured). */
import { formatDuration } from '../../../machinery/api/time.ts';
import type { Container, Pod } from '../../../machinery/api/types.ts';
import type { Runtime } from '../cri/runtime.ts';
import type { AuthConfig, PodSandboxConfig, RuntimeImage } from '../cri/types.ts';
import { createBackOff } from '../pods/back-off.ts';
import { fieldPathOf } from '../pods/containers.ts';
import type { EventSink } from '../types.ts';
import { normalizeImage } from './reference.ts';

export type ImageReason =
  | 'ErrImagePull'
  | 'ImagePullBackOff'
  | 'ErrImageNeverPull'
  | 'ImageInspectError'
  | 'InvalidImageName';

/** The container cannot be made yet; `reason` and the message stand in its waiting state. */
export class ImageError extends Error {
  readonly reason: ImageReason;
  constructor(reason: ImageReason, message: string) {
    super(message);
    this.name = 'ImageError';
    this.reason = reason;
  }
}

export interface ImagePuller {
  /** Answers the image as the runtime knows it. Throws ImageError. */
  ensure(
    pod: Pod,
    container: Container,
    sandboxConfig: PodSandboxConfig,
    signal: AbortSignal,
  ): Promise<{ id: string; image: RuntimeImage | undefined }>;
  /** Milliseconds until the image is tried again, 0 for now. */
  retryAfter(pod: Pod, container: Container): number;
  forget(podUid: string): void;
}

export interface ImagePullerOptions {
  runtime: Runtime;
  events: EventSink;
  serialize: boolean;
  /** 0: no limit. */
  maxParallel: number;
  /** Credentials from the pod's imagePullSecrets that fit the image, the best one first. */
  credentials(pod: Pod, image: string): Promise<AuthConfig[]>;
}

const firstBackOffMs = 10_000;
const longestBackOffMs = 300_000;

export function createImagePuller(options: ImagePullerOptions): ImagePuller {
  const { runtime, events } = options;
  const backOff = createBackOff(firstBackOffMs, longestBackOffMs);
  const failures = new Map<string, { at: number; message: string }>();
  const slots = createSlots(options.serialize ? 1 : options.maxParallel || Number.POSITIVE_INFINITY);
  const keyOf = (pod: Pod, container: Container) => `${pod.metadata?.uid}_${container.image}`;

  const pull = async (pod: Pod, image: string, sandboxConfig: PodSandboxConfig, signal: AbortSignal) => {
    const found = await options.credentials(pod, image);
    const attempts: (AuthConfig | undefined)[] = found.length ? found : [undefined];
    let last: unknown;
    for (const auth of attempts) {
      try {
        return await runtime.pullImage(image, auth, sandboxConfig, signal);
      } catch (error) {
        last = error;
        if (signal.aborted) throw error;
      }
    }
    throw last;
  };

  return {
    retryAfter(pod, container) {
      const key = keyOf(pod, container);
      const failure = failures.get(key);
      return failure ? backOff.remaining(key, failure.at) : 0;
    },
    forget(podUid) {
      backOff.forget(`${podUid}_`);
      for (const key of failures.keys()) if (key.startsWith(`${podUid}_`)) failures.delete(key);
    },
    async ensure(pod, container, sandboxConfig, signal) {
      const given = container.image ?? '';
      const path = fieldPathOf(pod, container.name);
      const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
        events.pod(pod, type, reason, message, path);
      const image = normalizeImage(given);
      if (image === undefined) {
        const message = `Failed to apply default image tag "${given}": couldn't parse image name "${given}": invalid reference format`;
        tell('Warning', 'InspectFailed', message);
        throw new ImageError('InvalidImageName', message);
      }
      let present: RuntimeImage | undefined;
      try {
        present = await runtime.imageStatus(image);
      } catch (error) {
        const message = `Failed to inspect image "${given}": ${(error as Error).message}`;
        tell('Warning', 'InspectFailed', message);
        throw new ImageError('ImageInspectError', message);
      }
      const policy = container.imagePullPolicy ?? 'IfNotPresent';
      if (policy !== 'Always' && present) {
        tell(
          'Normal',
          'Pulled',
          `Container image "${given}" already present on machine and can be accessed by the pod`,
        );
        return { id: present.id, image: present };
      }
      if (policy === 'Never') {
        const message = `Container image "${given}" is not present with pull policy of Never`;
        tell('Warning', 'ErrImageNeverPull', message);
        throw new ImageError('ErrImageNeverPull', message);
      }
      const key = keyOf(pod, container);
      const failure = failures.get(key);
      if (failure && backOff.remaining(key, failure.at) > 0) {
        const message = `Back-off pulling image "${given}"`;
        tell('Normal', 'BackOff', message);
        throw new ImageError('ImagePullBackOff', `${message}: ErrImagePull: ${failure.message}`);
      }
      const asked = performance.now();
      tell('Normal', 'Pulling', `Pulling image "${given}"`);
      const release = await slots.take(signal);
      const started = performance.now();
      try {
        const id = await pull(pod, image, sandboxConfig, signal);
        const now = performance.now();
        const info = await runtime.imageStatus(id);
        backOff.reset(key);
        failures.delete(key);
        const seconds = (ms: number) => formatDuration(Math.round(ms));
        tell(
          'Normal',
          'Pulled',
          `Successfully pulled image "${given}" in ${seconds(now - started)} (${seconds(now - asked)} including waiting). Image size: ${info?.size ?? 0} bytes.`,
        );
        return { id, image: info };
      } catch (error) {
        if (signal.aborted) throw error;
        const message = (error as Error).message;
        const at = Date.now();
        failures.set(key, { at, message });
        backOff.next(key, at);
        tell('Warning', 'Failed', `Failed to pull image "${given}": ${message}`);
        throw new ImageError('ErrImagePull', message);
      } finally {
        release();
      }
    },
  };
}

/** Lets at most `count` holders in, in order. */
function createSlots(count: number) {
  let free = count;
  const waiting: (() => void)[] = [];
  const give = () => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
  return {
    async take(signal: AbortSignal): Promise<() => void> {
      signal.throwIfAborted();
      if (free > 0) free -= 1;
      else
        await new Promise<void>((resolve, reject) => {
          const enter = () => {
            signal.removeEventListener('abort', leave);
            resolve();
          };
          const leave = () => {
            waiting.splice(waiting.indexOf(enter), 1);
            reject(signal.reason);
          };
          waiting.push(enter);
          signal.addEventListener('abort', leave, { once: true });
        });
      return give;
    },
  };
}
