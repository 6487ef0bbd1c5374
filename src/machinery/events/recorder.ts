/** Tells the cluster what happened to an object: events, sent in the background, never blocking or failing the caller. */
import { hostname } from 'node:os';
import { formatMicroTime, formatTime } from '../api/time.ts';
import type { CoreEvent, EventsV1Event, KubeObject, ObjectReference } from '../api/types.ts';
import { ApiError, isNotFound } from '../client/errors.ts';
import { coreEvents, events } from '../client/resources.ts';
import type { Client } from '../client/types.ts';
import { EventCorrelator } from './correlation.ts';

export interface EventOptions {
  /** What was done or tried, for example `Binding`; only events.k8s.io has it. */
  action?: string;
  related?: ObjectReference;
}

export interface EventRecorder {
  /** `about` is an object (with kind and apiVersion, or those in `kindOf`) or a reference. */
  event(
    about: ObjectReference,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    options?: EventOptions,
  ): void;
  /** Resolves when all events so far were sent or given up. */
  flush(): Promise<void>;
}

export interface RecorderOptions {
  client: Client;
  /** For example `kubelet`, `deployment-controller`, `default-scheduler`. */
  component: string;
  /** The node's name, for components that speak for one. */
  host?: string;
  /** Which API: `core` as kubelet and controllers, `events` as scheduler and proxy. Default core. */
  api?: 'core' | 'events';
  onError?(error: Error): void;
}

/** A reference to an object of a known kind, for `event`. */
export function referenceTo(object: KubeObject, apiVersion: string, kind: string, fieldPath?: string): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata ?? {};
  return {
    apiVersion,
    kind,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(uid ? { uid } : {}),
    ...(resourceVersion ? { resourceVersion } : {}),
    ...(fieldPath ? { fieldPath } : {}),
  };
}

const queueLimit = 1000;
const tries = 12;
const retryMs = 10_000;
const noteLimit = 1024;

interface Pending {
  about: ObjectReference;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  options: EventOptions;
  at: Date;
}

export function createRecorder({ client, component, host, api = 'core', onError }: RecorderOptions): EventRecorder {
  const correlator = new EventCorrelator();
  const queue: Pending[] = [];
  let draining: Promise<void> | undefined;
  const instance = host ?? (api === 'events' ? `${component}-${hostname()}` : '');

  const drain = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      await deliver(next).catch((error: Error) => onError?.(error));
    }
    draining = undefined;
  };

  const deliver = async (pending: Pending) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send(pending);
      } catch (error) {
        // The server's answer is final (the namespace ends, the event is invalid); only a missing answer is tried again.
        const final = error instanceof ApiError && error.code < 500 && error.code !== 429;
        if (final || attempt === tries) throw error;
        await new Promise((resolve) => setTimeout(resolve, retryMs * (0.5 + Math.random())).unref());
      }
    }
  };

  const send = async (pending: Pending): Promise<void> => {
    const { about, type, reason, message, at } = pending;
    const objectKey = [about.kind, about.namespace, about.name, about.uid, about.apiVersion, about.fieldPath].join('/');
    const outcome = correlator.correlate(
      { type, reason, message, objectKey, source: `${component}/${instance}` },
      at.getTime(),
    );
    if (outcome.action === 'drop') return;
    const namespace = about.namespace || 'default';
    if (outcome.action === 'count') {
      try {
        await patch({ namespace, name: outcome.name }, outcome.count, outcome.message, at);
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    const name = `${about.name}.${(BigInt(at.getTime()) * 1_000_000n + BigInt(Math.floor(Math.random() * 1e6))).toString(16)}`;
    await create(pending, { namespace, name }, outcome.message);
    correlator.created(outcome.key, name, at.getTime());
  };

  const patch = async (ref: { namespace: string; name: string }, count: number, message: string, at: Date) => {
    if (api === 'events') {
      const series = { count, lastObservedTime: formatMicroTime(at) };
      await client.resource(events).patch(ref, { series }, { type: 'strategic' });
    } else {
      await client
        .resource(coreEvents)
        .patch(ref, { count, lastTimestamp: formatTime(at), message }, { type: 'strategic' });
    }
  };

  const create = async (pending: Pending, metadata: { namespace: string; name: string }, message: string) => {
    const { about, type, reason, options, at } = pending;
    if (api === 'events') {
      const event: EventsV1Event = {
        metadata,
        eventTime: formatMicroTime(at),
        reportingController: component,
        reportingInstance: instance,
        action: options.action ?? reason,
        reason,
        regarding: about,
        ...(options.related ? { related: options.related } : {}),
        note: message.slice(0, noteLimit),
        type,
      };
      await client.resource(events).create(event);
      return;
    }
    const time = formatTime(at);
    const event: CoreEvent = {
      metadata,
      involvedObject: about,
      reason,
      message: message.slice(0, noteLimit),
      source: { component, ...(instance ? { host: instance } : {}) },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
      type,
      ...(options.related ? { related: options.related } : {}),
      reportingComponent: component,
      reportingInstance: instance,
    };
    await client.resource(coreEvents).create(event);
  };

  return {
    event(about, type, reason, message, options = {}) {
      if (queue.length >= queueLimit) return;
      queue.push({ about, type, reason, message, options, at: new Date() });
      draining ??= drain();
    },
    flush: async () => {
      while (draining) await draining;
    },
  };
}
