/** The command line of kube-controller-manager: upstream's flags, and the options made of them. */
import { FlagError, type FlagSpec, type FlagValues } from '../../../machinery/flags/flags.ts';
import { duration, integer, list, path, rate, text, toggle } from '../../../machinery/flags/kinds.ts';
import { leaderElectionFlags, serverFlags } from '../../../machinery/flags/server-flags.ts';
import type { ControllerManagerOptions, SigningFiles } from './options.ts';

export const flags = {
  ...serverFlags,
  ...leaderElectionFlags,
  'authentication-tolerate-lookup-failure': toggle('Go on when the authentication configuration cannot be looked up.'),
  'secure-port': integer('10257', 'The port on which to serve HTTPS. 0 is none.'),
  'kube-api-qps': rate('20', 'QPS to use while talking with the API server.'),
  'kube-api-burst': integer('30', 'Burst to use while talking with the API server.'),
  'min-resync-period': duration('12h', 'The resync period in reflectors.'),
  'contention-profiling': toggle('Enable block profiling.'),
  v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
  'leader-elect-resource-name': text('The name of the lease.', 'kube-controller-manager'),
  // Which controllers
  controllers: list("Controllers to enable; '*' is all that are on by default, 'foo' enables, '-foo' disables.", '*'),
  'use-service-account-credentials': toggle('Use individual service account credentials for each controller.'),
  'controller-start-interval': duration('0s', 'Interval between starting controllers.'),
  // Cluster
  'cluster-name': text('The instance prefix for the cluster.', 'kubernetes'),
  'cluster-cidr': list('CIDR range for pods in the cluster.'),
  'service-cluster-ip-range': text('CIDR range for services in the cluster.', ''),
  'allocate-node-cidrs': toggle('Should CIDRs for pods be allocated and set on nodes.'),
  'cidr-allocator-type': text('Type of CIDR allocator to use.', 'RangeAllocator'),
  'configure-cloud-routes': toggle('Should CIDRs be routed by the cloud provider.', 'true'),
  'cloud-provider': text('The provider for cloud services.', ''),
  'cloud-config': path('The path to the cloud provider configuration file.'),
  'node-cidr-mask-size': integer('0', 'Mask size for node cidr in the cluster.'),
  'node-cidr-mask-size-ipv4': integer('0', 'Mask size for IPv4 node cidr in dual-stack cluster. Default is 24.'),
  'node-cidr-mask-size-ipv6': integer('0', 'Mask size for IPv6 node cidr in dual-stack cluster. Default is 64.'),
  'root-ca-file': text('Root certificate authority included in service account token secrets and ConfigMaps.', ''),
  'service-account-private-key-file': text('Private RSA or ECDSA key used to sign service account tokens.', ''),
  'flex-volume-plugin-dir': path('Directory of flex volume plugins.'),
  'enable-dynamic-provisioning': toggle('Enable dynamic provisioning.', 'true'),
  'external-cloud-volume-plugin': path('The plugin to use with an external cloud provider.'),
  // Certificates
  'cluster-signing-cert-file': text('X509 CA certificate used to issue cluster-scoped certificates.', ''),
  'cluster-signing-key-file': text('Private key used to sign cluster-scoped certificates.', ''),
  'cluster-signing-duration': duration('8760h', 'The max length of duration signed certificates will be given.'),
  ...signerFlags('kubelet-serving'),
  ...signerFlags('kubelet-client'),
  ...signerFlags('kube-apiserver-client'),
  ...signerFlags('legacy-unknown'),
  // Nodes
  'node-monitor-period': duration('5s', 'The period for syncing NodeStatus.'),
  'node-monitor-grace-period': duration('40s', 'How long a node may be unresponsive before marking it unhealthy.'),
  'node-startup-grace-period': duration('60s', 'As the grace period, for nodes that never reported.'),
  'node-eviction-rate': rate('0.1', 'Nodes per second whose pods are deleted when the zone is healthy.'),
  'secondary-node-eviction-rate': rate('0.01', 'As --node-eviction-rate when the zone is unhealthy.'),
  'unhealthy-zone-threshold': rate('0.55', 'Fraction of nodes not ready for a zone to be unhealthy.'),
  'large-cluster-size-threshold': integer('50', 'Nodes from which the cluster is large.'),
  'terminated-pod-gc-threshold': integer('12500', 'Terminated pods kept before the garbage collector deletes them.'),
  // Collection and synchronisation
  'enable-garbage-collector': toggle('Enables the generic garbage collector.', 'true'),
  'namespace-sync-period': duration('5m', 'The period for syncing namespace life-cycle updates.'),
  'resource-quota-sync-period': duration('5m', 'The period for syncing quota usage status.'),
  'legacy-service-account-token-clean-up-period': duration('8760h', 'Until unused legacy tokens are deleted.'),
  'max-endpoints-per-slice': integer('100', 'Endpoints in one EndpointSlice.'),
  'mirroring-max-endpoints-per-subset': integer('1000', 'Endpoints mirrored per subset.'),
  'endpoint-updates-batch-period': duration('0s', 'How long pod changes are collected for Endpoints.'),
  'endpointslice-updates-batch-period': duration('0s', 'How long pod changes are collected for EndpointSlices.'),
  'horizontal-pod-autoscaler-sync-period': duration('15s', 'The period for syncing the number of pods.'),
  'horizontal-pod-autoscaler-downscale-stabilization': duration('5m', 'How far back the autoscaler looks.'),
  'horizontal-pod-autoscaler-tolerance': rate('0.1', 'Change ratio that the autoscaler ignores.'),
  'pvclaimbinder-sync-period': duration('15s', 'The period for syncing volumes and claims.'),
  'attach-detach-reconcile-sync-period': duration('1m', 'The reconciler sync period for attach and detach.'),
  ...concurrency('deployment', '5'),
  ...concurrency('replicaset', '5'),
  ...concurrency('rc', '5'),
  ...concurrency('statefulset', '5'),
  ...concurrency('daemonset', '2'),
  ...concurrency('job', '5'),
  ...concurrency('cron-job', '5'),
  ...concurrency('gc', '20'),
  ...concurrency('namespace', '10'),
  ...concurrency('endpoint', '5'),
  ...concurrency('service-endpoint', '5'),
  ...concurrency('service', '1'),
  ...concurrency('resource-quota', '5'),
  ...concurrency('serviceaccount-token', '5'),
  ...concurrency('ttl-after-finished', '5'),
  ...concurrency('ephemeralvolume', '5'),
  ...concurrency('horizontal-pod-autoscaler', '5'),
} as const satisfies Record<string, FlagSpec>;

