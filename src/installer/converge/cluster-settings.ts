/**
 * A run that is repeated on a control plane: what cannot be changed in a living cluster is refused, what differs is changed, and
 * what the cluster has and nobody gives any more stays until it is told to go.
 */
import { overlay } from '../config/overlay.ts';
import type { ReadConfig } from '../config/read-config.ts';
import type { Documents } from '../config/schema.ts';
import type { ClusterConfiguration, ControlPlaneComponent, InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { fieldsWithout, linesOf } from './given-fields.ts';
import type { StoredCluster } from './stored-cluster.ts';

type ClusterDocument = NonNullable<Documents['ClusterConfiguration']>;

/** Of all hosts, objects, certificates and addresses that are there already. */
const fixed: { field: string; of(cluster: ClusterConfiguration): string; why: string }[] = [
  {
    field: 'networking.podSubnet',
    of: ({ networking }) => networking.podSubnet,
    why: 'pods and nodes have addresses of it',
  },
  {
    field: 'networking.serviceSubnet',
    of: ({ networking }) => networking.serviceSubnet,
    why: 'services have addresses of it',
  },
  {
    field: 'networking.dnsDomain',
    of: ({ networking }) => networking.dnsDomain,
    why: 'pods, certificates and tokens have names of it',
  },
  { field: 'clusterName', of: ({ clusterName }) => clusterName, why: 'kubeconfigs and cloud resources have it' },
  { field: 'certificatesDir', of: ({ certificatesDir }) => certificatesDir, why: 'the certificates lie there' },
  { field: 'etcd.local.dataDir', of: ({ etcd }) => etcd.local.dataDir, why: "the cluster's data lies there" },
  {
    field: 'etcd',
    of: ({ etcd }) => (etcd.external ? 'external' : 'local'),
    why: "the cluster's data lies in its etcd",
  },
];

const objectOf = (value: object | undefined): object => value ?? {};

/** Fixed fields that are left out are as the cluster has them. */
export function withFixedFields(
  file: ReadConfig,
  { document, node }: Pick<StoredCluster, 'document' | 'node'>,
): ReadConfig {
  const { ClusterConfiguration: given = {} as ClusterDocument, InitConfiguration: init } = file.documents;
  const { name, ...endpoint } = node;
  const InitConfiguration = {
    ...init,
    nodeRegistration: { name, ...init?.nodeRegistration },
    localAPIEndpoint: { ...endpoint, ...init?.localAPIEndpoint },
  } as NonNullable<Documents['InitConfiguration']>;
  const { networking, etcd, clusterName, certificatesDir, controlPlaneEndpoint } = document;
  const external = given.etcd === undefined && etcd?.external ? { etcd } : {};
  const local = !given.etcd?.external && etcd?.local?.dataDir ? { dataDir: etcd.local.dataDir } : undefined;
  const ClusterConfiguration = {
    ...(clusterName ? { clusterName } : {}),
    ...(certificatesDir ? { certificatesDir } : {}),
    ...(controlPlaneEndpoint ? { controlPlaneEndpoint } : {}),
    ...external,
    ...given,
    networking: { ...networking, ...given.networking },
    ...(local ? { etcd: { ...given.etcd, local: { ...local, ...objectOf(given.etcd?.local) } } } : {}),
  } as ClusterDocument;
  return { ...file, documents: { ...file.documents, ClusterConfiguration, InitConfiguration } };
}

/** One line for each setting that a living cluster cannot change. */
export function fixedDifferences(wanted: ClusterConfiguration, stored: ClusterConfiguration): string[] {
  return fixed.flatMap(({ field, of, why }) =>
    differenceOf(`ClusterConfiguration.${field}`, of(wanted), of(stored), why),
  );
}

const differenceOf = (field: string, given: string, has: string, why: string): string[] =>
  given === has ? [] : [`${field} is ${has} in this cluster, and ${given} was given: ${why}`];

function ofNode({ nodeRegistration, localAPIEndpoint }: InitConfiguration, { node }: StoredCluster): string[] {
  const { advertiseAddress, bindPort } = localAPIEndpoint;
  const server = 'InitConfiguration.localAPIEndpoint';
  const why = 'kubeconfigs and the other hosts use it';
  return [
    ...differenceOf(
      'InitConfiguration.nodeRegistration.name',
      nodeRegistration.name,
      node.name,
      'pods run on this node',
    ),
    ...differenceOf(`${server}.advertiseAddress`, advertiseAddress, node.advertiseAddress, why),
    ...differenceOf(`${server}.bindPort`, String(bindPort), String(node.bindPort), why),
  ];
}

/** @throws KinitError Validation before anything is touched */
export function assertFixed(wanted: InitConfiguration, stored: StoredCluster): void {
  const differences = [...fixedDifferences(wanted.cluster, stored.cluster), ...ofNode(wanted, stored)];
  if (!differences.length) return;
  throw new KinitError('Validation', 'these settings of a living cluster cannot be changed', {
    seen: differences.join('\n'),
    advice:
      'give what the cluster has, or leave the fields out; for another value make a new cluster (kinit reset). Nothing was changed',
  });
}

export interface Kept {
  config: InitConfiguration;
  /** What the cluster has and nobody gives any more, for people. */
  leftovers: string[];
}

const plainFields = [
  'imageRepository',
  'encryptionAlgorithm',
  'certificateValidityPeriod',
  'caCertificateValidityPeriod',
] as const satisfies (keyof ClusterConfiguration)[];

/** In the order of what is there, so that nothing changes by order alone; what is new comes last. */
function withKept<T extends { name: string }>(wanted: readonly T[], had: readonly T[]): { all: T[]; kept: T[] } {
  const kept = had.filter((one) => !wanted.some((other) => other.name === one.name));
  const known = [...new Set(had.map(({ name }) => name))];
  const before = known.flatMap((name) => [...wanted, ...kept].filter((one) => one.name === name));
  return { kept, all: [...before, ...wanted.filter(({ name }) => !known.includes(name))] };
}

/**
 * What was given once and is not any more: it stays in the configuration, or goes with `prune`.
 * @param said the ClusterConfiguration as it was given, without defaults
 */
export function keepStored(
  config: InitConfiguration,
  stored: StoredCluster,
  prune: boolean,
  said: Partial<Record<(typeof plainFields)[number], unknown>> = {},
): Kept {
  const leftovers: string[] = [];
  const { cluster } = config;
  const before = stored.cluster;
  const component = <C extends ControlPlaneComponent | ClusterConfiguration['etcd']['local']>(
    name: string,
    wanted: C,
    had: C,
  ): C => {
    const args = withKept(wanted.extraArgs, had.extraArgs);
    const envs = withKept(wanted.extraEnvs, had.extraEnvs);
    leftovers.push(...args.kept.map((one) => `flag --${one.name}=${one.value} of ${name}`));
    leftovers.push(...envs.kept.map((one) => `environment variable ${one.name} of ${name}`));
    const all = { ...wanted, extraArgs: args.all, extraEnvs: envs.all };
    if (!('extraVolumes' in wanted) || !('extraVolumes' in had)) return all;
    const volumes = withKept(wanted.extraVolumes, had.extraVolumes);
    leftovers.push(...volumes.kept.map((one) => `volume ${one.name} of ${name}`));
    return { ...all, extraVolumes: volumes.all };
  };
  const names = (what: string, wanted: string[], had: string[]) => {
    const named = (list: string[]) => list.map((name) => ({ name }));
    const { all, kept } = withKept(named(wanted), named(had));
    leftovers.push(...kept.map(({ name }) => `name ${name} of the certificate of ${what}`));
    return all.map(({ name }) => name);
  };
  const plain = plainFields.filter((field) => said[field] === undefined && before[field] !== cluster[field]);
  leftovers.push(...plain.map((field) => `ClusterConfiguration.${field} = ${before[field]}`));
  const gates = Object.entries(before.featureGates).filter(([name]) => cluster.featureGates[name] === undefined);
  leftovers.push(...gates.map(([name, value]) => `feature gate ${name}=${value}`));
  const kubelet = fieldsWithout(stored.kubelet, config.kubelet);
  const proxy = fieldsWithout(stored.proxy, config.proxy);
  const local = component('etcd', cluster.etcd.local, before.etcd.local);
  const kept: InitConfiguration = {
    ...config,
    cluster: {
      ...cluster,
      ...Object.fromEntries(plain.map((field) => [field, before[field]])),
      apiServer: {
        ...component('kube-apiserver', cluster.apiServer, before.apiServer),
        certSANs: names('the API server', cluster.apiServer.certSANs, before.apiServer.certSANs),
      },
      controllerManager: component('kube-controller-manager', cluster.controllerManager, before.controllerManager),
      scheduler: component('kube-scheduler', cluster.scheduler, before.scheduler),
      etcd: {
        ...cluster.etcd,
        local: {
          ...local,
          serverCertSANs: names('etcd', local.serverCertSANs, before.etcd.local.serverCertSANs),
          peerCertSANs: names('etcd to its peers', local.peerCertSANs, before.etcd.local.peerCertSANs),
        },
      },
      featureGates: { ...Object.fromEntries(gates), ...cluster.featureGates },
    },
    kubelet: overlay(kubelet, config.kubelet),
    proxy: overlay(proxy, config.proxy),
  };
  leftovers.push(...linesOf(kubelet, 'KubeletConfiguration.'), ...linesOf(proxy, 'KubeProxyConfiguration.'));
  return { config: prune ? config : kept, leftovers: prune ? [] : leftovers };
}
