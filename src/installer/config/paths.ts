/** Every path on a host that kinit writes or reads, in one place. */
import { bundlePrefix } from '../bundle/run-file.ts';

export const kubernetesDir = '/etc/kubernetes';
export const manifestsDir = `${kubernetesDir}/manifests`;
/** Where kubeadm keeps copies of what it replaces. */
export const temporaryDir = `${kubernetesDir}/tmp`;
export const defaultCertificatesDir = `${kubernetesDir}/pki`;
/** How kube-apiserver encrypts what lies in etcd. */
export const encryptionFile = (certificatesDir: string): string => `${certificatesDir}/encryption.yaml`;
/** What kube-apiserver writes down of requests, and where. */
export const auditPaths = { policy: `${kubernetesDir}/audit-policy.yaml`, logs: '/var/log/kubernetes/audit' } as const;
export const kubeletDir = '/var/lib/kubelet';
export const etcdDataDir = '/var/lib/etcd';
/** Not below /var/lib/kinit: reset removes that, and a backup must outlive the cluster. */
export const defaultSnapshotFolder = '/var/backups/kinit/etcd';

export const kubeconfigPaths = {
  admin: `${kubernetesDir}/admin.conf`,
  superAdmin: `${kubernetesDir}/super-admin.conf`,
  controllerManager: `${kubernetesDir}/controller-manager.conf`,
  scheduler: `${kubernetesDir}/scheduler.conf`,
  kubelet: `${kubernetesDir}/kubelet.conf`,
  bootstrapKubelet: `${kubernetesDir}/bootstrap-kubelet.conf`,
} as const;

export const kubeletPaths = {
  config: `${kubeletDir}/config.yaml`,
  instanceConfig: `${kubeletDir}/instance-config.yaml`,
  flags: `${kubeletDir}/kubeadm-flags.env`,
  clientCertificate: `${kubeletDir}/pki/kubelet-client-current.pem`,
  unit: '/etc/systemd/system/kubelet.service',
  dropIn: '/etc/systemd/system/kubelet.service.d/10-kubeadm.conf',
} as const;

export const balancerPaths = {
  unit: '/etc/systemd/system/kinit-balancer.service',
  folder: '/var/lib/kinit-balancer',
  members: '/var/lib/kinit-balancer/members.json',
} as const;

export const virtualIpUnitPath = '/etc/systemd/system/kinit-virtual-ip.service';

export const containerdPaths = {
  config: '/etc/containerd/config.toml',
  unit: '/etc/systemd/system/containerd.service',
  socket: '/run/containerd/containerd.sock',
  state: '/run/containerd',
  root: '/var/lib/containerd',
  crictl: '/etc/crictl.yaml',
  registries: '/etc/containerd/certs.d',
  /** containerd makes it for plugins that are installed at run time. */
  plugins: '/opt/containerd',
} as const;

/** Network namespaces of pods, and of others. */
export const namespacesDir = '/run/netns';

/** Logs that the kubelet and the runtime write. */
export const logFolders = ['/var/log/pods', '/var/log/containers'] as const;

/** What the packet filter's tools lock; kube-proxy's pod makes it when it is missing. */
export const xtablesLock = '/run/xtables.lock';

/** Written by the kubelet when it is to end pods before a shutdown, as upstream's: logind waits longer then. */
export const logindDropIn = '/etc/systemd/logind.conf.d/99-kubelet.conf';

export const cniPaths = { config: '/etc/cni/net.d', state: '/var/lib/cni', bin: '/opt/cni/bin' } as const;

/** Where the unpacked bundle lies: the folder that `current` points to, so that an upgrade moves one link. */
export const bundlePaths = {
  prefix: bundlePrefix,
  parent: '/opt/kinit',
  current: '/opt/kinit/current',
  bin: '/opt/kinit/current/bin',
  images: '/opt/kinit/current/images',
  cniBin: '/opt/kinit/current/cni/bin',
  /** Ends pods when the machine shuts down. */
  endPods: '/opt/kinit/current/dist/kinit/assets/templates/systemd/end-pods.sh',
} as const;

export const linkDir = '/usr/local/bin';

/** Files of the workstation lie there for a while, in folders of their own. */
export const transferFolder = '/var/tmp';
