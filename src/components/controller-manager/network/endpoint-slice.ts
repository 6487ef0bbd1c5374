/** The EndpointSlice controller: for every service with a selector, slices with its pods' addresses. */
import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, Service } from '../../../machinery/api/types.ts';
import { endpointSlices, nodes, pods, services } from '../../../machinery/client/resources.ts';
import { referenceTo } from '../../../machinery/events/recorder.ts';
import { keyOf } from '../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../framework/controller.ts';
import { isNamespaceTerminating, messageOf } from '../framework/failures.ts';
import { runReconciler } from '../framework/reconciler.ts';
import { batchMs, podsOf, watchServicePods } from './pod-services.ts';
import { hasSelector } from './service-pods.ts';
import {
  addressTypesOf,
  managedByLabel,
  newSlice,
  serviceEndpoints,
  serviceNameLabel,
  sliceLabels,
  sliceManager,
  withTriggerTime,
} from './service-slices.ts';
import { planSlices } from './slice-plan.ts';
import { SliceWriter } from './slice-writer.ts';
import { TriggerTimes } from './trigger-time.ts';

const staleRetryMs = 20;
const index = 'service';

export const endpointSliceController: Controller = {
  name: 'endpointslice-controller',
  serviceAccount: 'endpointslice-controller',
  run: (context) => runEndpointSlices(context),
};

/** The key of the service that a slice of this manager belongs to. */
export const serviceKeyOf = ({ metadata }: EndpointSlice, manager: string): string | undefined => {
  const name = metadata?.labels?.[serviceNameLabel];
  return name && metadata?.labels?.[managedByLabel] === manager ? `${metadata.namespace}/${name}` : undefined;
};

async function runEndpointSlices(context: ControllerContext): Promise<void> {
  const { client, informers } = context;
  const serviceInformer = informers.informer(services);
  const podInformer = informers.informer(pods);
  const nodeInformer = informers.informer(nodes);
  const sliceInformer = informers.informer(endpointSlices);
  const recorder = context.recorder('endpoint-slice-controller');
  const queue = createWorkQueue<string>({ baseDelayMs: 1000, maxDelayMs: 100_000 });
  const writer = new SliceWriter(client);
  const triggerTimes = new TriggerTimes();
  const podCounts = new Map<string, number>();
  sliceInformer.addIndex(index, (slice) => {
    const key = serviceKeyOf(slice, sliceManager);
    return key ? [key] : [];
  });
  const add = (service: Service) => queue.add(keyOf(service));
  serviceInformer.addHandler({ onAdd: add, onUpdate: (_old, service) => add(service), onDelete: add });
  watchServicePods(podInformer, serviceInformer, (key) => queue.addAfter(key, batchMs(podCounts.get(key) ?? 0)));
  const sliceSeen = (slice: EndpointSlice) => {
    const key = serviceKeyOf(slice, sliceManager);
    if (key && !writer.isOwnWrite(key, slice)) queue.add(key);
  };
  sliceInformer.addHandler({
    onAdd: sliceSeen,
    onUpdate(old, slice) {
      const before = serviceKeyOf(old, sliceManager);
      if (before && before !== serviceKeyOf(slice, sliceManager)) queue.add(before);
      sliceSeen(slice);
    },
    onDelete(slice) {
      const key = serviceKeyOf(slice, sliceManager);
      if (key && !writer.deleted(key, slice)) queue.add(key);
    },
  });

  await runReconciler(context, {
    queue,
    sources: [serviceInformer, podInformer, nodeInformer, sliceInformer],
    workers: 5,
    async reconcile(key) {
      const service = serviceInformer.store.get(key);
      if (!service) {
        // Its slices go with their owner.
        writer.forget(key);
        triggerTimes.forget(key);
        podCounts.delete(key);
        return;
      }
      if (service.spec?.type === 'ExternalName' || !hasSelector(service)) return;
      const cached = sliceInformer.store.byIndex(index, key);
      if (writer.isStale(key, cached)) {
        queue.addAfter(key, staleRetryMs);
        return;
      }
      try {
        await syncService(
          key,
          service,
          cached.filter(({ metadata }) => !metadata?.deletionTimestamp),
        );
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        const message = `Error updating Endpoint Slices for Service ${key}: ${messageOf(error)}`;
        recorder.event(referenceTo(service, 'v1', 'Service'), 'Warning', 'FailedToUpdateEndpointSlices', message);
        throw error;
      }
    },
  });

  async function syncService(key: string, service: Service, existing: EndpointSlice[]): Promise<void> {
    const selected = podsOf(podInformer, service);
    podCounts.set(key, selected.length);
    const triggerTime = triggerTimes.next(key, service, selected);
    const labels = sliceLabels(service);
    const isCurrent = ({ metadata }: EndpointSlice) => isDeepStrictEqual(metadata?.labels, labels);
    const addressTypes = addressTypesOf(service, selected);
    const create: EndpointSlice[] = [];
    const update: EndpointSlice[] = [];
    const remove = existing.filter(({ addressType }) => !addressTypes.some((type) => type === addressType));
    const withoutNode = new Set<string>();
    for (const addressType of addressTypes) {
      const wanted = serviceEndpoints(service, selected, addressType, (name) => nodeInformer.store.get(name));
      for (const pod of wanted.withoutNode) withoutNode.add(`${pod.spec?.nodeName}`);
      const ofType = existing.filter((slice) => slice.addressType === addressType);
      const plan = planSlices(wanted.groups, ofType, isCurrent);
      create.push(...plan.create.map((group) => newSlice(service, addressType, group, triggerTime)));
      update.push(
        ...plan.update.map((slice) =>
          withTriggerTime({ ...slice, metadata: { ...slice.metadata, labels } }, triggerTime),
        ),
      );
      remove.push(...plan.remove);
    }
    await writer.write(key, create, update, remove);
    if (withoutNode.size > 0) throw new Error(`skipping Pods: node ${[...withoutNode].join(', ')} not found`);
  }
}
