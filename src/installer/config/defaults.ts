/** Defaults of the configuration: kubeadm v1.36's, except where a comment says so. */
import { defaultImageRepository } from '../bundle/image-names.ts';
import { defaultCertificatesDir, defaultSnapshotFolder, etcdDataDir } from './paths.ts';
import type { HostConfiguration, SnapshotSettings, Taint, Timeouts } from './types.ts';

export const defaultBindPort = 6443;
export const defaultCriSocket = 'unix:///var/run/containerd/containerd.sock';

export const defaultNetworking = {
  serviceSubnet: '10.96.0.0/12',
  // kubeadm has no default; kinit brings its own pod network, so it has one.
  podSubnet: '10.244.0.0/16',
  dnsDomain: 'cluster.local',
};

export const defaultCluster = {
  certificatesDir: defaultCertificatesDir,
  clusterName: 'kubernetes',
  imageRepository: defaultImageRepository,
  encryptionAlgorithm: 'RSA-2048',
  certificateValidityPeriod: '8760h0m0s',
  caCertificateValidityPeriod: '87600h0m0s',
  etcdDataDir,
} as const;

export const defaultTimeouts: Timeouts = {
  controlPlaneComponentHealthCheck: '4m0s',
  kubeletHealthCheck: '4m0s',
  kubernetesAPICall: '1m0s',
  etcdAPICall: '2m0s',
  tlsBootstrap: '5m0s',
  discovery: '5m0s',
  upgradeManifests: '5m0s',
};

export const controlPlaneTaint: Taint = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' };

export const defaultTokenTtl = '24h0m0s';
export const tokenUsages = ['signing', 'authentication'];
export const tokenGroups = ['system:bootstrappers:kubeadm:default-node-token'];

export const defaultSnapshots: SnapshotSettings = {
  schedule: '@daily',
  keep: 7,
  directory: defaultSnapshotFolder,
};

export const defaultHost: HostConfiguration = {
  swap: 'off',
  selinux: 'permissive',
  firewall: 'open',
  cgroupDriver: 'auto',
  snapshotter: 'auto',
  network: { backend: 'vxlan' },
};
