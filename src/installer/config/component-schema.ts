/** KubeletConfiguration v1beta1 and KubeProxyConfiguration v1alpha1 of Kubernetes v1.36: names and types of their fields. */
import { z } from 'zod';
import { parseDuration } from './duration.ts';

type Shape = Record<string, z.ZodType>;

const fields = (type: z.ZodType, names: string): Shape =>
  Object.fromEntries(
    names
      .trim()
      .split(/\s+/)
      .map((name) => [name, type.nullable().optional()]),
  );
const object = (shape: Shape) => z.strictObject(shape).nullable().optional();

const text = z.string();
const flag = z.boolean();
const whole = z.int();
const number = z.number();
const texts = z.array(z.string());
/** Go's map[string]string; numbers are what YAML makes of unquoted ones, and Go refuses them, too. */
const map = z.record(z.string(), z.string());
const duration = z.string().refine((value) => value === '' || parseDuration(value) !== undefined, {
  error: (issue) => `"${String(issue.input)}" is not a duration like 1m30s`,
});
const typeMeta = { apiVersion: z.string(), kind: z.string() };

const logOptions = { ...fields(flag, 'splitStream'), ...fields(z.union([text, number]), 'infoBufferSize') };
const logging = object({
  ...fields(text, 'format'),
  ...fields(z.union([duration, number]), 'flushFrequency'),
  ...fields(whole, 'verbosity'),
  vmodule: z
    .array(z.strictObject({ filePattern: z.string(), verbosity: z.int() }))
    .nullable()
    .optional(),
  options: object({ text: object(logOptions), json: object(logOptions) }),
});
const taint = z.strictObject({
  key: z.string(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
  timeAdded: z.string().nullable().optional(),
});

export const kubeletDocument = z.strictObject({
  ...typeMeta,
  ...fields(
    flag,
    `cgroupsPerQOS cpuCFSQuota enableContentionProfiling enableControllerAttachDetach enableDebugFlagsHandler
    enableDebuggingHandlers enableProfilingHandler enableServer enableSystemLogHandler enableSystemLogQuery failCgroupV1
    failSwapOn kernelMemcgNotification localStorageCapacityIsolation makeIPTablesUtilChains mergeDefaultEvictionSettings
    protectKernelDefaults registerNode rotateCertificates runOnce seccompDefault serializeImagePulls serverTLSBootstrap
    singleProcessOOMKill`,
  ),
  ...fields(
    text,
    `address cgroupDriver cgroupRoot clusterDomain configMapAndSecretChangeDetectionStrategy containerLogMaxSize
    containerRuntimeEndpoint contentType cpuManagerPolicy hairpinMode healthzBindAddress imagePullCredentialsVerificationPolicy
    imageServiceEndpoint kubeReservedCgroup kubeletCgroups memoryManagerPolicy memoryReservationPolicy podCIDR podLogsDir
    providerID reservedSystemCPUs resolvConf showHiddenMetricsForVersion staticPodPath staticPodURL systemCgroups
    systemReservedCgroup tlsCertFile tlsMinVersion tlsPrivateKeyFile topologyManagerPolicy topologyManagerScope
    volumePluginDir`,
  ),
  ...fields(
    whole,
    `containerLogMaxFiles containerLogMaxWorkers eventBurst eventRecordQPS evictionMaxPodGracePeriod healthzPort
    imageGCHighThresholdPercent imageGCLowThresholdPercent iptablesDropBit iptablesMasqueradeBit kubeAPIBurst kubeAPIQPS
    maxOpenFiles maxParallelImagePulls maxPods nodeLeaseDurationSeconds nodeStatusMaxImages oomScoreAdj podPidsLimit
    podsPerCore port readOnlyPort registryBurst registryPullQPS`,
  ),
  ...fields(number, 'memoryThrottlingFactor'),
  ...fields(
    duration,
    `containerLogMonitorInterval cpuCFSQuotaPeriod cpuManagerReconcilePeriod evictionPressureTransitionPeriod
    fileCheckFrequency httpCheckFrequency imageMaximumGCAge imageMinimumGCAge nodeStatusReportFrequency
    nodeStatusUpdateFrequency runtimeRequestTimeout shutdownGracePeriod shutdownGracePeriodCriticalPods
    streamingConnectionIdleTimeout syncFrequency volumeStatsAggPeriod`,
  ),
  ...fields(
    texts,
    'allowedUnsafeSysctls clusterDNS enforceNodeAllocatable preloadedImagesVerificationAllowlist tlsCipherSuites tlsCurvePreferences',
  ),
  ...fields(
    map,
    `cpuManagerPolicyOptions evictionHard evictionMinimumReclaim evictionSoft evictionSoftGracePeriod kubeReserved
    qosReserved systemReserved topologyManagerPolicyOptions`,
  ),
  ...fields(z.record(z.string(), z.boolean()), 'featureGates'),
  ...fields(z.record(z.string(), texts), 'staticPodURLHeader'),
  authentication: object({
    anonymous: object(fields(flag, 'enabled')),
    webhook: object({ ...fields(flag, 'enabled'), ...fields(duration, 'cacheTTL') }),
    x509: object(fields(text, 'clientCAFile')),
  }),
  authorization: object({
    mode: z.enum(['AlwaysAllow', 'Webhook', '']).nullable().optional(),
    webhook: object(fields(duration, 'cacheAuthorizedTTL cacheUnauthorizedTTL')),
  }),
  crashLoopBackOff: object(fields(duration, 'maxContainerRestartPeriod')),
  logging,
  memorySwap: object(fields(z.enum(['', 'NoSwap', 'LimitedSwap']), 'swapBehavior')),
  registerWithTaints: z.array(taint).nullable().optional(),
  reservedMemory: z
    .array(
      z.strictObject({
        numaNode: z.int(),
        limits: z
          .record(z.string(), z.union([z.string(), z.number()]))
          .nullable()
          .optional(),
      }),
    )
    .nullable()
    .optional(),
  shutdownGracePeriodByPodPriority: z
    .array(z.strictObject({ priority: z.int(), shutdownGracePeriodSeconds: z.int() }))
    .nullable()
    .optional(),
  tracing: object({ ...fields(text, 'endpoint'), ...fields(whole, 'samplingRatePerMillion') }),
  userNamespaces: object(fields(whole, 'idsPerPod')),
});

const syncPeriods = fields(duration, 'syncPeriod minSyncPeriod');

export const proxyDocument = z.strictObject({
  ...typeMeta,
  ...fields(flag, 'bindAddressHardFail enableProfiling windowsRunAsService'),
  ...fields(
    text,
    `bindAddress clusterCIDR detectLocalMode healthzBindAddress hostnameOverride metricsBindAddress mode portRange
    showHiddenMetricsForVersion`,
  ),
  ...fields(whole, 'oomScoreAdj'),
  ...fields(duration, 'configSyncPeriod'),
  ...fields(texts, 'nodePortAddresses'),
  ...fields(z.record(z.string(), z.boolean()), 'featureGates'),
  clientConnection: object({
    ...fields(text, 'kubeconfig acceptContentTypes contentType'),
    ...fields(number, 'qps'),
    ...fields(whole, 'burst'),
  }),
  conntrack: object({
    ...fields(whole, 'maxPerCore min'),
    ...fields(duration, 'tcpEstablishedTimeout tcpCloseWaitTimeout udpTimeout udpStreamTimeout'),
    ...fields(flag, 'tcpBeLiberal'),
  }),
  detectLocal: object(fields(text, 'bridgeInterface interfaceNamePrefix')),
  iptables: object({
    ...fields(whole, 'masqueradeBit'),
    ...fields(flag, 'masqueradeAll localhostNodePorts'),
    ...syncPeriods,
  }),
  ipvs: object({
    ...syncPeriods,
    ...fields(text, 'scheduler'),
    ...fields(texts, 'excludeCIDRs'),
    ...fields(flag, 'strictARP'),
    ...fields(duration, 'tcpTimeout tcpFinTimeout udpTimeout'),
  }),
  nftables: object({ ...fields(whole, 'masqueradeBit'), ...fields(flag, 'masqueradeAll'), ...syncPeriods }),
  logging,
  winkernel: object({
    ...fields(text, 'networkName sourceVip rootHnsEndpointName'),
    ...fields(flag, 'enableDSR forwardHealthCheckVip'),
  }),
});
