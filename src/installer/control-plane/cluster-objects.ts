/** Objects that make a cluster joinable: kubeadm's ConfigMaps, roles and bindings, and cluster-info. */
import type { UnknownObject } from '../../machinery/api/types.ts';
import { bootstrapGroup } from '../addons/objects.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { localEndpoint } from '../config/local-endpoint.ts';
import { kubeadmVersion } from '../config/schema.ts';
import { renderObjects } from '../config/templates.ts';
import type { ClusterConfiguration, InitConfiguration, OpenDocument } from '../config/types.ts';
import { buildKubeconfig, controlPlaneServer, formatKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { withConfigHash } from './component-config-hash.ts';

/** Drops empty lists, maps and texts, as Go's `omitempty` does. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => !(v === '' || v === undefined || v === false || (Array.isArray(v) && v.length === 0)))
      .map(([key, v]) => [key, withoutEmpty(v)]),
  );
}

/** The ClusterConfiguration document that later commands and joining nodes read. */
export function clusterConfigurationYaml(cluster: ClusterConfiguration): string {
  const { featureGates, etcd, ...rest } = cluster;
  const gates = Object.keys(featureGates).length ? { featureGates } : {};
  return formatYaml({
    apiVersion: kubeadmVersion,
    kind: 'ClusterConfiguration',
    ...(withoutEmpty({ ...rest, etcd: etcd.external ? { external: etcd.external } : { local: etcd.local } }) as object),
    ...gates,
  });
}

/** Of the ConfigMap kubeadm-config; kubeadm has no fields for them. */
export const endpointAnnotations = {
  /** Where each node finds the API servers by itself: `127.0.0.1:7443`. */
  node: 'kinit.local/node-endpoint',
  /** Which address one of the control planes has at a time, and on which interface when that is said: `10.0.0.100 eth0`. */
  virtualIP: 'kinit.local/virtual-ip',
} as const;

export function kubeadmConfigObjects(config: InitConfiguration): UnknownObject[] {
  const endpoint = localEndpoint(config.host);
  const { virtualIP, interface: device = '' } = config.host.endpoint ?? {};
  const annotations = {
    ...(endpoint ? { [endpointAnnotations.node]: endpoint } : {}),
    ...(virtualIP ? { [endpointAnnotations.virtualIP]: `${virtualIP} ${device}`.trim() } : {}),
  };
  const objects = renderObjects('cluster/config-maps.yaml', {
    bootstrapGroup,
    clusterConfiguration: clusterConfigurationYaml(config.cluster),
  });
  const told = objects.map((object) =>
    object.kind === 'ConfigMap' && Object.keys(annotations).length > 0
      ? { ...object, metadata: { ...object.metadata, annotations } }
      : object,
  );
  return [...told, ...(endpoint ? renderObjects('cluster/local-endpoint.yaml', {}) : [])];
}

/** @param given whether the user has written any of the configuration */
export function kubeletConfigObjects(kubelet: OpenDocument, given: boolean): UnknownObject[] {
  const values = { bootstrapGroup, kubeletConfiguration: formatYaml(kubelet) };
  return withConfigHash(renderObjects('cluster/kubelet-config.yaml', values), 'kubelet-config', given);
}

export function bootstrapRbacObjects(): UnknownObject[] {
  return renderObjects('cluster/rbac.yaml', { bootstrapGroup });
}

export function clusterAdminObjects(): UnknownObject[] {
  return renderObjects('cluster/cluster-admins.yaml', {});
}

/** A kubeconfig without user: where the cluster is and which CA it has. */
export function clusterInfoKubeconfig(config: InitConfiguration, caPem: string): string {
  return formatKubeconfig({
    ...buildKubeconfig({ server: controlPlaneServer(config), caPem, clusterName: '', userName: '', user: {} }),
    contexts: [],
    users: [],
  });
}

export function clusterInfoObjects(config: InitConfiguration, caPem: string): UnknownObject[] {
  return renderObjects('cluster/cluster-info.yaml', { kubeconfig: clusterInfoKubeconfig(config, caPem) });
}
