/** Names and tags of the images in the bundle, as kubeadm names its images, below kinit's own repository. */
import { kubernetesVersion } from '../../machinery/version.ts';

export const defaultImageRepository = 'kinit.local';

export type ImageName =
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kube-proxy'
  | 'kinit-network'
  | 'coredns/coredns'
  | 'etcd'
  | 'pause';

/** etcd's tag follows the version that the bundle carries; the other tags are fixed. */
export const imageTags: Record<ImageName, string> = {
  'kube-apiserver': kubernetesVersion,
  'kube-controller-manager': kubernetesVersion,
  'kube-scheduler': kubernetesVersion,
  'kube-proxy': kubernetesVersion,
  'kinit-network': kubernetesVersion,
  'coredns/coredns': kubernetesVersion,
  etcd: '3.5.16-0',
  pause: '3.10.1',
};

/** Full reference, for example `kinit.local/kube-apiserver:v1.36.2`. */
export function imageReference(name: ImageName, repository = defaultImageRepository): string {
  return `${repository}/${name}:${imageTags[name]}`;
}

/** Images a node needs whatever its role. */
export const nodeImages: ImageName[] = ['pause', 'kube-proxy', 'kinit-network', 'coredns/coredns'];
/** Those of them that run before a node is Ready. */
export const startImages: ImageName[] = ['pause', 'kinit-network', 'kube-proxy'];
/** Images that only a control-plane host needs. */
export const controlPlaneImages: ImageName[] = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'etcd'];
