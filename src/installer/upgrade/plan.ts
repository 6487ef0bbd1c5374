/** What an upgrade would change, from what was seen: a table for people, kubeadm's document for programs. */
import {
  configuredReference,
  controlPlaneImages,
  type ImageName,
  type ImageSettings,
  nodeImages,
} from '../bundle/image-names.ts';
import type { Finding } from '../preflight/check.ts';
import type { BundleVersion } from './bundle-folders.ts';
import type { ComponentConfig } from './configuration.ts';
import type { ClusterState } from './observe.ts';
import { parseVersion, versionFindings } from './versions.ts';

/** One line of the table. */
export interface PlannedComponent {
  name: string;
  /** Absent: of the cluster as a whole. */
  node?: string;
  current: string;
  target: string;
}

export interface UpgradePlan {
  /** Of the cluster, by its stored configuration. */
  clusterVersion: string;
  from: BundleVersion;
  to: BundleVersion;
  /** By `kinit upgrade apply` and `kinit upgrade node` on control planes. */
  components: PlannedComponent[];
  /** The kubelets: with the bundle of each node, by `kinit upgrade node` there. */
  kubelets: PlannedComponent[];
  /** Static pods whose manifests would be different on this host. */
  manifests: string[];
  /** Images that nodes lack: node to references. */
  missingImages: Record<string, string[]>;
  configs: ComponentConfig[];
  /** What stands against it. */
  findings: Finding[];
  /** False: all is as the bundle would have it. */
  changes: boolean;
}

/** `v1.36.2` of `kinit.local/kube-proxy:v1.36.2`. */
export const tagOf = (image: string): string => {
  const name = image.split('@')[0] ?? '';
  const at = name.lastIndexOf(':');
  return at > name.lastIndexOf('/') ? name.slice(at + 1) : '';
};

/** As the images are named. */
const imageNames: Record<string, ImageName> = {
  etcd: 'etcd',
  'kube-apiserver': 'kube-apiserver',
  'kube-controller-manager': 'kube-controller-manager',
  'kube-scheduler': 'kube-scheduler',
  'kube-proxy': 'kube-proxy',
  'kinit-network': 'kinit-network',
  coredns: 'coredns/coredns',
  'metrics-server': 'metrics-server',
  'local-path-provisioner': 'local-path-provisioner',
};

/** In kubeadm's order. */
const order = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kinit-network',
  'coredns',
  'metrics-server',
  'local-path-provisioner',
  'etcd',
];

export interface PlanInput {
  state: ClusterState;
  from: BundleVersion;
  to: BundleVersion;
  images: ImageSettings;
  /** Static pods whose manifest on this host would be different. */
  manifests: readonly string[];
  /** `--etcd-upgrade=false` */
  etcdUpgrade?: boolean;
  allowExperimental?: boolean;
  allowReleaseCandidate?: boolean;
}

/** The images that a node of this role needs in the new version. */
export function neededImages(roles: readonly string[], images: ImageSettings): string[] {
  const names = [...(roles.includes('control-plane') ? controlPlaneImages : []), ...nodeImages];
  return names.map((name) => configuredReference(name, images));
}

/** Images of the add-ons that a node has to have before the add-ons are upgraded: nobody can pull them. */
export function nodesWithoutAddonImages({ nodes }: Pick<ClusterState, 'nodes'>, images: ImageSettings): string[] {
  const needed = (['kube-proxy', 'kinit-network'] as const).map((name) => configuredReference(name, images));
  return nodes
    .filter(({ images: has, allImages }) => allImages && !needed.every((image) => has.includes(image)))
    .map(({ name }) => name);
}

export function planUpgrade(input: PlanInput): UpgradePlan {
  const { state, from, to, images, manifests, etcdUpgrade = true } = input;
  const clusterVersion = state.stored.version;
  const components = state.components
    .flatMap(({ name, node, image }): PlannedComponent[] => {
      const known = imageNames[name];
      if (!known || (name === 'etcd' && !etcdUpgrade)) return [];
      const target = tagOf(configuredReference(known, images));
      return [{ name, ...(node ? { node } : {}), current: tagOf(image), target }];
    })
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name) || ((a.node ?? '') < (b.node ?? '') ? -1 : 1));
  const kubelets = state.nodes.map(({ name, version }) => ({
    name: 'kubelet',
    node: name,
    current: version,
    target: to.kubernetes,
  }));
  const missingImages: Record<string, string[]> = {};
  for (const { name, roles, images: has } of state.nodes.filter(({ allImages }) => allImages)) {
    const missing = neededImages(roles, images).filter((image) => !has.includes(image));
    if (missing.length) missingImages[name] = missing;
  }
  const differs = ({ current, target }: PlannedComponent) => current !== target;
  return {
    clusterVersion,
    from,
    to,
    components,
    kubelets,
    manifests: [...manifests],
    missingImages,
    configs: state.configs,
    findings: versionFindings({
      cluster: clusterVersion,
      target: to.kubernetes,
      apiServers: state.apiServers,
      kubelets: state.nodes.map(({ version }) => version),
      ...(input.allowExperimental ? { allowExperimental: true } : {}),
      ...(input.allowReleaseCandidate ? { allowReleaseCandidate: true } : {}),
    }),
    changes:
      from.folder !== to.folder ||
      clusterVersion !== to.kubernetes ||
      manifests.length > 0 ||
      [...components, ...kubelets].some(differs),
  };
}

/** kubeadm's words for where a version lies. */
export function seriesOf(cluster: string, target: string): string {
  const [from, to] = [parseVersion(cluster), parseVersion(target)];
  if (!from || !to) return 'the version of this bundle';
  const series = `v${to.major}.${to.minor}`;
  return from.minor === to.minor
    ? `version in the v${from.major}.${from.minor} series`
    : `version of the ${series} series`;
}

/** `output.kubeadm.k8s.io/v1alpha3`, as `kubeadm upgrade plan -o json` prints it. */
export function planDocument({ clusterVersion, to, components, kubelets, configs, changes }: UpgradePlan): object {
  const rows = [...kubelets, ...components].map(({ name, node, current, target }) => ({
    name,
    currentVersion: current,
    newVersion: target,
    ...(node ? { nodeName: node } : {}),
  }));
  return {
    kind: 'UpgradePlan',
    apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
    availableUpgrades: changes ? [{ description: seriesOf(clusterVersion, to.kubernetes), components: rows }] : [],
    configVersions: configs.map(({ group, version }) => ({
      group,
      currentVersion: version,
      preferredVersion: version,
      manualUpgradeRequired: false,
    })),
  };
}
