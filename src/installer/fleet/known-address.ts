/** The address under which a cluster is known to those who join, when that is the one of a control plane that goes. */
import type { ConfigMap, Node } from '../../machinery/api/types.ts';
import { joinHostPort, splitHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { parseYaml } from '../config/yaml.ts';
import { endpointAnnotations } from '../control-plane/cluster-objects.ts';
import { KinitError } from '../errors.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { kubectl } from './cluster.ts';
import { type Connection, quote } from './connection.ts';

export interface KnownAddress {
  /** controlPlaneEndpoint of the cluster's configuration. */
  endpoint?: string;
  /** Each node finds the API servers by itself, and needs no such address. */
  local: boolean;
}

const configMap = (namespace: string, name: string) => `-n ${namespace} get configmap ${name} -o json`;

export async function readKnownAddress(connection: Connection, signal: AbortSignal): Promise<KnownAddress> {
  const text = await connection.must(
    'reading kubeadm-config',
    `${kubectl} ${configMap('kube-system', 'kubeadm-config')}`,
    {
      signal,
    },
  );
  const { data, metadata } = JSON.parse(text) as ConfigMap;
  const [document] = parseYaml(data?.['ClusterConfiguration'] ?? '', 'kubeadm-config');
  const { controlPlaneEndpoint } = (document?.value ?? {}) as { controlPlaneEndpoint?: string };
  return {
    local: metadata?.annotations?.[endpointAnnotations.node] !== undefined,
    ...(controlPlaneEndpoint ? { endpoint: controlPlaneEndpoint } : {}),
  };
}

/** The cluster is known under an address that this node has and its successor will not have. */
export function goesWith(
  { endpoint }: KnownAddress,
  node: Node | undefined,
  oldHost: InventoryHost | undefined,
  host: InventoryHost,
): boolean {
  const name = endpoint === undefined ? undefined : splitHostPort(endpoint)?.host;
  const own = [...(node?.status?.addresses?.map(({ address }) => address) ?? []), oldHost?.address];
  return name !== undefined && host.address !== oldHost?.address && own.includes(name);
}

/** @throws KinitError when all nodes would lose the cluster */
export function refuseToLose({ endpoint, local }: KnownAddress, nodeName: string): void {
  if (local) return;
  throw new KinitError(
    'Validation',
    `all nodes reach the API server at ${endpoint}, which is the address of ${nodeName}`,
    {
      advice: `give the new machine that address, then: kinit nodes replace ${nodeName}; or let a load balancer or DNS name have it first; nothing was changed`,
    },
  );
}

/** Those who join from now on find the cluster at the new control plane. @returns whether anything changed */
export async function moveKnownAddress(
  connection: Connection,
  { endpoint = '' }: KnownAddress,
  newNode: Node | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const address = newNode?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  if (!address) return false;
  const moved = joinHostPort(address, splitHostPort(endpoint)?.port ?? defaultBindPort);
  let changed = false;
  for (const [namespace, name, key] of [
    ['kube-system', 'kubeadm-config', 'ClusterConfiguration'],
    ['kube-public', 'cluster-info', 'kubeconfig'],
  ] as const) {
    const text = await connection.must(`reading ${name}`, `${kubectl} ${configMap(namespace, name)}`, { signal });
    const before = (JSON.parse(text) as ConfigMap).data?.[key] ?? '';
    const after = before.replaceAll(endpoint, moved);
    if (after === before) continue;
    const patch = quote(JSON.stringify({ data: { [key]: after } }));
    await connection.must(
      `changing ${name}`,
      `${kubectl} -n ${namespace} patch configmap ${name} --type merge -p ${patch}`,
      {
        signal,
      },
    );
    changed = true;
  }
  return changed;
}
