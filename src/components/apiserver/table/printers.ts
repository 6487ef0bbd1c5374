/** The printer of every built-in kind; kinds without an entry have the default columns. */
import type { KubeObject } from '../../../machinery/api/types.ts';
import { certificateSigningRequestPrinter, roleBindingPrinter } from './kinds/access.ts';
import {
  apiServicePrinter,
  mutatingPolicyPrinter,
  policyBindingPrinter,
  validatingPolicyPrinter,
  webhookPrinter,
} from './kinds/admission.ts';
import {
  controllerRevisionPrinter,
  daemonSetPrinter,
  deploymentPrinter,
  replicaSetPrinter,
  statefulSetPrinter,
} from './kinds/apps.ts';
import { horizontalPodAutoscalerPrinter, scalePrinter } from './kinds/autoscaling.ts';
import { cronJobPrinter, jobPrinter } from './kinds/batch.ts';
import {
  componentStatusPrinter,
  configMapPrinter,
  namespacePrinter,
  nodePrinter,
  podTemplatePrinter,
  replicationControllerPrinter,
  resourceQuotaPrinter,
  secretPrinter,
  serviceAccountPrinter,
} from './kinds/core.ts';
import { nameAndAgePrinter, resourceClaimPrinter, resourceSlicePrinter } from './kinds/devices.ts';
import { eventPrinter } from './kinds/events.ts';
import {
  ingressClassPrinter,
  ingressPrinter,
  ipAddressPrinter,
  networkPolicyPrinter,
  serviceCidrPrinter,
} from './kinds/networking.ts';
import { podPrinter } from './kinds/pods.ts';
import {
  flowSchemaPrinter,
  leasePrinter,
  podDisruptionBudgetPrinter,
  priorityClassPrinter,
  priorityLevelPrinter,
  runtimeClassPrinter,
} from './kinds/scheduling.ts';
import { endpointSlicePrinter, endpointsPrinter, servicePrinter } from './kinds/services.ts';
import {
  csiDriverPrinter,
  csiNodePrinter,
  csiStorageCapacityPrinter,
  storageClassPrinter,
  volumeAttachmentPrinter,
  volumeAttributesClassPrinter,
} from './kinds/storage.ts';
import { persistentVolumeClaimPrinter, persistentVolumePrinter } from './kinds/volumes.ts';
import { column, nameColumn, nameOf, type Printer } from './printer.ts';

/** Group → kind → printer, for every version of the kind. */
const printers: Record<string, Record<string, Printer<KubeObject>>> = {
  '': {
    ComponentStatus: componentStatusPrinter,
    ConfigMap: configMapPrinter,
    Endpoints: endpointsPrinter,
    Event: eventPrinter,
    Namespace: namespacePrinter,
    Node: nodePrinter,
    PersistentVolume: persistentVolumePrinter,
    PersistentVolumeClaim: persistentVolumeClaimPrinter,
    Pod: podPrinter,
    PodTemplate: podTemplatePrinter,
    ReplicationController: replicationControllerPrinter,
    ResourceQuota: resourceQuotaPrinter,
    Secret: secretPrinter,
    Service: servicePrinter,
    ServiceAccount: serviceAccountPrinter,
  },
  'admissionregistration.k8s.io': {
    MutatingAdmissionPolicy: mutatingPolicyPrinter,
    MutatingAdmissionPolicyBinding: policyBindingPrinter,
    MutatingWebhookConfiguration: webhookPrinter,
    ValidatingAdmissionPolicy: validatingPolicyPrinter,
    ValidatingAdmissionPolicyBinding: policyBindingPrinter,
    ValidatingWebhookConfiguration: webhookPrinter,
  },
  'apiregistration.k8s.io': { APIService: apiServicePrinter },
  apps: {
    ControllerRevision: controllerRevisionPrinter,
    DaemonSet: daemonSetPrinter,
    Deployment: deploymentPrinter,
    ReplicaSet: replicaSetPrinter,
    StatefulSet: statefulSetPrinter,
  },
  autoscaling: { HorizontalPodAutoscaler: horizontalPodAutoscalerPrinter, Scale: scalePrinter },
  batch: { CronJob: cronJobPrinter, Job: jobPrinter },
  'certificates.k8s.io': { CertificateSigningRequest: certificateSigningRequestPrinter },
  'coordination.k8s.io': { Lease: leasePrinter },
  'discovery.k8s.io': { EndpointSlice: endpointSlicePrinter },
  'events.k8s.io': { Event: eventPrinter },
  'flowcontrol.apiserver.k8s.io': {
    FlowSchema: flowSchemaPrinter,
    PriorityLevelConfiguration: priorityLevelPrinter,
  },
  'networking.k8s.io': {
    Ingress: ingressPrinter,
    IngressClass: ingressClassPrinter,
    IPAddress: ipAddressPrinter,
    NetworkPolicy: networkPolicyPrinter,
    ServiceCIDR: serviceCidrPrinter,
  },
  'node.k8s.io': { RuntimeClass: runtimeClassPrinter },
  policy: { PodDisruptionBudget: podDisruptionBudgetPrinter },
  'rbac.authorization.k8s.io': { ClusterRoleBinding: roleBindingPrinter, RoleBinding: roleBindingPrinter },
  'resource.k8s.io': {
    DeviceClass: nameAndAgePrinter,
    ResourceClaim: resourceClaimPrinter,
    ResourceClaimTemplate: nameAndAgePrinter,
    ResourceSlice: resourceSlicePrinter,
  },
  'scheduling.k8s.io': { PriorityClass: priorityClassPrinter },
  'storage.k8s.io': {
    CSIDriver: csiDriverPrinter,
    CSINode: csiNodePrinter,
    CSIStorageCapacity: csiStorageCapacityPrinter,
    StorageClass: storageClassPrinter,
    VolumeAttachment: volumeAttachmentPrinter,
    VolumeAttributesClass: volumeAttributesClassPrinter,
  },
};

/** Name and time of creation: roles, limit ranges, CustomResourceDefinitions and others. */
const defaultPrinter: Printer<KubeObject> = {
  columns: [nameColumn, column('Created At', 'date', 'When the object was created.')],
  cells: (object) => [nameOf(object), object.metadata?.creationTimestamp ?? null],
};

export const printerOf = (group: string, kind: string): Printer<KubeObject> =>
  printers[group]?.[kind] ?? defaultPrinter;
