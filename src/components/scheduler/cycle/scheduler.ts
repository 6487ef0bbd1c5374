/** The loop: takes the next pod, chooses its node, assumes it there, and binds while the next one is being looked at. */
import { setImmediate } from 'node:timers/promises';
import type { Pod } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import type { Client } from '../../../machinery/client/types.ts';
import type { SchedulerCache } from '../cache/cache.ts';
import type { CycleState } from '../framework/cycle-state.ts';
import type { Diagnosis, Nominations, PluginContext } from '../framework/plugin.ts';
import { isTerminating, schedulerNameOf } from '../framework/pod-info.ts';
import type { Profile } from '../framework/profile.ts';
import { isRejection, type Status } from '../framework/status.ts';
import type { SchedulingQueue, WaitingPod } from '../queue/queue.ts';
import type { Choice } from './choose-node.ts';
import { failurePatch, recordFailure, shortened } from './failure.ts';
import { diagnosisMessage, noNodes } from './fit-error.ts';

export interface SchedulerParts {
  client: Client;
  cache: SchedulerCache;
  queue: SchedulingQueue;
  nominations: Nominations;
  profiles: ReadonlyMap<string, Profile>;
  choose(profile: Profile, info: WaitingPod['info'], snapshot: SchedulerCache): Choice;
  /** The pod as the informer has it now. */
  current(pod: Pod): Pod | undefined;
  podEvent(profile: string, ...event: Parameters<PluginContext['podEvent']>): void;
  logError: PluginContext['logError'];
  /** How an attempt ended and how long it took. */
  observe(result: 'scheduled' | 'unschedulable' | 'error', profile: string, ms: number): void;
}

interface Failure {
  reason: 'Unschedulable' | 'SchedulerError';
  message: string;
  rejectedBy: ReadonlySet<string>;
  pendingFor: ReadonlySet<string>;
  nominatedNodeName?: string | undefined;
}

const nobody: ReadonlySet<string> = new Set();
const bindingsAtOnce = 64;

const errorOf = (error: Error): Failure => ({
  reason: 'SchedulerError',
  message: error.message,
  rejectedBy: nobody,
  pendingFor: nobody,
});

const rejectionBy = (found: Status): Failure => ({
  reason: isRejection(found) ? 'Unschedulable' : 'SchedulerError',
  message: found.reasons.join(', '),
  rejectedBy: new Set(found.plugin && isRejection(found) ? [found.plugin] : []),
  pendingFor: nobody,
});

export async function runScheduler(parts: SchedulerParts, signal: AbortSignal): Promise<void> {
  const { queue, cache } = parts;
  const bindings = new Set<Promise<void>>();
  // Not counted against the limit: a provisioner that never answers must not hold up everybody else.
  const waitingBindings = new Set<Promise<void>>();
  while (!signal.aborted) {
    const waiting = await queue.pop(signal);
    if (!waiting) break;
    const { pod } = waiting.info;
    const profile = parts.profiles.get(schedulerNameOf(pod));
    if (!profile || isTerminating(pod) || cache.isAssumed(pod)) {
      queue.done(waiting);
      continue;
    }
    const began = performance.now();
    const started = await attempt(parts, profile, waiting, began);
    if (started?.mayWait) {
      const tracked: Promise<void> = started.binding.finally(() => waitingBindings.delete(tracked));
      waitingBindings.add(tracked);
    } else if (started) {
      const tracked: Promise<void> = started.binding.finally(() => bindings.delete(tracked));
      bindings.add(tracked);
      if (bindings.size >= bindingsAtOnce) await Promise.race(bindings);
    }
    // Answers of the API server come in between two pods.
    await setImmediate();
  }
  await Promise.all([...bindings, ...waitingBindings]);
}

