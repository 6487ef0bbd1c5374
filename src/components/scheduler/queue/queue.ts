/**
 * Pods that wait for a node: those to try now (active), those that failed and rest a moment (back-off), and those that
 * wait for a change in the cluster (unschedulable). Events move pods on whose rejecting plugins say that it can help.
 */
import { type ClusterEvent, type EventRegistration, registrationMatches } from '../framework/events.ts';
import type { QueuedPod } from '../framework/plugin.ts';
import type { PodInfo } from '../framework/pod-info.ts';
import type { Status } from '../framework/status.ts';
import { Heap } from './heap.ts';

export interface WaitingPod extends QueuedPod {
  info: PodInfo;
  queuedAt: number;
  attempts: number;
  /** In a row, for the length of the back-off. */
  failures: number;
  /** The last attempt ended in an error, not in "fits nowhere". */
  erred: boolean;
  /** Plugins that refused it in the last attempt; empty after an error: any event may help. */
  rejectedBy: ReadonlySet<string>;
  pendingFor: ReadonlySet<string>;
  /** Why it may not even be tried. */
  gate: Status | undefined;
}

export interface QueueOptions {
  less(a: QueuedPod, b: QueuedPod): boolean;
  preEnqueue(info: PodInfo): Status | undefined;
  /** Plugin name → what it wants to hear of. */
  registrations: ReadonlyMap<string, readonly EventRegistration[]>;
  initialBackoffMs?: number;
  maxBackoffMs?: number;
  /** After this long a pod is tried again without any event. */
  longestWaitMs?: number;
  now?: () => number;
}

export interface Rejection {
  rejectedBy: ReadonlySet<string>;
  pendingFor: ReadonlySet<string>;
  erred: boolean;
}

const keyOf = ({ info }: WaitingPod): string => info.uid || info.key;

export class SchedulingQueue {
  readonly #options: Required<QueueOptions>;
  readonly #active: Heap<WaitingPod>;
  readonly #backoff: Heap<WaitingPod>;
  readonly #unschedulable = new Map<string, WaitingPod>();
  /** Pods being tried, with the events since they were taken. */
  readonly #inFlight = new Map<string, { waiting: WaitingPod; events: ClusterEvent[] }>();
  #wake = Promise.withResolvers<void>();

