/** The settings of controllers, by the flag that carries each. Durations are milliseconds. */
export interface ControllerManagerOptions {
  clusterName: string;
  /** `--cluster-cidr`, one per IP family. */
  clusterCidrs: string[];
  serviceClusterIpRange: string;
  allocateNodeCidrs: boolean;
  nodeCidrMaskSizeIpv4: number;
  nodeCidrMaskSizeIpv6: number;
  clusterSigningCertFile: string;
  clusterSigningKeyFile: string;
  clusterSigningDuration: number;
  rootCaFile: string;
  serviceAccountPrivateKeyFile: string;
  nodeMonitorPeriod: number;
  nodeMonitorGracePeriod: number;
  nodeStartupGracePeriod: number;
  terminatedPodGcThreshold: number;
  concurrentDeploymentSyncs: number;
  concurrentReplicaSetSyncs: number;
  concurrentGcSyncs: number;
}
