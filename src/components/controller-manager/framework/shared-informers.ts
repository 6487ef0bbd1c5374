/** The informers that all controllers share: nothing kept that none of them reads, started as soon as they are asked for. */
import type { KubeObject } from '../../../machinery/api/types.ts';
import type { Client, ResourceType } from '../../../machinery/client/types.ts';
import { createInformerFactory } from '../../../machinery/informer/factory.ts';
import type { Informer, InformerFactory } from '../../../machinery/informer/types.ts';

/** managedFields are about half of an object; no controller reads them. An update without them leaves them as they are. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  if (!object.metadata?.managedFields) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export interface SharedInformers extends InformerFactory {
  /** The informer of all objects of a resource, when some controller has asked for it. */
  existing(type: ResourceType<unknown>): Informer<KubeObject> | undefined;
}

export function sharedInformers(
  client: Client,
  signal: AbortSignal,
  onError: (message: string) => void,
): SharedInformers {
  const factory = createInformerFactory(client, onError);
  const complete = new Map<string, Informer<KubeObject>>();
  const typeKey = ({ group, version, resource }: ResourceType<unknown>) => `${group}/${version}/${resource}`;
  let starting = false;
  const startSoon = () => {
    if (starting) return;
    starting = true;
    // In a later turn: whoever asked for it has added its handlers and indexes by then.
    setImmediate(() => {
      starting = false;
      factory.start(signal);
    });
  };
  return {
    informer(type, options = {}) {
      const informer = factory.informer(type, { transform: withoutManagedFields, ...options });
      const { namespace, labelSelector, fieldSelector } = options;
      if (!namespace && !labelSelector && !fieldSelector)
        complete.set(typeKey(type), informer as unknown as Informer<KubeObject>);
      startSoon();
      return informer;
    },
    existing: (type) => complete.get(typeKey(type)),
    start: startSoon,
    // Those asked for in this turn count too.
    synced: (waitSignal) =>
      new Promise((resolve, reject) => {
        setImmediate(() => {
          factory.start(signal);
          factory.synced(waitSignal).then(resolve, reject);
        });
      }),
  };
}
