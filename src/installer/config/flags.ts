/** What the command line of `kinit init` and `kinit join` can say; it wins over the configuration file. */

export interface HostFlags {
  selinux?: string;
  swap?: string;
  firewall?: string;
  cgroupDriver?: string;
  snapshotter?: string;
  runtime?: string;
  networkBackend?: string;
  storage?: string;
  etcdSnapshotSchedule?: string;
  etcdSnapshotKeep?: string;
  etcdSnapshotDirectory?: string;
}

export interface InitFlags extends HostFlags {
  /** Names of add-ons that are to be on, and off. */
  addons?: string[];
  disableAddons?: string[];
  apiserverAdvertiseAddress?: string;
  apiserverBindPort?: string;
  apiserverCertExtraSans?: string[];
  /** `name=value`, like the next two: of `kinit init phase control-plane`. */
  apiserverExtraArgs?: string[];
  controllerManagerExtraArgs?: string[];
  schedulerExtraArgs?: string[];
  /** With which single phases reach the cluster. */
  kubeconfig?: string;
  /** Where single phases write kubeconfigs. */
  kubeconfigDir?: string;
  certDir?: string;
  /** 64 hexadecimal digits; made when it is absent. */
  certificateKey?: string;
  controlPlaneEndpoint?: string;
  /** `local` or `shared`. */
  endpointMode?: string;
  virtualIp?: string;
  criSocket?: string;
  featureGates?: string;
  ignorePreflightErrors?: string[];
  imageRepository?: string;
  kubernetesVersion?: string;
  nodeName?: string;
  /** Folder of patch files. */
  patches?: string;
  podNetworkCidr?: string;
  serviceCidr?: string;
  serviceDnsDomain?: string;
  skipPhases?: string[];
  token?: string;
  tokenTtl?: string;
  uploadCerts?: boolean;
}

export interface JoinFlags extends HostFlags {
  /** The positional argument. */
  endpoint?: string;
  apiserverAdvertiseAddress?: string;
  apiserverBindPort?: string;
  certificateKey?: string;
  /** The host becomes one more control plane. */
  controlPlane?: boolean;
  criSocket?: string;
  discoveryFile?: string;
  discoveryToken?: string;
  discoveryTokenCaCertHash?: string[];
  discoveryTokenUnsafeSkipCaVerification?: boolean;
  ignorePreflightErrors?: string[];
  nodeName?: string;
  /** Folder of patch files. */
  patches?: string;
  skipPhases?: string[];
  tlsBootstrapToken?: string;
  token?: string;
}

/** What the defaults need to know of the host. */
export interface HostIdentity {
  hostname: string;
  /** Address of the interface with the default route, or the first global one. */
  address?: string;
}
