/**
 * Every setting of KubeletConfiguration v1beta1 that this kubelet knows: path in the file, kind, upstream's default, and
 * the flag that overrides it. Fields of features that are not provided are known too, so that files written for upstream load.
 */

export type SettingKind = 'string' | 'boolean' | 'integer' | 'number' | 'duration' | 'list' | 'map' | 'any';

export interface Setting<K extends SettingKind = SettingKind> {
  kind: K;
  default?: unknown;
  flag?: string;
}

const of = <K extends SettingKind>(kind: K, fallback?: unknown, flag?: string): Setting<K> => ({
  kind,
  ...(fallback === undefined ? {} : { default: fallback }),
  ...(flag ? { flag } : {}),
});

/** Durations are milliseconds. A zero or empty duration in a file means the default, as upstream's defaulting does. */
export const settings = {
  enableServer: of('boolean', true, 'enable-server'),
  staticPodPath: of('string', '', 'pod-manifest-path'),
  podLogsDir: of('string', '/var/log/pods'),
  syncFrequency: of('duration', 60_000, 'sync-frequency'),
  fileCheckFrequency: of('duration', 20_000, 'file-check-frequency'),
  address: of('string', '0.0.0.0', 'address'),
  port: of('integer', 10250, 'port'),
  readOnlyPort: of('integer', 0, 'read-only-port'),
  tlsCertFile: of('string', '', 'tls-cert-file'),
  tlsPrivateKeyFile: of('string', '', 'tls-private-key-file'),
  tlsCipherSuites: of('list', undefined, 'tls-cipher-suites'),
  tlsMinVersion: of('string', '', 'tls-min-version'),
  rotateCertificates: of('boolean', false, 'rotate-certificates'),
  serverTLSBootstrap: of('boolean', false, 'rotate-server-certificates'),
  'authentication.x509.clientCAFile': of('string', '', 'client-ca-file'),
  'authentication.webhook.enabled': of('boolean', true, 'authentication-token-webhook'),
  'authentication.webhook.cacheTTL': of('duration', 120_000, 'authentication-token-webhook-cache-ttl'),
  'authentication.anonymous.enabled': of('boolean', false, 'anonymous-auth'),
  'authorization.mode': of('string', 'Webhook', 'authorization-mode'),
  'authorization.webhook.cacheAuthorizedTTL': of('duration', 300_000, 'authorization-webhook-cache-authorized-ttl'),
  'authorization.webhook.cacheUnauthorizedTTL': of('duration', 30_000, 'authorization-webhook-cache-unauthorized-ttl'),
  registryPullQPS: of('integer', 5, 'registry-qps'),
  registryBurst: of('integer', 10, 'registry-burst'),
  eventRecordQPS: of('integer', 50, 'event-qps'),
  eventBurst: of('integer', 100, 'event-burst'),
  enableDebuggingHandlers: of('boolean', true, 'enable-debugging-handlers'),
  enableSystemLogHandler: of('boolean', true),
  healthzPort: of('integer', 10248, 'healthz-port'),
  healthzBindAddress: of('string', '127.0.0.1', 'healthz-bind-address'),
  oomScoreAdj: of('integer', -999, 'oom-score-adj'),
  clusterDomain: of('string', '', 'cluster-domain'),
  clusterDNS: of('list', undefined, 'cluster-dns'),
  streamingConnectionIdleTimeout: of('duration', 14_400_000, 'streaming-connection-idle-timeout'),
  nodeStatusUpdateFrequency: of('duration', 10_000, 'node-status-update-frequency'),
  nodeStatusReportFrequency: of('duration', 300_000),
  nodeLeaseDurationSeconds: of('integer', 40),
  nodeStatusMaxImages: of('integer', 50, 'node-status-max-images'),
  imageMinimumGCAge: of('duration', 120_000, 'minimum-image-ttl-duration'),
  imageMaximumGCAge: of('duration', 0),
  imageGCHighThresholdPercent: of('integer', 85, 'image-gc-high-threshold'),
  imageGCLowThresholdPercent: of('integer', 80, 'image-gc-low-threshold'),
  volumeStatsAggPeriod: of('duration', 60_000, 'volume-stats-agg-period'),
  kubeletCgroups: of('string', '', 'kubelet-cgroups'),
  systemCgroups: of('string', '', 'system-cgroups'),
  cgroupRoot: of('string', '', 'cgroup-root'),
  cgroupsPerQOS: of('boolean', true, 'cgroups-per-qos'),
  cgroupDriver: of('string', 'cgroupfs', 'cgroup-driver'),
  runtimeRequestTimeout: of('duration', 120_000, 'runtime-request-timeout'),
  hairpinMode: of('string', 'promiscuous-bridge', 'hairpin-mode'),
  maxPods: of('integer', 110, 'max-pods'),
  podCIDR: of('string', '', 'pod-cidr'),
  podPidsLimit: of('integer', -1, 'pod-max-pids'),
  podsPerCore: of('integer', 0, 'pods-per-core'),
  resolvConf: of('string', '/etc/resolv.conf', 'resolv-conf'),
  runOnce: of('boolean', false, 'runonce'),
  cpuCFSQuota: of('boolean', true, 'cpu-cfs-quota'),
  cpuCFSQuotaPeriod: of('duration', 100, 'cpu-cfs-quota-period'),
  maxOpenFiles: of('integer', 1_000_000, 'max-open-files'),
  contentType: of('string', 'application/vnd.kubernetes.protobuf', 'kube-api-content-type'),
  kubeAPIQPS: of('integer', 50, 'kube-api-qps'),
  kubeAPIBurst: of('integer', 100, 'kube-api-burst'),
  serializeImagePulls: of('boolean', true, 'serialize-image-pulls'),
  maxParallelImagePulls: of('integer', 0),
  evictionHard: of('map', undefined, 'eviction-hard'),
  evictionSoft: of('map', undefined, 'eviction-soft'),
  evictionSoftGracePeriod: of('map', undefined, 'eviction-soft-grace-period'),
  evictionPressureTransitionPeriod: of('duration', 300_000, 'eviction-pressure-transition-period'),
  evictionMaxPodGracePeriod: of('integer', 0, 'eviction-max-pod-grace-period'),
  evictionMinimumReclaim: of('map', undefined, 'eviction-minimum-reclaim'),
  mergeDefaultEvictionSettings: of('boolean', false),
  enableControllerAttachDetach: of('boolean', true, 'enable-controller-attach-detach'),
  protectKernelDefaults: of('boolean', false, 'protect-kernel-defaults'),
  makeIPTablesUtilChains: of('boolean', true, 'make-iptables-util-chains'),
  iptablesMasqueradeBit: of('integer', 14, 'iptables-masquerade-bit'),
  iptablesDropBit: of('integer', 15, 'iptables-drop-bit'),
  failCgroupV1: of('boolean', true, 'fail-cgroupv1'),
  failSwapOn: of('boolean', true, 'fail-swap-on'),
  memorySwap: of('any'),
  containerLogMaxSize: of('string', '10Mi', 'container-log-max-size'),
  containerLogMaxFiles: of('integer', 5, 'container-log-max-files'),
  containerLogMaxWorkers: of('integer', 1),
  containerLogMonitorInterval: of('duration', 10_000),
  systemReserved: of('map', undefined, 'system-reserved'),
  kubeReserved: of('map', undefined, 'kube-reserved'),
  reservedSystemCPUs: of('string', '', 'reserved-cpus'),
  systemReservedCgroup: of('string', '', 'system-reserved-cgroup'),
  kubeReservedCgroup: of('string', '', 'kube-reserved-cgroup'),
  enforceNodeAllocatable: of('list', ['pods'], 'enforce-node-allocatable'),
  allowedUnsafeSysctls: of('list', undefined, 'allowed-unsafe-sysctls'),
  volumePluginDir: of('string', '/usr/libexec/kubernetes/kubelet-plugins/volume/exec/', 'volume-plugin-dir'),
  providerID: of('string', '', 'provider-id'),
  kernelMemcgNotification: of('boolean', false, 'kernel-memcg-notification'),
  registerNode: of('boolean', true, 'register-node'),
  registerWithTaints: of('any', undefined, 'register-with-taints'),
  localStorageCapacityIsolation: of('boolean', true, 'local-storage-capacity-isolation'),
  containerRuntimeEndpoint: of('string', '', 'container-runtime-endpoint'),
  imageServiceEndpoint: of('string', '', 'image-service-endpoint'),
  seccompDefault: of('boolean', false, 'seccomp-default'),
  shutdownGracePeriod: of('duration', 0),
  shutdownGracePeriodCriticalPods: of('duration', 0),
  shutdownGracePeriodByPodPriority: of('any'),
  crashLoopBackOff: of('any'),
  logging: of('any'),
  featureGates: of('any', undefined, 'feature-gates'),
  tracing: of('any'),
  topologyManagerPolicy: of('string', 'none', 'topology-manager-policy'),
  topologyManagerScope: of('string', 'container', 'topology-manager-scope'),
  topologyManagerPolicyOptions: of('map', undefined, 'topology-manager-policy-options'),
  cpuManagerPolicy: of('string', 'none', 'cpu-manager-policy'),
  cpuManagerPolicyOptions: of('map', undefined, 'cpu-manager-policy-options'),
  cpuManagerReconcilePeriod: of('duration', 10_000, 'cpu-manager-reconcile-period'),
  singleProcessOOMKill: of('any'),
  memoryManagerPolicy: of('string', 'None', 'memory-manager-policy'),
  reservedMemory: of('any', undefined, 'reserved-memory'),
  memoryThrottlingFactor: of('number', 0.9),
  qosReserved: of('map', undefined, 'qos-reserved'),
  enableProfilingHandler: of('boolean', true),
  enableDebugFlagsHandler: of('boolean', true),
  enableSystemLogQuery: of('boolean', false),
  showHiddenMetricsForVersion: of('string', '', 'show-hidden-metrics-for-version'),
  staticPodURL: of('string', '', 'manifest-url'),
  staticPodURLHeader: of('any', undefined, 'manifest-url-header'),
  httpCheckFrequency: of('duration', 20_000, 'http-check-frequency'),
  kubeletConfigDropIn: of('string', ''),
  imagePullCredentialsVerificationPolicy: of('string', 'NeverVerifyPreloadedImages'),
  preloadedImagesVerificationAllowlist: of('list'),
  userNamespaces: of('any'),
} satisfies Record<string, Setting>;

type ValueOf<K> = K extends 'boolean'
  ? boolean
  : K extends 'integer' | 'number' | 'duration'
    ? number
    : K extends 'list'
      ? string[]
      : K extends 'map'
        ? Record<string, string>
        : K extends 'any'
          ? unknown
          : string;

/** Plain values by path, as in the file. */
export type Configuration = { [P in keyof typeof settings]: ValueOf<(typeof settings)[P]['kind']> };
