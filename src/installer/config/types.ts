/** The configuration of a cluster and of a node: kubeadm.k8s.io/v1beta4 with all defaults filled in, and kinit's own host settings. */

import type { DeclaredAddon } from './addon-values.ts';

export interface Argument {
  name: string;
  value: string;
}

export interface EnvironmentVariable {
  name: string;
  value?: string;
}

export interface Taint {
  key: string;
  value?: string;
  effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

export interface NodeRegistration {
  name: string;
  /** Empty: an existing runtime that is looked for. */
  criSocket: string;
  taints: Taint[];
  kubeletExtraArgs: Argument[];
  ignorePreflightErrors: string[];
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  imagePullSerial: boolean;
}

export interface Timeouts {
  controlPlaneComponentHealthCheck: string;
  kubeletHealthCheck: string;
  kubernetesAPICall: string;
  etcdAPICall: string;
  tlsBootstrap: string;
  discovery: string;
  upgradeManifests: string;
}

export interface BootstrapTokenOptions {
  token: string;
  description?: string;
  /** Go duration; `0s` never expires. */
  ttl?: string;
  expires?: string;
  usages: string[];
  groups: string[];
}

export interface ApiEndpoint {
  advertiseAddress: string;
  bindPort: number;
}

export interface HostPathMount {
  name: string;
  hostPath: string;
  mountPath: string;
  readOnly?: boolean;
  pathType?: string;
}

export interface ControlPlaneComponent {
  extraArgs: Argument[];
  extraVolumes: HostPathMount[];
  extraEnvs: EnvironmentVariable[];
}

export interface LocalEtcd {
  dataDir: string;
  imageRepository?: string;
  imageTag?: string;
  extraArgs: Argument[];
  extraEnvs: EnvironmentVariable[];
  serverCertSANs: string[];
  peerCertSANs: string[];
}

/** Not run by kinit; `local` is not used then. */
export interface ExternalEtcd {
  endpoints: string[];
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

export type EncryptionAlgorithm = 'RSA-2048' | 'RSA-3072' | 'RSA-4096' | 'ECDSA-P256' | 'ECDSA-P384';

export interface ClusterConfiguration {
  etcd: { local: LocalEtcd; external?: ExternalEtcd };
  networking: { serviceSubnet: string; podSubnet: string; dnsDomain: string };
  kubernetesVersion: string;
  controlPlaneEndpoint: string;
  apiServer: ControlPlaneComponent & { certSANs: string[] };
  controllerManager: ControlPlaneComponent;
  scheduler: ControlPlaneComponent;
  dns: { imageRepository?: string; imageTag?: string; disabled: boolean };
  proxy: { disabled: boolean };
  certificatesDir: string;
  imageRepository: string;
  featureGates: Record<string, boolean>;
  clusterName: string;
  encryptionAlgorithm: EncryptionAlgorithm;
  certificateValidityPeriod: string;
  caCertificateValidityPeriod: string;
}

/** The bundle's containerd, the distribution's, or a runtime that is on the host already. */
export type RuntimeChoice = 'bundle' | 'packages' | 'existing';

/** How a registry or mirror is reached. */
export interface RegistryAccess {
  /** PEM of the authority that signed its certificate. */
  ca?: string;
  caFile?: string;
  skipVerify?: boolean;
  username?: string;
  password?: string;
  /** Holds the password and nothing else; mode 0600. */
  passwordFile?: string;
}

export interface RegistrySettings extends RegistryAccess {
  /** As image names begin: `docker.io`, `registry.example.com:5000`; `*` for those without an entry of their own. */
  host: string;
  /** Its URL, when it is not https at the host's name. */
  server?: string;
  /** Asked first, in this order. */
  mirrors?: (RegistryAccess & { url: string })[];
}

/** kinit's own document, `kinit.local/v1alpha1` HostConfiguration: what kubeadm leaves to the user. */
export interface HostConfiguration {
  swap: 'off' | 'keep';
  selinux: 'permissive' | 'keep';
  firewall: 'open' | 'keep';
  cgroupDriver: 'auto' | 'systemd' | 'cgroupfs';
  snapshotter: 'auto' | 'overlayfs' | 'native';
  runtime: RuntimeChoice;
  registries: RegistrySettings[];
  network: { backend: 'vxlan' | 'host-gw'; mtu?: number };
  /** What makes volumes for claims of the default class, and in which directory of the nodes. */
  storage: { provisioner: 'local-path' | 'none'; directory: string };
  /** Absent: nothing is said of add-ons. */
  addons?: DeclaredAddon[];

  /** Kernel parameters beside those that Kubernetes needs; names with dots. */
  sysctl: Record<string, string>;
  /** Absent: as the cluster has it, and in a new one `shared`. */
  endpoint?: EndpointSettings;
  /** Absent: what is scheduled on the host stays as it is. */
  etcd?: { snapshots: SnapshotSettings };
}

/** `local`: nodes use a port of their own loopback that leads to any API server; `shared`: all use controlPlaneEndpoint, as kubeadm's. */
export interface EndpointSettings {
  mode: 'local' | 'shared';
  /** Of loopback, with `local`. */
  port: number;
  /** IPv4; one of the control planes has it at a time. */
  virtualIP?: string;
  /** That gets it; absent: the one whose network it is of. */
  interface?: string;
}

/** Snapshots of etcd that a control plane takes by itself. */
export interface SnapshotSettings {
  /** As a CronJob's, or `off`. */
  schedule: string;
  /** How many are kept. */
  keep: number;
  directory: string;
}

export type OpenDocument = Record<string, unknown>;

export interface InitConfiguration {
  /** The user named a token: it is used even when another one is still valid. */
  tokenGiven: boolean;
  bootstrapTokens: BootstrapTokenOptions[];
  nodeRegistration: NodeRegistration;
  localAPIEndpoint: ApiEndpoint;
  /** Encrypts the certificates that are uploaded for other control planes; empty: one is made. */
  certificateKey: string;
  uploadCerts: boolean;
  skipPhases: string[];
  /** Folder of `--patches`. */
  patchesFolder?: string;
  timeouts: Timeouts;
  cluster: ClusterConfiguration;
  host: HostConfiguration;
  /** Fields of KubeletConfiguration and KubeProxyConfiguration that the user gave. */
  kubelet: OpenDocument;
  proxy: OpenDocument;
}

export interface Discovery {
  bootstrapToken?: {
    token: string;
    apiServerEndpoint: string;
    caCertHashes: string[];
    unsafeSkipCAVerification: boolean;
  };
  file?: { kubeConfigPath: string };
  tlsBootstrapToken: string;
}

export interface JoinControlPlane {
  /** Without an address: the one that leads to the cluster. */
  localAPIEndpoint: { advertiseAddress?: string; bindPort: number };
  /** Empty: the certificates are on the host already. */
  certificateKey: string;
}

export interface JoinConfiguration {
  /** Absent: a worker. */
  controlPlane?: JoinControlPlane;
  nodeRegistration: NodeRegistration;
  caCertPath: string;
  discovery: Discovery;
  skipPhases: string[];
  /** Folder of `--patches`. */
  patchesFolder?: string;
  timeouts: Timeouts;
  host: HostConfiguration;
  kubelet: OpenDocument;
}
