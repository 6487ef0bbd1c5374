/** The images of a cluster, in kubeadm's order; the pod network's comes last. */
import { type ImageName, imageReference } from '../bundle/image-names.ts';
import { formatYaml } from '../config/format-yaml.ts';
import type { InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';

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

/** @param output text, json or yaml: the last two as kubeadm's Images document */
export function formatImages(config: InitConfiguration, output: string): string {
  const images = referencesOf(config);
  const document = { kind: 'Images', apiVersion: 'output.kubeadm.k8s.io/v1alpha3', images };
  switch (output) {
    case 'text':
      return `${images.join('\n')}\n`;
    case 'json':
      return `${JSON.stringify(document, null, 4)}\n`;
    case 'yaml':
      return formatYaml(document);
    default:
      throw new KinitError('Usage', `--output is "${output}"; it takes text, json or yaml`);
  }
}
