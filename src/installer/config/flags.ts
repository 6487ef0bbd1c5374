/** What the command line of `kinit init` and `kinit join` can say; it wins over the configuration file. */

export interface HostFlags {
  selinux?: string;
  swap?: string;
  firewall?: string;
  cgroupDriver?: string;
  snapshotter?: string;
  networkBackend?: string;
}

export interface InitFlags extends HostFlags {
  apiserverAdvertiseAddress?: string;
  apiserverBindPort?: string;
  apiserverCertExtraSans?: string[];
  certDir?: string;
  controlPlaneEndpoint?: string;
  criSocket?: string;
  featureGates?: string;
  ignorePreflightErrors?: string[];
  imageRepository?: string;
  kubernetesVersion?: string;
  nodeName?: string;
  podNetworkCidr?: string;
  serviceCidr?: string;
  serviceDnsDomain?: string;
  skipPhases?: string[];
  token?: string;
  tokenTtl?: string;
}

export interface JoinFlags extends HostFlags {
  /** The positional argument. */
  endpoint?: string;
  criSocket?: string;
  discoveryFile?: string;
  discoveryToken?: string;
  discoveryTokenCaCertHash?: string[];
  discoveryTokenUnsafeSkipCaVerification?: boolean;
  ignorePreflightErrors?: string[];
  nodeName?: string;
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
