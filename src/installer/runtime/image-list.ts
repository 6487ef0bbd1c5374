/** The images of a cluster, in kubeadm's order; those of kinit's own add-ons come last. */
import { configuredReference, type ImageName } from '../bundle/image-names.ts';
import type { InitConfiguration } from '../config/types.ts';

export const imageNames: readonly ImageName[] = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'coredns/coredns',
  'pause',
  'etcd',
  'kinit-network',
  'local-path-provisioner',
];

export function referencesOf({ cluster, host }: InitConfiguration): string[] {
  const { dns, etcd, proxy } = cluster;
  const unused = [
    dns.disabled && 'coredns/coredns',
    proxy.disabled && 'kube-proxy',
    etcd.external && 'etcd',
    host.storage.provisioner === 'none' && 'local-path-provisioner',
  ];
  return imageNames.filter((name) => !unused.includes(name)).map((name) => configuredReference(name, cluster));
}

/** kubeadm's document. */
export const imagesDocument = (config: InitConfiguration): object => ({
  kind: 'Images',
  apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
  images: referencesOf(config),
});
