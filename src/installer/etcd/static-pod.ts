/** The static pod of etcd. Certificates, ports and probes are kubeadm's; two flags are named as etcd 3.5 names them. */
import { isIPv6 } from 'node:net';

import { strongSuites } from '../../machinery/serving/tls.ts';
import { configuredReference, imageTags } from '../bundle/image-names.ts';

import { joinHostPort } from '../config/cidr.ts';
import { parseDuration } from '../config/duration.ts';
import { renderTemplate } from '../config/templates.ts';
import type { InitConfiguration } from '../config/types.ts';
import { buildArguments } from '../control-plane/arguments.ts';
import type { Identity } from '../control-plane/identities.ts';
import { livenessProbe, readinessProbe, startupProbe } from '../control-plane/probes.ts';
import type { StaticPodValues } from '../control-plane/static-pods.ts';
import { type Mount, volumeMounts, volumes } from '../control-plane/volumes.ts';

const metricsPort = 2381;

export const clientUrl = (address: string) => `https://${joinHostPort(address, 2379)}`;
export const peerUrl = (address: string) => `https://${joinHostPort(address, 2380)}`;

/** etcd 3.6 made these feature gates and stable flags. */
function versionedFlags(tag: string): Record<string, string> {
  const [major = 0, minor = 0] = tag.replace(/^v/, '').split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 6)
    ? { 'feature-gates': 'InitialCorruptCheck=true', 'watch-progress-notify-interval': '5s' }
    : { 'experimental-initial-corrupt-check': 'true', 'experimental-watch-progress-notify-interval': '5s' };
}

/** @param existing the value of `--initial-cluster` when etcd joins other members */
export function etcdArguments(
  { cluster, localAPIEndpoint, nodeRegistration }: InitConfiguration,
  existing?: string,
): string[] {
  const { local } = cluster.etcd;
  const address = localAPIEndpoint.advertiseAddress;
  const loopback = isIPv6(address) ? '::1' : '127.0.0.1';
  const pki = `${cluster.certificatesDir}/etcd`;
  return buildArguments(
    {
      'advertise-client-urls': clientUrl(address),
      'cert-file': `${pki}/server.crt`,
      'cipher-suites': strongSuites.join(','),
      'client-cert-auth': 'true',
      'data-dir': local.dataDir,
      'initial-advertise-peer-urls': peerUrl(address),
      'initial-cluster': existing ?? `${nodeRegistration.name}=${peerUrl(address)}`,
      ...(existing ? { 'initial-cluster-state': 'existing' } : {}),
      'key-file': `${pki}/server.key`,
      'listen-client-urls': `${clientUrl(loopback)},${clientUrl(address)}`,
      'listen-metrics-urls': `http://${joinHostPort(loopback, metricsPort)}`,
      'listen-peer-urls': peerUrl(address),
      name: nodeRegistration.name,
      'peer-cert-file': `${pki}/peer.crt`,
      'peer-client-cert-auth': 'true',
      'peer-key-file': `${pki}/peer.key`,
      'peer-trusted-ca-file': `${pki}/ca.crt`,
      'snapshot-count': '10000',
      'trusted-ca-file': `${pki}/ca.crt`,
      ...versionedFlags(local.imageTag ?? imageTags.etcd),
    },
    local.extraArgs,
  );
}

/** What the members were when this one joined them: etcd reads it only once, and it stays in the manifest. */
export const joinedMembers = (manifest: string | undefined): string | undefined =>
  manifest?.includes('--initial-cluster-state=existing') ? /--initial-cluster=(\S+)/.exec(manifest)?.[1] : undefined;

/**
 * The manifest's text.
 * @param identity absent: etcd runs as root
 */
export function etcdManifest(config: InitConfiguration, existing?: string, identity?: Identity): string {
  const { cluster, localAPIEndpoint } = config;
  const { local } = cluster.etcd;
  const host = isIPv6(localAPIEndpoint.advertiseAddress) ? '::1' : '127.0.0.1';
  const startMs = parseDuration(config.timeouts.controlPlaneComponentHealthCheck) ?? 240_000;
  const mounts: Mount[] = [
    { name: 'etcd-data', path: local.dataDir, type: 'DirectoryOrCreate' },
    { name: 'etcd-certs', path: `${cluster.certificatesDir}/etcd`, type: 'DirectoryOrCreate' },
  ];
  const values: StaticPodValues = {
    arguments: etcdArguments(config, existing),
    env: local.extraEnvs.length ? local.extraEnvs : undefined,
    image: configuredReference('etcd', cluster),
    imagePullPolicy: 'IfNotPresent',
    identity,
    livenessProbe: livenessProbe(host, '/livez', 'HTTP'),
    readinessProbe: readinessProbe(host, '/readyz', 'HTTP'),
    startupProbe: startupProbe(host, '/readyz', startMs, 'HTTP'),
    probePort: metricsPort,
    cpu: '100m',
    memory: '100Mi',
    volumeMounts: volumeMounts(mounts, false),
    volumes: volumes(mounts),
    advertiseClientUrl: clientUrl(localAPIEndpoint.advertiseAddress),
  };
  return renderTemplate('static-pods/etcd.yaml', values);
}
