/** Field selectors: which fields of a kind can be selected by, and their values. */
import { type FieldRequirement, parseFieldSelector } from '../../../machinery/api/selectors.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { badRequest } from '../errors.ts';
import type { ResourceDescriptor } from '../types.ts';

const event = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (name) => `involvedObject.${name}`,
  ),
  'reason',
  'reportingComponent',
  'source',
  'type',
];
const selectable: Record<string, string[]> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  '/nodes': ['spec.unschedulable'],
  '/events': event,
  'events.k8s.io/events': event,
  '/namespaces': ['status.phase', 'name'],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
  '/replicationcontrollers': ['status.replicas'],
  'apps/replicasets': ['status.replicas'],
  'batch/jobs': ['status.successful'],
  'certificates.k8s.io/certificatesigningrequests': ['spec.signerName'],
  'resource.k8s.io/resourceslices': ['spec.nodeName', 'spec.driver'],
};

/** Other names of the same facts. */
const aliases: Record<string, string> = { 'status.successful': 'status.succeeded', name: 'metadata.name' };

const served: Record<string, string> = { regarding: 'involvedObject', reportingController: 'reportingComponent' };

/** Throws 400 for a selector that cannot be read, or a field that cannot be selected by. */
export function parseFields(descriptor: ResourceDescriptor, text: string | null): FieldRequirement[] {
  if (!text) return [];
  let requirements: FieldRequirement[];
  try {
    requirements = parseFieldSelector(text);
  } catch (error) {
    throw badRequest((error as Error).message);
  }
  const allowed = descriptor.custom?.selectableFields ?? selectable[`${descriptor.group}/${descriptor.resource}`] ?? [];
  return requirements.map((requirement) => {
    const field = requirement.field.replace(/^(regarding|reportingController)/, (name) => served[name] ?? name);
    const known =
      field === 'metadata.name' || (field === 'metadata.namespace' && descriptor.namespaced) || allowed.includes(field);
    if (!known) throw badRequest(`field label not supported: ${requirement.field}`);
    return { ...requirement, field };
  });
}

/** `stored` is in its storage version. */
export function matchesFieldRequirements(requirements: FieldRequirement[], stored: UnknownObject): boolean {
  return requirements.every(
    ({ field, operator, value }) => (fieldValue(stored, field) === value) === (operator !== '!='),
  );
}

function fieldValue(object: UnknownObject, field: string): string {
  if (field === 'source') {
    const source = (object['source'] as { component?: string } | undefined)?.component;
    return source || String(object['reportingComponent'] ?? '');
  }
  if (field === 'spec.hostNetwork' || field === 'spec.unschedulable') return String(at(object, field) ?? false);
  if (field === 'status.replicas' || field === 'status.successful')
    return String(at(object, aliases[field] ?? field) ?? 0);
  const value = at(object, aliases[field] ?? field);
  return value === undefined || value === null ? '' : String(value);
}

function at(object: unknown, path: string): unknown {
  let value: unknown = object;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}
