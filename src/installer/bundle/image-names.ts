/** Names and tags of the images in the bundle, as kubeadm names its images, below kinit's own repository. */
import { kubernetesVersion } from '../../machinery/version.ts';

export const defaultImageRepository = 'kinit.local';

export type ImageName =
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kube-proxy'
  | 'kinit-network'
  | 'local-path-provisioner'
  | 'coredns/coredns'
  | 'metrics-server'
  | 'etcd'
  | 'pause';

/** etcd's tag follows the version that the bundle carries; the other tags are fixed. */
export const imageTags: Record<ImageName, string> = {
  'kube-apiserver': kubernetesVersion,
  'kube-controller-manager': kubernetesVersion,
  'kube-scheduler': kubernetesVersion,
  'kube-proxy': kubernetesVersion,
  'kinit-network': kubernetesVersion,
  'local-path-provisioner': kubernetesVersion,
  'coredns/coredns': kubernetesVersion,
  'metrics-server': kubernetesVersion,
  etcd: '3.5.16-0',
  pause: '3.10.1',
};

/** Full reference, for example `kinit.local/kube-apiserver:v1.36.2`. */
export function imageReference(name: ImageName, repository = defaultImageRepository): string {
  return `${repository}/${name}:${imageTags[name]}`;
}

interface ImageMeta {
  imageRepository?: string;
  imageTag?: string;
}

/** What of a ClusterConfiguration decides what images are called. */
export interface ImageSettings {
  imageRepository: string;
  dns?: ImageMeta;
  etcd?: { local?: ImageMeta };
}

/** As the cluster's configuration calls an image; like kubeadm, another repository has `coredns` without its own folder. */
export function configuredReference(name: ImageName, settings: ImageSettings): string {
  const metas: Partial<Record<ImageName, ImageMeta | undefined>> = {
    'coredns/coredns': settings.dns,
    etcd: settings.etcd?.local,
  };
  const { imageRepository = settings.imageRepository, imageTag = imageTags[name] } = metas[name] ?? {};
  const own = imageRepository === defaultImageRepository;
  return `${imageRepository}/${name === 'coredns/coredns' && !own ? 'coredns' : name}:${imageTag}`;
}

/** Images a node needs whatever its role. */
export const nodeImages: ImageName[] = [
  'pause',
  'kube-proxy',
  'kinit-network',
  'coredns/coredns',
  'local-path-provisioner',
  'metrics-server',
];
/** Those of them that run before a node is Ready. */
export const startImages: ImageName[] = ['pause', 'kinit-network', 'kube-proxy'];
/** Images that only a control-plane host needs. */
export const controlPlaneImages: ImageName[] = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'etcd'];
