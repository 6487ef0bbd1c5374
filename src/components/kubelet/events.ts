/** Events about pods and the node; without an API server they are only logged. */
import type { ObjectReference, Pod } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { createRecorder, referenceTo } from '../../machinery/events/recorder.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import type { EventSink } from './types.ts';

export interface KubeletEvents extends EventSink {
  flush(): Promise<void>;
}

export function createEvents(options: { client: Client | undefined; nodeName: string; log: Logger }): KubeletEvents {
  const { client, nodeName, log } = options;
  const recorder = client
    ? createRecorder({
        client,
        component: 'kubelet',
        host: nodeName,
        onError: (error) => log.debug(`cannot send an event: ${error.message}`),
      })
    : undefined;
  const tell = (about: ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string) => {
    const object = `${about.namespace ? `${about.namespace}/` : ''}${about.name}`;
    log.info({ object, fieldPath: about.fieldPath, kind: about.kind, type, reason }, message);
    recorder?.event(about, type, reason, message);
  };
  return {
    pod: (pod: Pod, type, reason, message, fieldPath) =>
      tell(referenceTo(pod, 'v1', 'Pod', fieldPath), type, reason, message),
    // Upstream's kubelet names the node itself by its name where the uid should be.
    node: (type, reason, message) =>
      tell({ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName }, type, reason, message),
    flush: async () => recorder?.flush(),
  };
}
