/** The rules of every kind by group and resource. */
import { isIP } from 'node:net';
import {
  dns1035LabelErrors,
  dns1123LabelErrors,
  dns1123SubdomainErrors,
  pathSegmentErrors,
} from '../../../machinery/api/names.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { definitionErrors, definitionUpdateErrors } from '../custom-resources/definition-validation.ts';
import type { ResourceDescriptor } from '../types.ts';
import { apiServiceErrors } from './api-services.ts';
import * as core from './core.ts';
import type { FieldError } from './field-errors.ts';
import * as jobs from './jobs.ts';
import * as network from './network.ts';
import { podTemplateErrors } from './pods/spec.ts';
import { podCreateErrors, podEphemeralErrors, podStatusErrors, podUpdateErrors } from './pods/update.ts';
import * as policy from './policy.ts';
import * as quotas from './quotas.ts';
import * as rbac from './rbac.ts';
import { serviceErrors, serviceUpdateErrors } from './services.ts';
import * as volumes from './volumes.ts';
import { webhookConfigurationErrors } from './webhooks.ts';
import * as workloads from './workloads.ts';

type Create = (object: UnknownObject) => FieldError[];
type Update = (object: UnknownObject, old: UnknownObject) => FieldError[];
type Subresources = Record<string, (object: UnknownObject, old: UnknownObject | undefined) => FieldError[]>;

export interface KindRules {
  /** What is wrong with a name; generated names are checked by their base, which may end with a dash. */
  name: (name: string) => string[];
  create?: Create;
  /** Absent: the rules of create. */
  update?: Update;
  subresources?: Subresources;
}

const rules = (name: KindRules['name'], create?: Create, update?: Update, subresources?: Subresources): KindRules => ({
  name,
  ...(create ? { create } : {}),
  ...(update ? { update } : {}),
  ...(subresources ? { subresources } : {}),
});

const subdomain = dns1123SubdomainErrors;
const ipName = (name: string): string[] =>
  isIP(name) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];

const table: Record<string, KindRules> = {
  '/pods': rules(subdomain, podCreateErrors, podUpdateErrors, {
    status: podStatusErrors,
    ephemeralcontainers: podEphemeralErrors,
  }),
  '/podtemplates': rules(subdomain, (object) => podTemplateErrors(object['template'] as never, 'template')),
  '/configmaps': rules(subdomain, core.configMapErrors, core.configMapUpdateErrors),
  '/secrets': rules(subdomain, core.secretErrors, core.secretUpdateErrors),
  '/namespaces': rules(dns1123LabelErrors, core.namespaceErrors),
  '/nodes': rules(subdomain, core.nodeErrors, core.nodeUpdateErrors),
  '/services': rules(dns1035LabelErrors, serviceErrors, serviceUpdateErrors),
  '/endpoints': rules(subdomain, network.endpointsErrors),
  '/replicationcontrollers': rules(subdomain, workloads.replicationControllerErrors),
  '/resourcequotas': rules(subdomain, quotas.resourceQuotaErrors, quotas.resourceQuotaUpdateErrors, {
    status: quotas.resourceQuotaErrors,
  }),
  '/limitranges': rules(subdomain, quotas.limitRangeErrors),
  '/persistentvolumes': rules(subdomain, volumes.volumeErrors, volumes.volumeUpdateErrors),
  '/persistentvolumeclaims': rules(subdomain, volumes.claimErrors, volumes.claimUpdateErrors),
  'apps/deployments': rules(subdomain, workloads.deploymentErrors, workloads.deploymentUpdateErrors),
  'apps/replicasets': rules(subdomain, workloads.replicaSetErrors, workloads.replicaSetUpdateErrors),
  'apps/daemonsets': rules(subdomain, workloads.daemonSetErrors, workloads.daemonSetUpdateErrors),
  'apps/statefulsets': rules(subdomain, workloads.statefulSetErrors, workloads.statefulSetUpdateErrors),
  'batch/jobs': rules(subdomain, jobs.jobErrors, jobs.jobUpdateErrors),
  'batch/cronjobs': rules(subdomain, jobs.cronJobErrors),
  'autoscaling/horizontalpodautoscalers': rules(pathSegmentErrors, policy.autoscalerErrors),
  'discovery.k8s.io/endpointslices': rules(subdomain, network.endpointSliceErrors, network.endpointSliceUpdateErrors),
  'networking.k8s.io/ingresses': rules(subdomain, network.ingressErrors),
  'networking.k8s.io/networkpolicies': rules(subdomain, network.networkPolicyErrors),
  'networking.k8s.io/ipaddresses': rules(ipName),
  'policy/poddisruptionbudgets': rules(subdomain, policy.podDisruptionBudgetErrors),
  'scheduling.k8s.io/priorityclasses': rules(subdomain, policy.priorityClassErrors, policy.priorityClassUpdateErrors),
  'coordination.k8s.io/leases': rules(subdomain, policy.leaseErrors),
  'node.k8s.io/runtimeclasses': rules(subdomain, policy.runtimeClassErrors, policy.runtimeClassUpdateErrors),
  'storage.k8s.io/storageclasses': rules(subdomain, policy.storageClassErrors, policy.storageClassUpdateErrors),
  'certificates.k8s.io/certificatesigningrequests': rules(
    pathSegmentErrors,
    policy.certificateRequestErrors,
    policy.certificateRequestUpdateErrors,
    { approval: policy.certificateRequestUpdateErrors, status: policy.certificateRequestUpdateErrors },
  ),
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': rules(subdomain, webhookConfigurationErrors),
  'admissionregistration.k8s.io/validatingwebhookconfigurations': rules(subdomain, webhookConfigurationErrors),
  'apiextensions.k8s.io/customresourcedefinitions': rules(subdomain, definitionErrors, definitionUpdateErrors),
  'apiregistration.k8s.io/apiservices': rules(pathSegmentErrors, apiServiceErrors),
  'rbac.authorization.k8s.io/roles': rules(pathSegmentErrors, rbac.roleErrors),
  'rbac.authorization.k8s.io/clusterroles': rules(pathSegmentErrors, rbac.clusterRoleErrors),
  'rbac.authorization.k8s.io/rolebindings': rules(
    pathSegmentErrors,
    rbac.roleBindingErrors,
    rbac.roleBindingUpdateErrors,
  ),
  'rbac.authorization.k8s.io/clusterrolebindings': rules(
    pathSegmentErrors,
    rbac.clusterRoleBindingErrors,
    rbac.clusterRoleBindingUpdateErrors,
  ),
};
const other: KindRules = { name: dns1123SubdomainErrors };

export const rulesOf = ({ group, resource }: ResourceDescriptor): KindRules => table[`${group}/${resource}`] ?? other;
