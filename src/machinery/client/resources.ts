/** The built-in resources that components use, each tied to its type. */
import type * as api from '../api/types.ts';
import type { ResourceType } from './types.ts';

function define<T>(
  group: string,
  version: string,
  resource: string,
  kind: string,
  namespaced: boolean,
): ResourceType<T> {
  return { group, version, resource, kind, namespaced };
}

export const pods = define<api.Pod>('', 'v1', 'pods', 'Pod', true);
export const podTemplates = define<api.PodTemplate>('', 'v1', 'podtemplates', 'PodTemplate', true);
export const nodes = define<api.Node>('', 'v1', 'nodes', 'Node', false);
export const namespaces = define<api.Namespace>('', 'v1', 'namespaces', 'Namespace', false);
export const services = define<api.Service>('', 'v1', 'services', 'Service', true);
export const endpoints = define<api.Endpoints>('', 'v1', 'endpoints', 'Endpoints', true);
export const configMaps = define<api.ConfigMap>('', 'v1', 'configmaps', 'ConfigMap', true);
export const secrets = define<api.Secret>('', 'v1', 'secrets', 'Secret', true);
export const serviceAccounts = define<api.ServiceAccount>('', 'v1', 'serviceaccounts', 'ServiceAccount', true);
export const persistentVolumes = define<api.PersistentVolume>('', 'v1', 'persistentvolumes', 'PersistentVolume', false);
export const persistentVolumeClaims = define<api.PersistentVolumeClaim>(
  '',
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
  true,
);
export const limitRanges = define<api.LimitRange>('', 'v1', 'limitranges', 'LimitRange', true);
export const resourceQuotas = define<api.ResourceQuota>('', 'v1', 'resourcequotas', 'ResourceQuota', true);
export const replicationControllers = define<api.ReplicationController>(
  '',
  'v1',
  'replicationcontrollers',
  'ReplicationController',
  true,
);
export const coreEvents = define<api.CoreEvent>('', 'v1', 'events', 'Event', true);
export const events = define<api.EventsV1Event>('events.k8s.io', 'v1', 'events', 'Event', true);
export const deployments = define<api.Deployment>('apps', 'v1', 'deployments', 'Deployment', true);
export const replicaSets = define<api.ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet', true);
export const daemonSets = define<api.DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet', true);
export const statefulSets = define<api.StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet', true);
export const controllerRevisions = define<api.ControllerRevision>(
  'apps',
  'v1',
  'controllerrevisions',
  'ControllerRevision',
  true,
);
export const jobs = define<api.Job>('batch', 'v1', 'jobs', 'Job', true);
export const cronJobs = define<api.CronJob>('batch', 'v1', 'cronjobs', 'CronJob', true);
export const endpointSlices = define<api.EndpointSlice>(
  'discovery.k8s.io',
  'v1',
  'endpointslices',
  'EndpointSlice',
  true,
);
export const leases = define<api.Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease', true);
export const roles = define<api.Role>('rbac.authorization.k8s.io', 'v1', 'roles', 'Role', true);
export const roleBindings = define<api.RoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'rolebindings',
  'RoleBinding',
  true,
);
export const clusterRoles = define<api.ClusterRole>(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterroles',
  'ClusterRole',
  false,
);
export const clusterRoleBindings = define<api.ClusterRoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterrolebindings',
  'ClusterRoleBinding',
  false,
);
export const certificateSigningRequests = define<api.CertificateSigningRequest>(
  'certificates.k8s.io',
  'v1',
  'certificatesigningrequests',
  'CertificateSigningRequest',
  false,
);
export const podDisruptionBudgets = define<api.PodDisruptionBudget>(
  'policy',
  'v1',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
  true,
);
export const priorityClasses = define<api.PriorityClass>(
  'scheduling.k8s.io',
  'v1',
  'priorityclasses',
  'PriorityClass',
  false,
);
export const runtimeClasses = define<api.RuntimeClass>('node.k8s.io', 'v1', 'runtimeclasses', 'RuntimeClass', false);
export const storageClasses = define<api.StorageClass>('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass', false);
export const csiNodes = define<api.CSINode>('storage.k8s.io', 'v1', 'csinodes', 'CSINode', false);
export const tokenReviews = define<api.TokenReview>(
  'authentication.k8s.io',
  'v1',
  'tokenreviews',
  'TokenReview',
  false,
);
export const subjectAccessReviews = define<api.SubjectAccessReview>(
  'authorization.k8s.io',
  'v1',
  'subjectaccessreviews',
  'SubjectAccessReview',
  false,
);
