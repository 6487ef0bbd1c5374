/** The configuration file that a host's kinit gets: the inventory's settings as the documents that `--config` takes. */
import { isIP } from 'node:net';
import type { UnknownObject } from '../../machinery/api/types.ts';
import { controlPlaneTaint } from '../config/defaults.ts';
import type { Documents } from '../config/schema.ts';
import { type DocumentKind, documentKinds } from '../config/schema.ts';
import type { Taint } from '../config/types.ts';
import type { Inventory, InventoryHost } from '../inventory/types.ts';
import type { HostFacts } from './facts.ts';

type Untyped<K extends DocumentKind> = Omit<NonNullable<Documents[K]>, 'apiVersion' | 'kind'>;
type NodeRegistration = NonNullable<Untyped<'InitConfiguration'>['nodeRegistration']>;

/** Documents that a `--config` file on the workstation gave; the inventory's own settings win over them. */
export type GivenDocuments = Documents;

export interface JoinSecret {
  token: string;
  apiServerEndpoint: string;
  caCertHashes: string[];
  /** For control planes that join. */
  certificateKey?: string;
}

/** The inventory's address, when it is one that the host itself has: then it is the node's, on hosts with several. */
export const ownAddress = ({ address }: InventoryHost, { addresses }: HostFacts): string | undefined =>
  isIP(address) && addresses.includes(address) ? address : undefined;

/** Labels that a kubelet may give its own node; others are set by an administrator. */
export function kubeletMaySet(label: string): boolean {
  const prefix = label.includes('/') ? label.slice(0, label.indexOf('/')) : '';
  if (!/(^|\.)(kubernetes|k8s)\.io$/.test(prefix)) return true;
  return /(^|\.)(kubelet\.kubernetes\.io|node\.kubernetes\.io)$/.test(prefix) || allowedLabels.has(label);
}

const allowedLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);

function nodeRegistration(
  host: InventoryHost,
  facts: HostFacts,
  given: NodeRegistration | undefined,
): NodeRegistration {
  const labels = Object.entries(host.labels).filter(([label]) => kubeletMaySet(label));
  const address = ownAddress(host, facts);
  const own = [
    ...(labels.length ? [{ name: 'node-labels', value: labels.map(([k, v]) => `${k}=${v}`).join(',') }] : []),
    ...(address ? [{ name: 'node-ip', value: address }] : []),
  ];
  const others = (given?.kubeletExtraArgs ?? []).filter(({ name }) => !own.some((argument) => argument.name === name));
  return {
    ...given,
    name: host.nodeName,
    kubeletExtraArgs: [...others, ...own],
    taints: taintsOf(host, given?.taints),
  };
}

/** What keeps pods away from the node. @param given of the `--config` file */
export function taintsOf({ roles, taints }: InventoryHost, given: Taint[] | null | undefined): Taint[] {
  const leadsOnly = roles.includes('control-plane') && !roles.includes('worker');
  return taints ?? given ?? (leadsOnly ? [controlPlaneTaint] : []);
}

function textOf(documents: { [K in DocumentKind]?: object }): string {
  return Object.entries(documents)
    .map(([kind, fields]) =>
      JSON.stringify({ ...fields, apiVersion: documentKinds[kind as DocumentKind].apiVersion, kind }, null, 1),
    )
    .join('\n---\n');
}

const passedOn = ({ KubeletConfiguration, KubeProxyConfiguration }: GivenDocuments) => ({
  ...(KubeletConfiguration ? { KubeletConfiguration } : {}),
  ...(KubeProxyConfiguration ? { KubeProxyConfiguration } : {}),
});

/** For `kinit init` on the host; the first control plane's address becomes one of the API server's names. */
export function initDocuments(
  { cluster, endpoint, addons }: Inventory,
  host: InventoryHost,
  facts: HostFacts,
  given: GivenDocuments,
): string {
  const address = ownAddress(host, facts);
  const merged = { ...given.ClusterConfiguration, ...cluster };
  const names = new Set([...(merged.apiServer?.certSANs ?? []), host.address]);
  return textOf({
    InitConfiguration: {
      ...given.InitConfiguration,
      nodeRegistration: nodeRegistration(host, facts, given.InitConfiguration?.nodeRegistration),
      ...(address
        ? { localAPIEndpoint: { advertiseAddress: address, ...given.InitConfiguration?.localAPIEndpoint } }
        : {}),
    },
    ClusterConfiguration: { ...merged, apiServer: { ...merged.apiServer, certSANs: [...names] } },
    HostConfiguration: {
      ...given.HostConfiguration,
      ...(endpoint ? { endpoint } : {}),
      ...(addons ? { addons } : {}),
      ...host.settings,
    },
    ...passedOn(given),
  });
}

/** What makes a joining host a control plane. */
function controlPlanePart(
  host: InventoryHost,
  facts: HostFacts,
  given: GivenDocuments,
  certificateKey: string | undefined,
): Pick<Untyped<'JoinConfiguration'>, 'controlPlane'> {
  if (!host.roles.includes('control-plane')) return {};
  const { controlPlane } = given.JoinConfiguration ?? {};
  const address = ownAddress(host, facts);
  return {
    controlPlane: {
      ...controlPlane,
      localAPIEndpoint: { ...(address ? { advertiseAddress: address } : {}), ...controlPlane?.localAPIEndpoint },
      ...(certificateKey ? { certificateKey } : {}),
    },
  };
}

/** Those who join bring none. */
function withoutAddons(given: GivenDocuments['HostConfiguration']): object {
  const { addons: _addons, ...others } = given ?? { apiVersion: '', kind: '' };
  return others;
}

function joinText(
  host: InventoryHost,
  facts: HostFacts,
  given: GivenDocuments,
  discovery: Untyped<'JoinConfiguration'>['discovery'],
  certificateKey?: string,
): string {
  const { JoinConfiguration: join } = given;
  return textOf({
    JoinConfiguration: {
      ...join,
      nodeRegistration: nodeRegistration(host, facts, join?.nodeRegistration),
      ...controlPlanePart(host, facts, given, certificateKey),
      discovery,
    },
    HostConfiguration: { ...withoutAddons(given.HostConfiguration), ...host.settings },
    ...passedOn(given),
  });
}

/** For `kinit join` on the host. Holds the token and the certificate key. */
export function joinDocuments(
  host: InventoryHost,
  facts: HostFacts,
  { certificateKey, ...bootstrapToken }: JoinSecret,
  given: GivenDocuments,
): string {
  const discovery = { ...given.JoinConfiguration?.discovery, bootstrapToken };
  return joinText(host, facts, given, discovery, certificateKey);
}

/**
 * For `kinit join` on a host that is a node already: its own kubeconfig says which cluster.
 * @param stored of a dry run: see StoredConfiguration
 */
export function joinByFileDocuments(
  host: InventoryHost,
  facts: HostFacts,
  kubeConfigPath: string,
  given: GivenDocuments,
  stored?: readonly UnknownObject[],
): string {
  const text = joinText(host, facts, given, { file: { kubeConfigPath } });
  return stored ? withStored(text, stored) : text;
}

/** @param objects see StoredConfiguration */
export const withStored = (text: string, objects: readonly UnknownObject[]): string =>
  `${text}\n---\n${textOf({ StoredConfiguration: { objects } })}`;
