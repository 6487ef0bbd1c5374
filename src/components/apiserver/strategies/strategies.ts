/** The strategies of all built-in kinds by group and resource; those that need more than a few lines have a file of their own. */

import { apiServiceStrategy } from '../aggregation/api-service.ts';
import { definitionStrategy } from '../custom-resources/definition-strategy.ts';
import { certificateSigningRequests } from './certificates.ts';
import { jobs } from './jobs.ts';
import { namespaces } from './namespaces.ts';
import { persistentVolumes } from './persistent-volumes.ts';
import { pods } from './pods.ts';
import { type ServiceRanges, servicesStrategy } from './services.ts';
import type { Strategy } from './strategy.ts';

const generation: Strategy = { generation: true };
const onUpdate: Strategy = { createOnUpdate: true };
const workload: Strategy = {
  generation: true,
  prepareSubresource: {
    // Status updates of the apps group leave the labels alone.
    status: (next, old) => {
      const labels = old.metadata?.labels;
      for (const field of Object.keys({ ...next, ...old }))
        if (field !== 'status' && field !== 'metadata') next[field] = old[field];
      if (!next.metadata) return;
      if (labels) next.metadata.labels = labels;
      else delete next.metadata.labels;
    },
  },
};

export type Strategies = (group: string, resource: string) => Strategy;

const plain: Strategy = {};

const table: Record<string, Strategy> = {
  '/events': { ttl: true, createOnUpdate: true },
  'events.k8s.io/events': { ttl: true, createOnUpdate: true },
  '/pods': pods,
  '/namespaces': namespaces,
  '/endpoints': onUpdate,
  '/limitranges': onUpdate,
  '/podtemplates': { generation: true, createOnUpdate: true, returnDeleted: true },
  '/replicationcontrollers': { generation: true, defaultPropagation: 'Orphan' },
  '/persistentvolumes': persistentVolumes,
  '/persistentvolumeclaims': {
    returnDeleted: true,
    prepareForCreate: (object) => {
      object['status'] = { phase: 'Pending' };
    },
  },
  '/resourcequotas': { returnDeleted: true },
  '/serviceaccounts': { returnDeleted: true },
  // Kubelets register with their status.
  '/nodes': { prepareForCreate: () => undefined },
  'apps/deployments': workload,
  'apps/replicasets': workload,
  'apps/daemonsets': workload,
  'apps/statefulsets': workload,
  'batch/jobs': jobs,
  'batch/cronjobs': generation,
  'certificates.k8s.io/certificatesigningrequests': certificateSigningRequests,
  'coordination.k8s.io/leases': onUpdate,
  'discovery.k8s.io/endpointslices': generation,
  'networking.k8s.io/ingresses': generation,
  'networking.k8s.io/networkpolicies': generation,
  'networking.k8s.io/ingressclasses': generation,
  'policy/poddisruptionbudgets': generation,
  'rbac.authorization.k8s.io/roles': onUpdate,
  'rbac.authorization.k8s.io/rolebindings': onUpdate,
  'rbac.authorization.k8s.io/clusterroles': onUpdate,
  'rbac.authorization.k8s.io/clusterrolebindings': onUpdate,
  'scheduling.k8s.io/priorityclasses': { ...generation },
  'flowcontrol.apiserver.k8s.io/flowschemas': generation,
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations': generation,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': generation,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': generation,
  'admissionregistration.k8s.io/validatingadmissionpolicies': generation,
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': generation,
  'autoscaling/horizontalpodautoscalers': {},
  'storage.k8s.io/volumeattachments': {},
  'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
  'apiregistration.k8s.io/apiservices': apiServiceStrategy,
};

export function createStrategies(ranges: ServiceRanges): Strategies {
  const services = servicesStrategy(ranges);
  return (group, resource) =>
    group === '' && resource === 'services' ? services : (table[`${group}/${resource}`] ?? plain);
}
