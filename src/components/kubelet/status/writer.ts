/**
 * Writes pods' statuses to the API server: the latest of each pod, in the background, again until it arrives; and removes the
 * object of a pod that was deleted and of which nothing is left here.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { stableJson } from '../../../machinery/api/hash.ts';
import type { Pod, PodStatus } from '../../../machinery/api/types.ts';
import { isConflict, isNotFound } from '../../../machinery/client/errors.ts';
import { pods } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { statusPatch } from './patch.ts';

export interface StatusWriter {
  publish(pod: Pod, status: PodStatus): void;
  finished(pod: Pod, status: PodStatus): void;
  /** The latest status by the uid that the kubelet knows the pod by. */
  status(uid: string): PodStatus | undefined;
  /** Forgets pods that are no longer on this node. */
  prune(live: ReadonlySet<string>): void;
  /** Looks at all pods again, for example because objects changed. */
  poke(): void;
  /** Nothing is left to write. */
  readonly idle: boolean;
}

export interface StatusWriterOptions {
  client: Client | undefined;
  /** The API's object of the pod (of a static pod: its mirror); undefined when there is none. */
  object(pod: Pod): Pod | undefined;
  log: Logger;
  signal: AbortSignal;
}

interface Entry {
  pod: Pod;
  status: PodStatus;
  /** Nothing is left on the node. */
  finished: boolean;
  /** What was written last, to what uid. */
  written: string;
  /** The version of the object that the status was compared with: what was seen may have been older than what was written. */
  seen: string;
  deleted: boolean;
}

const retryMs = 1000;
const parallel = 4;

export function createStatusWriter({ client, object, log, signal }: StatusWriterOptions): StatusWriter {
  const entries = new Map<string, Entry>();
  const dirty = new Set<string>();
  let active = 0;

  const put = (pod: Pod, status: PodStatus, finished: boolean) => {
    const uid = pod.metadata?.uid ?? '';
    const known = entries.get(uid);
    entries.set(uid, {
      pod,
      status,
      finished: finished || (known?.finished ?? false),
      written: known?.written ?? '',
      seen: known?.seen ?? '',
      deleted: known?.deleted ?? false,
    });
    dirty.add(uid);
    pump();
  };
  const pump = () => {
    if (!client) return;
    while (active < parallel && dirty.size && !signal.aborted) {
      const [uid] = dirty as unknown as Iterable<string>;
      if (uid === undefined) return;
      dirty.delete(uid);
      active += 1;
      write(uid)
        .catch(async (error: Error) => {
          log.debug({ uid }, `cannot write a pod's status: ${error.message}`);
          await delay(retryMs, undefined, { signal }).catch(() => undefined);
          if (entries.has(uid)) dirty.add(uid);
        })
        .finally(() => {
          active -= 1;
          pump();
        });
    }
  };
  const write = async (uid: string) => {
    const entry = entries.get(uid);
    if (!entry || !client) return;
    const current = object(entry.pod);
    if (!current?.metadata) return;
    const { name = '', namespace = '', uid: apiUid = '', resourceVersion = '' } = current.metadata;
    const text = `${apiUid} ${stableJson(entry.status)}`;
    if (text !== entry.written || resourceVersion !== entry.seen) {
      const patch = statusPatch(current, entry.status);
      if (patch) {
        try {
          await client
            .resource(pods)
            .patch(
              { namespace, name },
              { metadata: { uid: apiUid }, status: patch },
              { type: 'strategic', subresource: 'status' },
            );
        } catch (error) {
          // Gone, or another pod of that name: nobody to tell.
          if (!isNotFound(error) && !isConflict(error)) throw error;
        }
      }
      entry.written = text;
      entry.seen = resourceVersion;
    }
    if (!entry.finished || entry.deleted || !current.metadata.deletionTimestamp) return;
    try {
      await client
        .resource(pods)
        .delete({ namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid: apiUid } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
    entry.deleted = true;
  };
  return {
    get idle() {
      return active === 0 && dirty.size === 0;
    },
    publish: (pod, status) => put(pod, status, false),
    finished: (pod, status) => put(pod, status, true),
    status: (uid) => entries.get(uid)?.status,
    prune(live) {
      for (const uid of entries.keys()) {
        if (live.has(uid)) continue;
        entries.delete(uid);
        dirty.delete(uid);
      }
    },
    poke() {
      for (const uid of entries.keys()) dirty.add(uid);
      pump();
    },
  };
}
