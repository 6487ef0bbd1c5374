/** What an upgrade has to know of the cluster before it begins. */
import type { DaemonSet, Deployment, Pod } from '../../machinery/api/types.ts';
import { daemonSets, deployments, nodes, pods } from '../../machinery/client/resources.ts';
import type { Client, ResourceType } from '../../machinery/client/types.ts';
import { observeNode } from '../health/observe-cluster.ts';
import type { NodeObservation } from '../health/types.ts';
import { type ComponentConfig, componentConfigs, readStoredCluster, type StoredCluster } from './configuration.ts';
import { tagOf } from './plan.ts';

/** A static pod of a control plane, or an add-on of the whole cluster. */
export interface RunningComponent {
  name: string;
  /** Absent: of the cluster as a whole. */
  node?: string;
  image: string;
  ready: boolean;
}

export interface NodeImages extends NodeObservation {
  /** Names of the images that the node has, as its status lists them. */
  images: string[];
  /** False: it has so many that its status leaves some out (nodeStatusMaxImages). */
  allImages: boolean;
}

export interface ClusterState {
  stored: StoredCluster;
  /** Of the static pods, by their tags. */
  apiServers: string[];
  nodes: NodeImages[];
  components: RunningComponent[];
  configs: ComponentConfig[];
}

type Workload = ResourceType<DaemonSet | Deployment>;

/** Workloads of the add-ons. */
const addons = [
  { name: 'kube-proxy', type: daemonSets as Workload },
  { name: 'kinit-network', type: daemonSets as Workload },
  { name: 'coredns', type: deployments as Workload },
  { name: 'metrics-server', type: deployments as Workload },
  { name: 'local-path-provisioner', namespace: 'local-path-storage', type: deployments as Workload },
];

/** How many a kubelet lists unless it is told otherwise. */
const maxImages = 50;

const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;

export async function observeForUpgrade(client: Client, signal: AbortSignal): Promise<ClusterState> {
  const planeQuery = { namespace: 'kube-system', labelSelector: 'tier=control-plane', signal };
  const [stored, nodeList, planes, ...found] = await Promise.all([
    readStoredCluster(client, signal),
    client.resource(nodes).list({ signal }),
    client.resource(pods).list(planeQuery),
    ...addons.map(({ name, namespace = 'kube-system', type }) =>
      client.resource(type).find({ name, namespace }, { signal }),
    ),
  ]);
  const components = planes.items.map(
    (pod): RunningComponent => ({
      name: pod.metadata?.labels?.['component'] ?? pod.metadata?.name ?? '',
      node: pod.spec?.nodeName ?? '',
      image: pod.spec?.containers[0]?.image ?? '',
      ready: isReady(pod),
    }),
  );
  for (const [index, object] of found.entries()) {
    const image = object?.spec?.template.spec?.containers[0]?.image;
    if (image) components.push({ name: addons[index]!.name, image, ready: true });
  }
  return {
    stored,
    apiServers: components.filter(({ name }) => name === 'kube-apiserver').map(({ image }) => tagOf(image)),
    nodes: nodeList.items.map((node) => ({
      ...observeNode(node),
      images: (node.status?.images ?? []).flatMap(({ names }) => names ?? []),
      allImages: (node.status?.images?.length ?? 0) < maxImages,
    })),
    components,
    configs: componentConfigs(stored),
  };
}
