/** The images of a cluster, in kubeadm's order; those of kinit's own add-ons come last. */
import { addons } from '../addons/catalog.ts';
import { desiredAddon } from '../addons/desired.ts';
import { configuredReference, type ImageName } from '../bundle/image-names.ts';
import { builtInAddons } from '../config/addon-values.ts';
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
  'metrics-server',
];

export function referencesOf(config: InitConfiguration): string[] {
  const { cluster } = config;
  const off = builtInAddons.filter((name) => !desiredAddon(name, config, undefined).enabled);
  const unused: (ImageName | false | undefined)[] = [
    ...off.map((name) => addons[name].image),
    cluster.etcd.external && 'etcd',
  ];
  return imageNames.filter((name) => !unused.includes(name)).map((name) => configuredReference(name, cluster));
}

/** kubeadm's document. */
export const imagesDocument = (config: InitConfiguration): object => ({
  kind: 'Images',
  apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
  images: referencesOf(config),
});
