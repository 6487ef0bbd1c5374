/**
 * Static types of API objects: the models of @kubernetes/client-node (Kubernetes 1.36) as they travel in JSON.
 *
 * Import kinds from here (`Pod`, `Node`, …); for one that is missing add a line. Types only: nothing of
 * @kubernetes/client-node is loaded at run time.
 */
import type * as k8s from '@kubernetes/client-node';

/** A model class of @kubernetes/client-node as plain JSON: timestamps are strings, methods and statics are gone. */
export type Plain<T> = T extends Date
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends (infer U)[]
      ? Plain<U>[]
      : T extends object
        ? { [K in keyof T]: Plain<T[K]> }
        : T;

export type ObjectMeta = Plain<k8s.V1ObjectMeta>;
export type OwnerReference = Plain<k8s.V1OwnerReference>;
export type ManagedFieldsEntry = Plain<k8s.V1ManagedFieldsEntry>;
export type LabelSelector = Plain<k8s.V1LabelSelector>;
export type Status = Plain<k8s.V1Status>;
export type StatusCause = Plain<k8s.V1StatusCause>;
export type Condition = Plain<k8s.V1Condition>;

/** What every persisted object has. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/** An object of a kind that is only known at run time. */
export type UnknownObject = KubeObject & { [field: string]: unknown };

export interface KubeList<T> {
  apiVersion?: string;
  kind?: string;
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
export interface WatchEvent<T> {
  type: WatchEventType;
  object: T;
}

export type Pod = Plain<k8s.V1Pod>;
export type PodSpec = Plain<k8s.V1PodSpec>;
export type PodStatus = Plain<k8s.V1PodStatus>;
export type PodCondition = Plain<k8s.V1PodCondition>;
export type PodTemplateSpec = Plain<k8s.V1PodTemplateSpec>;
export type PodTemplate = Plain<k8s.V1PodTemplate>;
export type Container = Plain<k8s.V1Container>;
export type ContainerStatus = Plain<k8s.V1ContainerStatus>;
export type ContainerState = Plain<k8s.V1ContainerState>;
export type EnvVar = Plain<k8s.V1EnvVar>;
export type Probe = Plain<k8s.V1Probe>;
export type LifecycleHandler = Plain<k8s.V1LifecycleHandler>;
export type Volume = Plain<k8s.V1Volume>;
export type VolumeMount = Plain<k8s.V1VolumeMount>;
export type ResourceRequirements = Plain<k8s.V1ResourceRequirements>;
export type Toleration = Plain<k8s.V1Toleration>;
export type Taint = Plain<k8s.V1Taint>;
export type Affinity = Plain<k8s.V1Affinity>;
export type NodeSelector = Plain<k8s.V1NodeSelector>;
export type NodeSelectorTerm = Plain<k8s.V1NodeSelectorTerm>;
export type Node = Plain<k8s.V1Node>;
export type NodeSpec = Plain<k8s.V1NodeSpec>;
export type NodeStatus = Plain<k8s.V1NodeStatus>;
export type NodeCondition = Plain<k8s.V1NodeCondition>;
export type Namespace = Plain<k8s.V1Namespace>;
export type Service = Plain<k8s.V1Service>;
export type ServicePort = Plain<k8s.V1ServicePort>;
export type Endpoints = Plain<k8s.V1Endpoints>;
export type ConfigMap = Plain<k8s.V1ConfigMap>;
export type Secret = Plain<k8s.V1Secret>;
export type ServiceAccount = Plain<k8s.V1ServiceAccount>;
export type PersistentVolume = Plain<k8s.V1PersistentVolume>;
export type PersistentVolumeClaim = Plain<k8s.V1PersistentVolumeClaim>;
export type LimitRange = Plain<k8s.V1LimitRange>;
export type ResourceQuota = Plain<k8s.V1ResourceQuota>;
export type ReplicationController = Plain<k8s.V1ReplicationController>;
export type CoreEvent = Plain<k8s.CoreV1Event>;
export type EventsV1Event = Plain<k8s.EventsV1Event>;
export type ObjectReference = Plain<k8s.V1ObjectReference>;
export type Deployment = Plain<k8s.V1Deployment>;
export type ReplicaSet = Plain<k8s.V1ReplicaSet>;
export type DaemonSet = Plain<k8s.V1DaemonSet>;
export type StatefulSet = Plain<k8s.V1StatefulSet>;
export type ControllerRevision = Plain<k8s.V1ControllerRevision>;
export type Job = Plain<k8s.V1Job>;
export type CronJob = Plain<k8s.V1CronJob>;
export type EndpointSlice = Plain<k8s.V1EndpointSlice>;
export type Lease = Plain<k8s.V1Lease>;
export type Role = Plain<k8s.V1Role>;
export type ClusterRole = Plain<k8s.V1ClusterRole>;
export type RoleBinding = Plain<k8s.V1RoleBinding>;
export type ClusterRoleBinding = Plain<k8s.V1ClusterRoleBinding>;
export type PolicyRule = Plain<k8s.V1PolicyRule>;
export type CertificateSigningRequest = Plain<k8s.V1CertificateSigningRequest>;
export type PodDisruptionBudget = Plain<k8s.V1PodDisruptionBudget>;
export type Eviction = Plain<k8s.V1Eviction>;
export type PriorityClass = Plain<k8s.V1PriorityClass>;
export type RuntimeClass = Plain<k8s.V1RuntimeClass>;
export type StorageClass = Plain<k8s.V1StorageClass>;
export type CSINode = Plain<k8s.V1CSINode>;
export type NetworkPolicy = Plain<k8s.V1NetworkPolicy>;
export type Ingress = Plain<k8s.V1Ingress>;
export type TokenReview = Plain<k8s.V1TokenReview>;
export type TokenRequest = Plain<k8s.AuthenticationV1TokenRequest>;
export type SubjectAccessReview = Plain<k8s.V1SubjectAccessReview>;
