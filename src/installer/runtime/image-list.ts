/** The images of a cluster, in kubeadm's order; the pod network's comes last. */
import { type ImageName, imageReference } from '../bundle/image-names.ts';
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
];

export function referencesOf({ cluster }: InitConfiguration): string[] {
  const { dns, proxy, etcd, imageRepository } = cluster;
  const tagged = (reference: string, tag: string | undefined) =>
    tag ? reference.replace(/:[^:/]*$/, `:${tag}`) : reference;
  return imageNames
    .filter((name) => !(name === 'coredns/coredns' && dns.disabled) && !(name === 'kube-proxy' && proxy.disabled))
    .map((name) => {
      const reference = imageReference(name, imageRepository);
      if (name === 'coredns/coredns') return tagged(reference, dns.imageTag);
      return name === 'etcd' ? tagged(reference, etcd.local.imageTag) : reference;
    });
}

/** kubeadm's document. */
export const imagesDocument = (config: InitConfiguration): object => ({
  kind: 'Images',
  apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
  images: referencesOf(config),
});
