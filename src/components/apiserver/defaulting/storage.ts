/** Defaults of storage, scheduling and device kinds. */
import { ensureObject, type Fields, hasObject, isUnset, listAt, objectAt, setDefault } from './fields.ts';

function defaultDriver(driver: Fields): void {
  const spec = ensureObject(driver, 'spec');
  setDefault(spec, 'attachRequired', true);
  setDefault(spec, 'podInfoOnMount', false);
  setDefault(spec, 'storageCapacity', false);
  setDefault(spec, 'fsGroupPolicy', 'ReadWriteOnceWithFSType');
  setDefault(spec, 'requiresRepublish', false);
  setDefault(spec, 'seLinuxMount', false);
  const modes = spec['volumeLifecycleModes'];
  if (!Array.isArray(modes) || modes.length === 0) spec['volumeLifecycleModes'] = ['Persistent'];
}

function defaultDeviceRequest(request: Fields): void {
  setDefault(request, 'allocationMode', 'ExactCount', '');
  if (request['allocationMode'] === 'ExactCount') setDefault(request, 'count', 1, 0);
  defaultTolerations(request);
}

function defaultTolerations(owner: Fields): void {
  for (const toleration of listAt(owner, 'tolerations')) setDefault(toleration, 'operator', 'Equal', '');
}

function defaultClaimSpec(spec: Fields): void {
  for (const request of listAt(objectAt(spec, 'devices'), 'requests')) {
    if (hasObject(request, 'exactly')) defaultDeviceRequest(objectAt(request, 'exactly'));
    for (const alternative of listAt(request, 'firstAvailable')) defaultDeviceRequest(alternative);
  }
}

function defaultClaim(claim: Fields): void {
  defaultClaimSpec(objectAt(claim, 'spec'));
  const devices = objectAt(objectAt(objectAt(claim, 'status'), 'allocation'), 'devices');
  for (const result of listAt(devices, 'results')) defaultTolerations(result);
}

function defaultSlice(slice: Fields): void {
  for (const device of listAt(objectAt(slice, 'spec'), 'devices')) {
    for (const taint of listAt(device, 'taints')) {
      if (isUnset(taint['timeAdded'])) taint['timeAdded'] = `${new Date().toISOString().slice(0, 19)}Z`;
    }
  }
}

export const storageDefaults: Record<string, (object: Fields) => void> = {
  'resource.k8s.io/v1/ResourceClaim': defaultClaim,
  'resource.k8s.io/v1/ResourceClaimTemplate': (template) =>
    defaultClaimSpec(objectAt(objectAt(template, 'spec'), 'spec')),
  'resource.k8s.io/v1/ResourceSlice': defaultSlice,
  'scheduling.k8s.io/v1/PriorityClass': (priority) => setDefault(priority, 'preemptionPolicy', 'PreemptLowerPriority'),
  'storage.k8s.io/v1/CSIDriver': defaultDriver,
  'storage.k8s.io/v1/StorageClass': (storageClass) => {
    setDefault(storageClass, 'reclaimPolicy', 'Delete');
    setDefault(storageClass, 'volumeBindingMode', 'Immediate');
  },
};
