/** Mirrors Endpoints that somebody else maintains for services without a selector into EndpointSlices. */
import { isDeepStrictEqual } from 'node:util';
import { controllerReference } from '../../../machinery/api/owners.ts';
import type { EndpointSlice, Endpoints, Service } from '../../../machinery/api/types.ts';
import { endpointSlices, endpoints, services } from '../../../machinery/client/resources.ts';
import { referenceTo } from '../../../machinery/events/recorder.ts';
import { keyOf } from '../../../machinery/informer/store.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller, ControllerContext } from '../framework/controller.ts';
import { isNamespaceTerminating, messageOf } from '../framework/failures.ts';
import { runReconciler } from '../framework/reconciler.ts';
import { serviceKeyOf } from './endpoint-slice.ts';
import type { EndpointAddress, EndpointSubset } from './endpoint-subsets.ts';
import { endpointsManagedBy } from './endpoints.ts';
import { type AddressType, familyOf, hasSelector, headlessLabel, isHeadless } from './service-pods.ts';
import { managedByLabel, serviceNameLabel } from './service-slices.ts';
import { type Endpoint, type EndpointGroup, planSlices } from './slice-plan.ts';
import { SliceWriter } from './slice-writer.ts';

const manager = 'endpointslicemirroring-controller.k8s.io';
const index = 'mirrored service';
const mostPerSubset = 1000;

export const endpointSliceMirroringController: Controller = {
  name: 'endpointslice-mirroring-controller',
  serviceAccount: 'endpointslicemirroring-controller',
  run: (context) => runMirroring(context),
};

/** Endpoints of controllers with slices of their own, and locks of leader elections, are not mirrored. */
export function isMirrored(object: Endpoints | undefined, service: Service | undefined): boolean {
  if (!object || !service || hasSelector(service) || service.spec?.type === 'ExternalName') return false;
  const { labels, annotations } = object.metadata ?? {};
  return (
    labels?.['endpointslice.kubernetes.io/skip-mirror'] !== 'true' &&
    labels?.[endpointsManagedBy] !== 'endpoint-controller' &&
    annotations?.['control-plane.alpha.kubernetes.io/leader'] === undefined
  );
}

/** Per address type, the endpoints with the same ports. */
export function mirroredGroups(subsets: EndpointSubset[]): Map<AddressType, EndpointGroup[]> {
  const found = new Map<AddressType, EndpointGroup[]>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => ({ address, ready: true })),
      ...notReadyAddresses.map((address) => ({ address, ready: false })),
    ].slice(0, mostPerSubset);
    for (const [type, members] of Map.groupBy(all, ({ address }) => familyOf(address.ip))) {
      const groups = found.get(type) ?? [];
      found.set(type, groups);
      groups.push({
        ports: ports.map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
          name,
          port,
          protocol,
          ...(appProtocol ? { appProtocol } : {}),
        })),
        endpoints: members.map(({ address, ready }) => endpointOf(address, ready)),
      });
    }
  }
  return found;
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef ? { targetRef } : {}),
  };
}

const notMirrored = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'endpoints.kubernetes.io/last-change-trigger-time',
]);

function sliceMetadata({ metadata }: Endpoints, service: Service) {
  const annotations = Object.entries(metadata?.annotations ?? {}).filter(([key]) => !notMirrored.has(key));
  return {
    labels: {
      ...metadata?.labels,
      ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
      [serviceNameLabel]: metadata?.name ?? '',
      [managedByLabel]: manager,
    },
    ...(annotations.length ? { annotations: Object.fromEntries(annotations) } : {}),
  };
}

async function runMirroring(context: ControllerContext): Promise<void> {
  const { client, informers } = context;
  const endpointsInformer = informers.informer(endpoints);
  const serviceInformer = informers.informer(services);
  const sliceInformer = informers.informer(endpointSlices);
  const recorder = context.recorder('endpoint-slice-mirroring-controller');
  const queue = createWorkQueue<string>();
  const writer = new SliceWriter(client);
  sliceInformer.addIndex(index, (slice) => {
    const key = serviceKeyOf(slice, manager);
    return key ? [key] : [];
  });
  const add = (object: Endpoints | Service) => queue.add(keyOf(object));
  endpointsInformer.addHandler({ onAdd: add, onUpdate: (_old, object) => add(object), onDelete: add });
  serviceInformer.addHandler({
    onAdd: add,
    onUpdate(old, service) {
      if (hasSelector(old) !== hasSelector(service) || isHeadless(old) !== isHeadless(service)) add(service);
    },
    onDelete: add,
  });
  const sliceSeen = (slice: EndpointSlice) => {
    const key = serviceKeyOf(slice, manager);
    if (key && !writer.isOwnWrite(key, slice)) queue.add(key);
  };
  sliceInformer.addHandler({
    onAdd: sliceSeen,
    onUpdate: (_old, slice) => sliceSeen(slice),
    onDelete(slice) {
      const key = serviceKeyOf(slice, manager);
      if (key && !writer.deleted(key, slice)) queue.add(key);
    },
  });

  await runReconciler(context, {
    queue,
    sources: [endpointsInformer, serviceInformer, sliceInformer],
    workers: 5,
    async reconcile(key) {
      const object = endpointsInformer.store.get(key);
      const service = serviceInformer.store.get(key);
      const existing = sliceInformer.store.byIndex(index, key);
      if (writer.isStale(key, existing)) {
        queue.addAfter(key, 20);
        return;
      }
      if (!object || !service || !isMirrored(object, service)) {
        if (existing.length > 0) await writer.write(key, [], [], existing);
        else writer.forget(key);
        return;
      }
      try {
        await mirror(key, object, service, existing);
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        const message = `Error updating Endpoint Slices for Endpoints ${key}: ${messageOf(error)}`;
        recorder.event(referenceTo(object, 'v1', 'Endpoints'), 'Warning', 'FailedToUpdateEndpointSlices', message);
        throw error;
      }
    },
  });

  async function mirror(key: string, object: Endpoints, service: Service, existing: EndpointSlice[]): Promise<void> {
    const wanted = sliceMetadata(object, service);
    const isCurrent = ({ metadata }: EndpointSlice) =>
      isDeepStrictEqual(metadata?.labels, wanted.labels) &&
      isDeepStrictEqual(metadata?.annotations ?? {}, wanted.annotations ?? {});
    const groups = mirroredGroups(object.subsets ?? []);
    const create: EndpointSlice[] = [];
    const update: EndpointSlice[] = [];
    const remove = existing.filter(({ addressType }) => !groups.has(addressType as AddressType));
    for (const [addressType, ofType] of groups) {
      const plan = planSlices(
        ofType,
        existing.filter((slice) => slice.addressType === addressType),
        isCurrent,
      );
      const { name = '', namespace = '' } = object.metadata ?? {};
      const ownerReferences = [controllerReference(object, endpoints)];
      create.push(
        ...plan.create.map((group) => ({
          metadata: { generateName: `${name}-`, namespace, ...wanted, ownerReferences },
          addressType,
          ...group,
        })),
      );
      update.push(...plan.update.map((slice) => ({ ...slice, metadata: { ...slice.metadata, ...wanted } })));
      remove.push(...plan.remove);
    }
    await writer.write(key, create, update, remove);
  }
}