/** Answers the binding, still under way, when a node was found. */
async function attempt(
  parts: SchedulerParts,
  profile: Profile,
  waiting: WaitingPod,
  began: number,
): Promise<{ binding: Promise<void>; mayWait: boolean } | undefined> {
  const { cache } = parts;
  try {
    if (cache.nodes.length === 0) {
      await fail(parts, profile, waiting, { ...errorOf(new Error(noNodes)), reason: 'Unschedulable' }, began);
      return undefined;
    }
    const choice = parts.choose(profile, waiting.info, cache);
    if (!choice.fits) {
      await fail(parts, profile, waiting, await unschedulable(parts, profile, waiting, choice), began);
      return undefined;
    }
    cache.assume(waiting.info, choice.nodeName);
    const refused = profile.reserve(choice.state, waiting.info, choice.nodeName);
    if (!refused)
      return {
        binding: bind(parts, profile, waiting, choice.state, choice.nodeName, began),
        mayWait: profile.mayWait(choice.state, waiting.info, choice.nodeName),
      };
    takeBack(parts, profile, waiting, choice.state, choice.nodeName);
    await fail(parts, profile, waiting, rejectionBy(refused), began);
  } catch (error) {
    await fail(parts, profile, waiting, errorOf(error as Error), began);
  }
  return undefined;
}

async function unschedulable(
  parts: SchedulerParts,
  profile: Profile,
  waiting: WaitingPod,
  { diagnosis, state }: { diagnosis: Diagnosis; state: CycleState },
): Promise<Failure> {
  const result = await profile.postFilter(state, waiting.info, diagnosis);
  diagnosis.postFilterMessage = result?.message ?? '';
  return {
    reason: 'Unschedulable',
    message: diagnosisMessage(parts.cache.nodes.length, diagnosis),
    rejectedBy: diagnosis.unschedulablePlugins,
    pendingFor: diagnosis.pendingPlugins,
    nominatedNodeName: result?.nominatedNodeName,
  };
}

async function bind(
  parts: SchedulerParts,
  profile: Profile,
  waiting: WaitingPod,
  state: CycleState,
  nodeName: string,
  began: number,
): Promise<void> {
  const { info } = waiting;
  let failure: Failure | undefined;
  try {
    const found = await profile.bind(state, info, nodeName);
    if (found) failure = rejectionBy(found);
  } catch (error) {
    failure = errorOf(error as Error);
  }
  if (failure) {
    takeBack(parts, profile, waiting, state, nodeName);
    const message = failure.reason === 'SchedulerError' ? `binding rejected: ${failure.message}` : failure.message;
    await fail(parts, profile, waiting, { ...failure, message }, began);
    // What it would have taken is free for others.
    parts.queue.notice({ resource: 'AssignedPod', actions: ['Delete'], oldObject: info.pod });
    return;
  }
  parts.queue.done(waiting);
  parts.nominations.remove(info);
  parts.observe('scheduled', profile.name, performance.now() - began);
  const message = `Successfully assigned ${info.key} to ${nodeName}`;
  parts.podEvent(profile.name, info.pod, 'Normal', 'Scheduled', 'Binding', message);
}

function takeBack(parts: SchedulerParts, profile: Profile, { info }: WaitingPod, state: CycleState, nodeName: string) {
  profile.unreserve(state, info, nodeName);
  parts.cache.forget(info);
}

async function fail(
  parts: SchedulerParts,
  profile: Profile,
  waiting: WaitingPod,
  failure: Failure,
  began: number,
): Promise<void> {
  const { queue, nominations } = parts;
  const erred = failure.reason === 'SchedulerError';
  parts.observe(erred ? 'error' : 'unschedulable', profile.name, performance.now() - began);
  const message = shortened(failure.message);
  if (erred) parts.logError(`scheduling ${waiting.info.key}`, new Error(message));
  const pod = parts.current(waiting.info.pod);
  // Deleted, replaced or already somewhere: nothing to wait for.
  if (!pod || pod.metadata?.uid !== waiting.info.pod.metadata?.uid || pod.spec?.nodeName) {
    queue.done(waiting);
    nominations.remove(waiting.info);
    return;
  }
  if (failure.nominatedNodeName) nominations.add(waiting.info, failure.nominatedNodeName);
  else if (failure.nominatedNodeName === '') nominations.remove(waiting.info);
  queue.reject(waiting, { rejectedBy: failure.rejectedBy, pendingFor: failure.pendingFor, erred });
  parts.podEvent(profile.name, pod, 'Warning', 'FailedScheduling', 'Scheduling', message);
  const patch = failurePatch(pod, failure.reason, failure.message, failure.nominatedNodeName);
  if (!patch) return;
  try {
    await recordFailure(parts.client, pod, patch);
  } catch (error) {
    if (!isNotFound(error)) parts.logError(`status of ${waiting.info.key}`, error as Error);
  }
}