  constructor(options: QueueOptions) {
    this.#options = {
      initialBackoffMs: 1000,
      maxBackoffMs: 10_000,
      longestWaitMs: 5 * 60_000,
      now: Date.now,
      ...options,
    };
    this.#active = new Heap(keyOf, options.less);
    this.#backoff = new Heap(keyOf, (a, b) => this.backoffEnds(a) < this.backoffEnds(b));
  }

  get sizes(): { active: number; backoff: number; unschedulable: number; gated: number } {
    const gated = [...this.#unschedulable.values()].filter(({ gate }) => gate).length;
    const unschedulable = this.#unschedulable.size - gated;
    return { active: this.#active.size, backoff: this.#backoff.size, unschedulable, gated };
  }

  backoffEnds({ queuedAt, failures }: WaitingPod): number {
    const { initialBackoffMs, maxBackoffMs } = this.#options;
    if (failures === 0) return queuedAt;
    return queuedAt + Math.min(maxBackoffMs, initialBackoffMs * 2 ** Math.min(30, failures - 1));
  }

  add(info: PodInfo): void {
    const waiting: WaitingPod = {
      info,
      queuedAt: this.#options.now(),
      attempts: 0,
      failures: 0,
      erred: false,
      rejectedBy: new Set(),
      pendingFor: new Set(),
      gate: undefined,
    };
    this.#remove(keyOf(waiting));
    this.#enqueue(waiting);
  }

  /** The waiting pod itself changed. `event` says what, for plugins that it may please. */
  update(info: PodInfo, event: ClusterEvent): void {
    const key = info.uid || info.key;
    const queued = this.#active.get(key) ?? this.#backoff.get(key);
    if (queued) {
      const heap = this.#active.get(key) ? this.#active : this.#backoff;
      queued.info = info;
      heap.set(queued);
      return;
    }
    const flying = this.#inFlight.get(key);
    if (flying) {
      flying.waiting.info = info;
      flying.events.push(event);
      return;
    }
    const waiting = this.#unschedulable.get(key);
    if (!waiting) {
      this.add(info);
      return;
    }
    waiting.info = info;
    if (waiting.gate) {
      this.#unschedulable.delete(key);
      this.#enqueue(waiting);
    } else if (this.#helps(waiting, event)) this.#moveOn(waiting);
  }

  remove(info: PodInfo): void {
    const key = info.uid || info.key;
    this.#remove(key);
    this.#inFlight.delete(key);
  }

  /** The next pod to try; waits for one. Undefined once the signal fires. */
  async pop(signal: AbortSignal): Promise<WaitingPod | undefined> {
    while (!signal.aborted) {
      const next = this.take();
      if (next) return next;
      await this.#change(signal);
    }
    return undefined;
  }

  /** The next pod to try now; one that only rests after "fits nowhere" is taken when there is nothing else to do. */
  take(): WaitingPod | undefined {
    this.flush();
    let next = this.#active.pop();
    if (!next) {
      const resting = this.#backoff.peek();
      if (resting && !resting.erred) next = this.#backoff.pop();
    }
    if (!next) return undefined;
    next.attempts += 1;
    this.#inFlight.set(keyOf(next), { waiting: next, events: [] });
    return next;
  }

  /** The pod got a node or is no longer wanted. */
  done(waiting: WaitingPod): void {
    this.#inFlight.delete(keyOf(waiting));
  }

  /** The attempt failed. */
  reject(waiting: WaitingPod, { rejectedBy, pendingFor, erred }: Rejection): void {
    const key = keyOf(waiting);
    const flight = this.#inFlight.get(key);
    // Deleted meanwhile, or added anew.
    if (!flight || this.#active.get(key)) return;
    this.#inFlight.delete(key);
    const failed = { ...flight.waiting, rejectedBy, pendingFor, erred, queuedAt: this.#options.now() };
    failed.failures = waiting.erred === erred ? waiting.failures + 1 : 1;
    if (erred) this.#moveOn(failed);
    else if (flight.events.some((event) => this.#helps(failed, event))) this.#moveOn(failed);
    else this.#unschedulable.set(key, failed);
  }

  /** Something changed in the cluster. */
  notice(event: ClusterEvent): void {
    for (const { events } of this.#inFlight.values()) events.push(event);
    for (const waiting of [...this.#unschedulable.values()]) {
      if (waiting.gate || !this.#helps(waiting, event)) continue;
      this.#unschedulable.delete(keyOf(waiting));
      this.#moveOn(waiting);
    }
  }

  /** Moves on what has rested or waited long enough. */
  flush(): void {
    const now = this.#options.now();
    for (let next = this.#backoff.peek(); next && this.backoffEnds(next) <= now; next = this.#backoff.peek()) {
      this.#backoff.pop();
      this.#enqueue(next);
    }
    for (const waiting of [...this.#unschedulable.values()]) {
      if (waiting.gate || now - waiting.queuedAt < this.#options.longestWaitMs) continue;
      this.#unschedulable.delete(keyOf(waiting));
      this.#moveOn(waiting);
    }
  }

  #helps(waiting: WaitingPod, event: ClusterEvent): boolean {
    const plugins = [...waiting.rejectedBy, ...waiting.pendingFor];
    if (plugins.length === 0) return true;
    return plugins.some((plugin) =>
      this.#options.registrations
        .get(plugin)
        ?.some((registration) => registrationMatches(registration, event, waiting.info.pod)),
    );
  }

  #moveOn(waiting: WaitingPod): void {
    this.#unschedulable.delete(keyOf(waiting));
    // One that waited for something outside the cluster's nodes has rested already.
    const rests = waiting.pendingFor.size === 0 && this.backoffEnds(waiting) > this.#options.now();
    if (rests) {
      this.#backoff.set(waiting);
      this.#signal();
    } else this.#enqueue(waiting);
  }

  #enqueue(waiting: WaitingPod): void {
    waiting.gate = this.#options.preEnqueue(waiting.info);
    if (waiting.gate) this.#unschedulable.set(keyOf(waiting), waiting);
    else {
      this.#active.set(waiting);
      this.#signal();
    }
  }

  #remove(key: string): void {
    this.#active.delete(key);
    this.#backoff.delete(key);
    this.#unschedulable.delete(key);
  }

  #signal(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  /** Until a pod was added, the next one has rested, or the signal fires. */
  async #change(signal: AbortSignal): Promise<void> {
    const next = this.#backoff.peek();
    const waits = next ? Math.max(1, this.backoffEnds(next) - this.#options.now()) : 30_000;
    const timer = setTimeout(() => this.#signal(), Math.min(waits, 30_000));
    const wake = () => this.#signal();
    signal.addEventListener('abort', wake, { once: true });
    await this.#wake.promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
  }
}
