/** The Endpoints controller: for readers of the older API, one object per service with its pods' addresses. */
import { isDeepStrictEqual } from 'node:util';
import type { Endpoints, Service } from '../../../machinery/api/types.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../../machinery/client/errors.ts';
import { endpoints, pods, services } from '../../../machinery/client/resources.ts';
import { referenceTo } from '../../../machinery/events/recorder.ts';
import { keyOf, splitKey } from '../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../framework/controller.ts';
import { isNamespaceTerminating, messageOf } from '../framework/failures.ts';
import { LatestWritten } from '../framework/latest-written.ts';
import { runReconciler } from '../framework/reconciler.ts';
import { endpointSubsets, withinCapacity } from './endpoint-subsets.ts';
import { batchMs, podsOf, watchServicePods } from './pod-services.ts';
import { hasSelector, headlessLabel, isHeadless } from './service-pods.ts';
import { TriggerTimes, triggerTimeAnnotation } from './trigger-time.ts';

export const endpointsManagedBy = 'endpoints.kubernetes.io/managed-by';
const overCapacity = 'endpoints.kubernetes.io/over-capacity';

export const endpointsController: Controller = {
  name: 'endpoints-controller',
  serviceAccount: 'endpoint-controller',
  run: (context) => runEndpoints(context),
};

/** The object as it should be, on top of what is there. */
export function wantedEndpoints(
  service: Service,
  current: Endpoints | undefined,
  all: ReturnType<typeof endpointSubsets>,
  triggerTime: string | undefined,
): Endpoints {
  const subsets = withinCapacity(all);
  const {
    [overCapacity]: _over,
    [triggerTimeAnnotation]: _time,
    ...annotations
  } = current?.metadata?.annotations ?? {};
  if (subsets !== all) annotations[overCapacity] = 'truncated';
  if (triggerTime) annotations[triggerTimeAnnotation] = triggerTime;
  const { [headlessLabel]: _headless, ...own } = service.metadata?.labels ?? {};
  const { annotations: _annotations, ...metadata } = current?.metadata ?? {
    name: service.metadata?.name ?? '',
    namespace: service.metadata?.namespace ?? '',
  };
  return {
    metadata: {
      ...metadata,
      ...(Object.keys(annotations).length ? { annotations } : {}),
      labels: {
        ...own,
        [endpointsManagedBy]: 'endpoint-controller',
        ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
      },
    },
    ...(subsets.length ? { subsets } : {}),
  };
}

const sameEndpoints = (a: Endpoints, b: Endpoints): boolean =>
  isDeepStrictEqual(a.subsets ?? [], b.subsets ?? []) &&
  isDeepStrictEqual(a.metadata?.labels, b.metadata?.labels) &&
  a.metadata?.annotations?.[overCapacity] === b.metadata?.annotations?.[overCapacity];

async function runEndpoints(context: ControllerContext): Promise<void> {
  const { client, informers } = context;
  const serviceInformer = informers.informer(services);
  const podInformer = informers.informer(pods);
  const endpointsInformer = informers.informer(endpoints);
  const recorder = context.recorder('endpoint-controller');
  const queue = createWorkQueue<string>();
  const triggerTimes = new TriggerTimes();
  const podCounts = new Map<string, number>();
  const latest = new LatestWritten<Endpoints>();
  const resource = client.resource(endpoints);
  const add = (service: Service) => queue.add(keyOf(service));
  serviceInformer.addHandler({ onAdd: add, onUpdate: (_old, service) => add(service), onDelete: add });
  watchServicePods(podInformer, serviceInformer, (key) => queue.addAfter(key, batchMs(podCounts.get(key) ?? 0)));
  endpointsInformer.addHandler({
    // What a deleted service left behind while nobody watched; locks of leader elections are not ours.
    onAdd(object, isInitial) {
      if (isInitial && !object.metadata?.annotations?.['control-plane.alpha.kubernetes.io/leader'])
        queue.add(keyOf(object));
    },
    onDelete: (object) => queue.add(keyOf(object)),
  });

  await runReconciler(context, {
    queue,
    sources: [serviceInformer, podInformer, endpointsInformer],
    workers: 5,
    async reconcile(key) {
      const service = serviceInformer.store.get(key);
      const cached = endpointsInformer.store.get(key);
      const current = cached && latest.of(cached);
      if (!service) {
        triggerTimes.forget(key);
        podCounts.delete(key);
        latest.forget(key);
        if (!current) return;
        await resource.delete(splitKey(key)).catch((error: Error) => {
          if (!isNotFound(error)) throw error;
        });
        return;
      }
      if (service.spec?.type === 'ExternalName' || !hasSelector(service) || service.metadata?.deletionTimestamp) return;
      const selected = podsOf(podInformer, service);
      podCounts.set(key, selected.length);
      const triggerTime = triggerTimes.next(key, service, selected);
      const wanted = wantedEndpoints(service, current, endpointSubsets(service, selected), triggerTime);
      if (current && sameEndpoints(wanted, current)) return;
      try {
        latest.wrote(await (current ? resource.update(wanted) : resource.create(wanted)));
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        const about = referenceTo(wanted, 'v1', 'Endpoints');
        if (!current) {
          const message = `Failed to create endpoint for service ${key}: ${messageOf(error)}`;
          if (!isAlreadyExists(error)) recorder.event(about, 'Warning', 'FailedToCreateEndpoint', message);
        } else if (!isConflict(error)) {
          const message = `Failed to update endpoint ${key}: ${messageOf(error)}`;
          recorder.event(about, 'Warning', 'FailedToUpdateEndpoint', message);
        }
        throw error;
      }
    },
  });
}
