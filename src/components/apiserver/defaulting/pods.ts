/** Defaults of pods and pod templates. */
import {
  addResourceLists,
  formatQuantity,
  maxResourceLists,
  parseResourceList,
  type ResourceQuantities,
} from '../../../machinery/api/quantity.ts';
import { defaultContainer } from './containers.ts';
import { ensureObject, type Fields, hasObject, isUnset, listAt, objectAt, setDefault, setDefaults } from './fields.ts';
import { defaultVolume } from './volumes.ts';

/** What templates of controllers get as well. */
export function defaultPodSpec(spec: Fields): void {
  setDefaults(spec, { dnsPolicy: 'ClusterFirst', restartPolicy: 'Always', schedulerName: 'default-scheduler' });
  setDefault(spec, 'securityContext', {});
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  for (const list of ['containers', 'initContainers', 'ephemeralContainers']) {
    for (const container of listAt(spec, list)) defaultContainer(container);
  }
  for (const volume of listAt(spec, 'volumes')) defaultVolume(volume);
}

export function defaultPodTemplate(owner: Fields, field = 'template'): void {
  if (hasObject(owner, field)) defaultPodSpec(ensureObject(objectAt(owner, field), 'spec'));
}

/** What only pods get, never templates: requests from limits, service links, host ports. */
export function defaultPod(pod: Fields): void {
  const spec = ensureObject(pod, 'spec');
  defaultPodSpec(spec);
  const containers = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')];
  for (const container of containers) {
    requestsFromLimits(objectAt(container, 'resources'));
    if (spec['hostNetwork'] === true) {
      for (const port of listAt(container, 'ports')) setDefault(port, 'hostPort', port['containerPort'], 0);
    }
  }
  if (hasObject(spec, 'resources')) podRequestsFromLimits(spec, objectAt(spec, 'resources'));
  setDefault(spec, 'enableServiceLinks', true);
}

function requestsFromLimits(resources: Fields): void {
  if (!hasObject(resources, 'limits')) return;
  const requests = ensureObject(resources, 'requests');
  for (const [name, limit] of Object.entries(objectAt(resources, 'limits'))) setDefault(requests, name, limit);
}

/** Pod-level requests: the containers' sum where they have one, else the pod's limit. */
function podRequestsFromLimits(spec: Fields, resources: Fields): void {
  if (!hasObject(resources, 'limits')) return;
  const requests = ensureObject(resources, 'requests');
  const sum = aggregateRequests(spec);
  for (const [name, limit] of Object.entries(objectAt(resources, 'limits'))) {
    if (!isUnset(requests[name])) continue;
    const fromContainers = sum[name];
    requests[name] = fromContainers ? formatQuantity(fromContainers) : limit;
  }
}

const requestsOf = (container: Fields): ResourceQuantities =>
  parseResourceList(objectAt(objectAt(container, 'resources'), 'requests') as Record<string, string>);

function aggregateRequests(spec: Fields): ResourceQuantities {
  let running: ResourceQuantities = {};
  for (const container of listAt(spec, 'containers')) running = addResourceLists(running, requestsOf(container));
  let sidecars: ResourceQuantities = {};
  let initial: ResourceQuantities = {};
  for (const container of listAt(spec, 'initContainers')) {
    if (container['restartPolicy'] === 'Always') sidecars = addResourceLists(sidecars, requestsOf(container));
    else initial = maxResourceLists(initial, addResourceLists(sidecars, requestsOf(container)));
  }
  return maxResourceLists(addResourceLists(running, sidecars), maxResourceLists(initial, sidecars));
}
