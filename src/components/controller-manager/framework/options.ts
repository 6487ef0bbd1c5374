/** The settings of controllers, by the flag that carries each. Durations are milliseconds. */
export interface ControllerManagerOptions {
  clusterName: string;
  /** `--cluster-cidr`, one per IP family. */
  clusterCidrs: string[];
  serviceClusterIpRange: string;
  allocateNodeCidrs: boolean;
  nodeCidrMaskSizeIpv4: number;
  nodeCidrMaskSizeIpv6: number;
  /** Files per signer; the general `--cluster-signing-cert-file` stands in for each that is not given. */
  signing: Record<Signer, SigningFiles>;
  clusterSigningCertFile: string;
  clusterSigningKeyFile: string;
  clusterSigningDuration: number;
  rootCaFile: string;
  serviceAccountPrivateKeyFile: string;
  nodeMonitorPeriod: number;
  nodeMonitorGracePeriod: number;
  nodeStartupGracePeriod: number;
  nodeEvictionRate: number;
  secondaryNodeEvictionRate: number;
  unhealthyZoneThreshold: number;
  largeClusterSizeThreshold: number;
  terminatedPodGcThreshold: number;
  namespaceSyncPeriod: number;
  resourceQuotaSyncPeriod: number;
  enableGarbageCollector: boolean;
  concurrentDeploymentSyncs: number;
  concurrentReplicaSetSyncs: number;
  concurrentGcSyncs: number;
  concurrentNamespaceSyncs: number;
}

export type Signer = 'kubelet-serving' | 'kubelet-client' | 'kube-apiserver-client' | 'legacy-unknown';

export interface SigningFiles {
  /** Empty: this signer is not served. */
  certFile: string;
  keyFile: string;
}
