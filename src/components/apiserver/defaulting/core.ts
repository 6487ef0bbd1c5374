/** Defaults of the core group beside pods. */
import { ensureObject, type Fields, hasObject, isUnset, listAt, objectAt, setDefault, setDefaults } from './fields.ts';
import { defaultPod, defaultPodTemplate } from './pods.ts';
import { defaultClaim, defaultVolumeSource } from './volumes.ts';

const clientIpTimeoutSeconds = 10_800;

function defaultService(service: Fields): void {
  const spec = ensureObject(service, 'spec');
  setDefaults(spec, { sessionAffinity: 'None', type: 'ClusterIP' });
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
  if (spec['sessionAffinity'] === 'ClientIP') {
    const clientIp = ensureObject(ensureObject(spec, 'sessionAffinityConfig'), 'clientIP');
    setDefault(clientIp, 'timeoutSeconds', clientIpTimeoutSeconds);
  }
  for (const port of listAt(spec, 'ports')) {
    setDefault(port, 'protocol', 'TCP', '');
    if (isUnset(port['targetPort']) || port['targetPort'] === 0 || port['targetPort'] === '') {
      port['targetPort'] = port['port'];
    }
  }
  const type = spec['type'];
  const external = Array.isArray(spec['externalIPs']) && spec['externalIPs'].length > 0;
  if (type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && external)) {
    setDefault(spec, 'externalTrafficPolicy', 'Cluster', '');
  }
  if (type !== 'ExternalName') setDefault(spec, 'internalTrafficPolicy', 'Cluster');
  if (type !== 'LoadBalancer') return;
  setDefault(spec, 'allocateLoadBalancerNodePorts', true);
  for (const ingress of listAt(objectAt(objectAt(service, 'status'), 'loadBalancer'), 'ingress')) {
    if (ingress['ip']) setDefault(ingress, 'ipMode', 'VIP');
  }
}

function defaultReplicationController(controller: Fields): void {
  const spec = ensureObject(controller, 'spec');
  setDefault(spec, 'replicas', 1);
  defaultPodTemplate(spec);
  const labels = objectAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  if (Object.keys(labels).length === 0) return;
  if (Object.keys(objectAt(spec, 'selector')).length === 0) spec['selector'] = { ...labels };
  const metadata = ensureObject(controller, 'metadata');
  if (Object.keys(objectAt(metadata, 'labels')).length === 0) metadata['labels'] = { ...labels };
}

function defaultLimitRange(range: Fields): void {
  for (const item of listAt(objectAt(range, 'spec'), 'limits')) {
    if (item['type'] !== 'Container') continue;
    const limits = { ...objectAt(item, 'max'), ...objectAt(item, 'default') };
    const requests = { ...objectAt(item, 'min'), ...limits, ...objectAt(item, 'defaultRequest') };
    if (Object.keys(limits).length > 0) item['default'] = limits;
    if (Object.keys(requests).length > 0) item['defaultRequest'] = requests;
  }
}

function defaultNamespace(namespace: Fields): void {
  const metadata = objectAt(namespace, 'metadata');
  if (metadata['name']) ensureObject(metadata, 'labels')['kubernetes.io/metadata.name'] ??= metadata['name'];
  setDefault(ensureObject(namespace, 'status'), 'phase', 'Active', '');
}

function defaultNode(node: Fields): void {
  const status = objectAt(node, 'status');
  if (hasObject(status, 'capacity') && !hasObject(status, 'allocatable')) {
    status['allocatable'] = { ...objectAt(status, 'capacity') };
  }
}

function defaultPersistentVolume(volume: Fields): void {
  const spec = ensureObject(volume, 'spec');
  setDefault(ensureObject(volume, 'status'), 'phase', 'Pending', '');
  setDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain', '');
  setDefault(spec, 'volumeMode', 'Filesystem');
  defaultVolumeSource(spec);
}

function defaultEndpoints(endpoints: Fields): void {
  for (const subset of listAt(endpoints, 'subsets')) {
    for (const port of listAt(subset, 'ports')) setDefault(port, 'protocol', 'TCP', '');
  }
}

/** `stringData` is for writing only: it goes into `data`, over what is there. */
function defaultSecret(secret: Fields): void {
  setDefault(secret, 'type', 'Opaque', '');
  if (!hasObject(secret, 'stringData')) return;
  const encoded = Object.entries(objectAt(secret, 'stringData')).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString('base64'),
  ]);
  if (encoded.length) secret['data'] = { ...objectAt(secret, 'data'), ...Object.fromEntries(encoded) };
  delete secret['stringData'];
}

export const coreDefaults: Record<string, (object: Fields) => void> = {
  '/v1/Endpoints': defaultEndpoints,
  '/v1/LimitRange': defaultLimitRange,
  '/v1/Namespace': defaultNamespace,
  '/v1/Node': defaultNode,
  '/v1/PersistentVolume': defaultPersistentVolume,
  '/v1/PersistentVolumeClaim': defaultClaim,
  '/v1/Pod': defaultPod,
  '/v1/PodTemplate': (template) => defaultPodTemplate(template),
  '/v1/ReplicationController': defaultReplicationController,
  '/v1/Secret': defaultSecret,
  '/v1/Service': defaultService,
};
