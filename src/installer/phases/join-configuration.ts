/** The configuration of a control plane that joins: the cluster's, from its ConfigMap, with what this host adds. */
import type { ConfigMap } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import { splitHostPort } from '../config/cidr.ts';
import { defaultEndpointPort } from '../config/defaults.ts';
import { parseConfig } from '../config/read-config.ts';
import { resolveInit } from '../config/resolve.ts';
import type { EndpointSettings, InitConfiguration } from '../config/types.ts';
import { endpointAnnotations } from '../control-plane/cluster-objects.ts';
import { placeOf, sharedPlaces } from '../control-plane/shared-certificates.ts';
import type { VirtualIp } from '../endpoint/virtual-ip.ts';
import { KinitError } from '../errors.ts';
import { exists } from '../host/host.ts';
import { authorities } from '../pki/catalog.ts';
import { keyFile } from '../pki/ensure.ts';
import { optionalFile } from '../pki/transfer.ts';
import type { JoinContext } from './context.ts';

const configMaps = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };

export interface StoredConfiguration {
  /** The ClusterConfiguration. */
  text: string;
  /** `127.0.0.1:7443`, when each node finds the API servers by itself. */
  nodeEndpoint?: string;
  virtualIp?: VirtualIp;
}

export async function readKubeadmConfig(client: Client, signal: AbortSignal): Promise<StoredConfiguration> {
  const { data, metadata } = await client
    .resource<ConfigMap>(configMaps)
    .get({ name: 'kubeadm-config', namespace: 'kube-system' }, { signal });
  const nodeEndpoint = metadata?.annotations?.[endpointAnnotations.node];
  const [virtualIP, device] = metadata?.annotations?.[endpointAnnotations.virtualIP]?.split(' ') ?? [];
  return {
    text: data?.['ClusterConfiguration'] ?? '',
    ...(nodeEndpoint ? { nodeEndpoint } : {}),
    ...(virtualIP ? { virtualIp: { virtualIP, ...(device ? { interface: device } : {}) } } : {}),
  };
}

/** @throws KinitError Validation when this cluster or this host cannot have one more control plane */
export async function controlPlaneConfiguration(context: JoinContext, client: Client): Promise<InitConfiguration> {
  const { config, facts, signal } = context;
  const { localAPIEndpoint, certificateKey } = config.controlPlane!;
  const { text, nodeEndpoint, virtualIp } = await readKubeadmConfig(client, signal);
  const stored = parseConfig(text, 'configmap kubeadm-config');
  const port = splitHostPort(nodeEndpoint ?? '')?.port;
  const endpoint: EndpointSettings = {
    mode: port ? 'local' : 'shared',
    port: port ?? defaultEndpointPort,
    ...virtualIp,
  };
  const address = localAPIEndpoint.advertiseAddress ?? context.localAddress ?? facts.address ?? '';
  const cluster = resolveInit(
    { nodeName: config.nodeRegistration.name, apiserverAdvertiseAddress: address },
    stored,
    { hostname: facts.hostname, address },
    [],
  );
  const made: InitConfiguration = {
    ...cluster,
    nodeRegistration: config.nodeRegistration,
    localAPIEndpoint: { advertiseAddress: address, bindPort: localAPIEndpoint.bindPort },
    timeouts: config.timeouts,
    host: { ...config.host, endpoint },
    certificateKey,
  };
  await assertCanHost(context, made);
  return made;
}

/** Whether a key was given, and any of the shared files is missing. */
export async function downloadsCertificates({ host, controlPlane }: JoinContext): Promise<boolean> {
  const { cluster, certificateKey } = controlPlane!;
  if (!certificateKey) return false;
  const files = [...sharedPlaces(cluster).values()].filter((file) => file !== optionalFile);
  const present = await Promise.all(files.map((file) => exists(host, placeOf(cluster.certificatesDir, file))));
  return present.includes(false);
}

async function assertCanHost({ host }: JoinContext, { cluster, certificateKey }: InitConfiguration): Promise<void> {
  const reasons: string[] = [];
  if (!cluster.controlPlaneEndpoint) {
    reasons.push(
      "unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address",
    );
  }
  if (!certificateKey) {
    // Keys may be elsewhere, but then every certificate that they would sign has to be here.
    const keys = authorities.map(({ name }) => keyFile('', name).slice(1));
    for (const file of sharedPlaces(cluster).values()) {
      if (keys.includes(file) || file === 'sa.pub' || file === optionalFile) continue;
      const path = placeOf(cluster.certificatesDir, file);
      if (!(await exists(host, path))) reasons.push(`${path} is missing, and no certificate key was given`);
    }
  }
  if (!reasons.length) return;
  throw new KinitError(
    'Preflight',
    'One or more conditions for hosting a new control plane instance is not satisfied.',
    {
      seen: reasons.join('\n'),
      advice:
        'please ensure that:\n* The cluster has a stable controlPlaneEndpoint address.\n* The certificates that must be shared among control plane instances are provided: kinit init phase upload-certs --upload-certs on a control plane prints a certificate key',
    },
  );
}