function concurrency<const N extends string>(name: N, value: string) {
  return { [`concurrent-${name}-syncs`]: integer(value, `The number of ${name} objects synced concurrently.`) } as {
    [K in `concurrent-${N}-syncs`]: ReturnType<typeof integer>;
  };
}

function signerFlags<const N extends string>(signer: N) {
  return {
    [`cluster-signing-${signer}-cert-file`]: text(`X509 CA certificate of the signer kubernetes.io/${signer}.`, ''),
    [`cluster-signing-${signer}-key-file`]: text(`Private key of the signer kubernetes.io/${signer}.`, ''),
  } as { [K in `cluster-signing-${N}-${'cert' | 'key'}-file`]: { kind: 'string'; help: string; default: string } };
}

export type ControllerManagerFlags = FlagValues<typeof flags>;

/** Throws FlagError for combinations that make no sense. */
export function optionsOf(values: ControllerManagerFlags): ControllerManagerOptions {
  const general = { certFile: values['cluster-signing-cert-file'], keyFile: values['cluster-signing-key-file'] };
  const own = ['kubelet-serving', 'kubelet-client', 'kube-apiserver-client', 'legacy-unknown'] as const;
  const files = own.map((signer): [(typeof own)[number], SigningFiles] => [
    signer,
    { certFile: values[`cluster-signing-${signer}-cert-file`], keyFile: values[`cluster-signing-${signer}-key-file`] },
  ]);
  const anyOwn = files.some(([, { certFile, keyFile }]) => certFile || keyFile);
  if (anyOwn && (general.certFile || general.keyFile))
    throw new FlagError('cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags');
  const mask = values['node-cidr-mask-size'];
  if (values['allocate-node-cidrs'] && values['cluster-cidr'].length === 0)
    throw new FlagError('--allocate-node-cidrs needs --cluster-cidr');
  return {
    clusterName: values['cluster-name'],
    clusterCidrs: values['cluster-cidr'],
    serviceClusterIpRange: values['service-cluster-ip-range'],
    allocateNodeCidrs: values['allocate-node-cidrs'],
    nodeCidrMaskSizeIpv4: values['node-cidr-mask-size-ipv4'] || mask || 24,
    nodeCidrMaskSizeIpv6: values['node-cidr-mask-size-ipv6'] || mask || 64,
    signing: Object.fromEntries(
      files.map(([signer, given]) => [signer, anyOwn ? given : general]),
    ) as ControllerManagerOptions['signing'],
    clusterSigningCertFile: general.certFile,
    clusterSigningKeyFile: general.keyFile,
    clusterSigningDuration: values['cluster-signing-duration'],
    rootCaFile: values['root-ca-file'],
    serviceAccountPrivateKeyFile: values['service-account-private-key-file'],
    nodeMonitorPeriod: values['node-monitor-period'],
    nodeMonitorGracePeriod: values['node-monitor-grace-period'],
    nodeStartupGracePeriod: values['node-startup-grace-period'],
    nodeEvictionRate: values['node-eviction-rate'],
    secondaryNodeEvictionRate: values['secondary-node-eviction-rate'],
    unhealthyZoneThreshold: values['unhealthy-zone-threshold'],
    largeClusterSizeThreshold: values['large-cluster-size-threshold'],
    terminatedPodGcThreshold: values['terminated-pod-gc-threshold'],
    namespaceSyncPeriod: values['namespace-sync-period'],
    resourceQuotaSyncPeriod: values['resource-quota-sync-period'],
    enableGarbageCollector: values['enable-garbage-collector'],
    concurrentDeploymentSyncs: values['concurrent-deployment-syncs'],
    concurrentReplicaSetSyncs: values['concurrent-replicaset-syncs'],
    concurrentGcSyncs: values['concurrent-gc-syncs'],
    concurrentNamespaceSyncs: values['concurrent-namespace-syncs'],
  };
}
