/** Mirror pods: objects by which the API server shows the static pods of this node. */
import type { Node, Pod, PodStatus } from '../../../machinery/api/types.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../../machinery/client/errors.ts';
import { pods } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { podAnnotations } from '../cri/labels.ts';
import { fullName } from '../pods/identity.ts';

export interface MirrorPods {
  /** Makes, replaces and removes mirrors; `undefined`: the static pods are not known yet. */
  reconcile(staticPods: Pod[] | undefined): void;
}

export function createMirrorPods(options: {
  client: Client;
  nodeName: string;
  node(): Node | undefined;
  /** By full name; undefined before they are known. */
  mirrors(): Map<string, Pod> | undefined;
  log: Logger;
  signal: AbortSignal;
}): MirrorPods {
  const { client, log, signal } = options;
  /** Names with a call under way; true: something was to be done meanwhile. */
  const busy = new Map<string, boolean>();
  let wanted: Pod[] | undefined;
  let timer: NodeJS.Timeout | undefined;

  const act = (name: string, work: () => Promise<void>) => {
    if (busy.has(name)) {
      busy.set(name, true);
      return;
    }
    busy.set(name, false);
    work()
      .catch((error: Error) => {
        log.warn({ pod: name }, `mirror pod: ${error.message}`);
        later();
      })
      .finally(() => {
        // The watch may tell that a mirror has gone before the call that removed it is answered.
        const missed = busy.get(name);
        busy.delete(name);
        if (missed) look();
      });
  };
  const later = () => {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(look, 2000);
  };
  const look = () => {
    const mirrors = options.mirrors();
    if (!wanted || !mirrors) return;
    const names = new Set<string>();
    for (const pod of wanted) {
      const name = fullName(pod);
      names.add(name);
      const mirror = mirrors.get(name);
      const hash = pod.metadata?.annotations?.[podAnnotations.configHash];
      if (mirror) {
        const stale =
          mirror.metadata?.annotations?.[podAnnotations.configMirror] !== hash || mirror.metadata?.deletionTimestamp;
        if (stale) act(name, () => remove(client, mirror));
        continue;
      }
      const node = options.node();
      if (!node) later();
      else act(name, () => create(client, pod, node));
    }
    for (const [name, mirror] of mirrors) if (!names.has(name)) act(name, () => remove(client, mirror));
  };
  signal.addEventListener('abort', () => clearTimeout(timer));
  return {
    reconcile(staticPods) {
      wanted = staticPods;
      look();
    },
  };
}

/** What the mirror tells of a static pod from before the kubelet was started; how an earlier run ended says nothing of this one. */
export function statusFromMirror({ status }: Pod): PodStatus | undefined {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed' ? undefined : status;
}

async function create(client: Client, pod: Pod, node: Node): Promise<void> {
  const { uid: _own, ...metadata } = pod.metadata ?? {};
  const hash = metadata.annotations?.[podAnnotations.configHash] ?? '';
  const mirror: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      annotations: { ...metadata.annotations, [podAnnotations.configMirror]: hash },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Node',
          name: node.metadata?.name ?? '',
          uid: node.metadata?.uid ?? '',
          controller: true,
        },
      ],
    },
    ...(pod.spec ? { spec: pod.spec } : {}),
  };
  try {
    await client.resource(pods).create(mirror);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function remove(client: Client, mirror: Pod): Promise<void> {
  const { name = '', namespace = '', uid } = mirror.metadata ?? {};
  try {
    await client
      .resource(pods)
      .delete({ name, namespace }, { gracePeriodSeconds: 0, ...(uid ? { preconditions: { uid } } : {}) });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
