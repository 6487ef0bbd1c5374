/** Puts the kubelet together: runtime, sources of pods, workers, node, servers; and lets it run until it is told to stop. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatResourceList, parseQuantity, quantityValue } from '../../machinery/api/quantity.ts';
import type { Pod, PodStatus } from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import { aborted } from '../../machinery/process/pause.ts';
import { listenHealth } from '../../machinery/serving/health.ts';
import { MetricsRegistry, processMetrics } from '../../machinery/serving/metrics.ts';
import { connectApi } from './api/connection.ts';
import { statusFromMirror } from './api/mirror-pods.ts';
import { registerExpiryMetrics } from './certificates/expiry-metrics.ts';
import type { Configuration } from './config/settings.ts';
import { createRuntime } from './cri/runtime.ts';
import { createEvents } from './events.ts';
import { imageCredentials } from './images/credentials.ts';
import { imageFsUsage, startGarbageCollection } from './images/garbage.ts';
import { createImagePuller } from './images/pull.ts';
import { createLogRotation } from './logs/rotation.ts';
import { nodeIps } from './node/addresses.ts';
import { createAdmission } from './node/admission.ts';
import { allocatableOf, capacityOf, inspectMachine } from './node/capacity.ts';
import { createEvictor, type Evictor } from './node/evictor.ts';
import { watchPressure } from './node/pressure.ts';
import { type NodeReport, reportNode } from './node/report.ts';
import { watchRuntimeState } from './node/runtime-state.ts';
import { createReferencedObjects } from './objects/referenced.ts';
import { cgroupVersion, createPodCgroups } from './pods/cgroups.ts';
import { fieldPathOf } from './pods/containers.ts';
import type { PodContext } from './pods/context.ts';
import { parseResolvConf } from './pods/dns.ts';
import { fullName, isMirrorOf } from './pods/identity.ts';
import { isRunning, observePods } from './pods/observed.ts';
import { createPodTable, type PodTable } from './pods/pod-table.ts';
import { nodeResources } from './pods/resources.ts';
import { createProber } from './probes/prober.ts';
import { serve } from './serve.ts';
import { type GracefulShutdown, prepareForShutdown } from './shutdown/graceful.ts';
import { shutdownGroups } from './shutdown/groups.ts';
import { isStaticPod } from './static-pods/defaults.ts';
import { watchStaticPods } from './static-pods/source.ts';
import { createStatusWriter } from './status/writer.ts';
import { createView } from './view.ts';
import { createVolumeSetup } from './volumes/setup.ts';

export interface KubeletOptions {
  configuration: Configuration;
  nodeName: string;
  nodeIp: string | undefined;
  nodeLabels: Record<string, string>;
  rootDir: string;
  certDir: string;
  cloudProvider: string;
  /** Absent: standalone, static pods only. */
  client: Client | undefined;
  log: Logger;
}

const defaultEndpoint = 'unix:///run/containerd/containerd.sock';
const crashFirstMs = 10_000;
const crashLongestMs = 300_000;

export async function runKubelet(options: KubeletOptions, signal: AbortSignal): Promise<void> {
  const { configuration, nodeName, rootDir, client, log } = options;
  const hierarchy = cgroupVersion();
  if (hierarchy === 1 && configuration.failCgroupV1)
    throw new Error(
      'kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release',
    );
  const groups = shutdownGroups(configuration);
  await mkdir(join(rootDir, 'pods'), { recursive: true, mode: 0o750 });
  await mkdir(configuration.podLogsDir, { recursive: true, mode: 0o755 });
  const runtime = createRuntime(
    configuration.containerRuntimeEndpoint || defaultEndpoint,
    configuration.imageServiceEndpoint || undefined,
    configuration.runtimeRequestTimeout,
  );
  let ips = await nodeIps(options.nodeIp, nodeName);
  const machine = await inspectMachine(rootDir);
  const capacity = capacityOf(machine, configuration);
  const allocatable = allocatableOf(capacity, configuration);
  const allocatableTexts = formatResourceList(allocatable);
  const metrics = new MetricsRegistry();
  processMetrics(metrics);
  const events = createEvents({ client, nodeName, log });
  // Made further down, and told from here on.
  const late: { table?: PodTable; report?: NodeReport; evictor?: Evictor; shutdown?: GracefulShutdown } = {};
  const runtimeState = watchRuntimeState({
    runtime,
    log,
    signal,
    onChange: () => {
      late.report?.now();
      if (!runtimeState.networkProblem()) late.table?.triggerAll();
    },
  });
  await runtimeState.answered();
  if (signal.aborted) return;
  const version = await runtime.version();

  const observer = observePods({
    runtime,
    log,
    signal,
    onChange: (uid) => {
      if (late.table?.worker(uid)) late.table.trigger(uid);
      else void late.table?.cleanUp();
    },
  });
  const api = client ? connectApi({ client, nodeName, signal, log, onChange: () => changed() }) : undefined;
  const staticPods = watchStaticPods({
    path: configuration.staticPodPath,
    nodeName,
    pollMs: configuration.fileCheckFrequency,
    log,
    signal,
    onChange: () => changed(),
  });
  const mirrorOf = (pod: Pod) => {
    const mirror = api?.mirror(fullName(pod));
    return mirror && isMirrorOf(mirror, pod) ? mirror : undefined;
  };
  const writer = createStatusWriter({
    client,
    log,
    signal,
    object: (pod) => (isStaticPod(pod) ? mirrorOf(pod) : api?.pod(pod.metadata?.uid ?? '')),
  });
  const objects = createReferencedObjects(client, { onError: (message) => log.warn(message) });
  const prober = createProber({
    runtime,
    onChange: ({ podUid }) => late.table?.trigger(podUid),
    recordEvent: (pod, container, type, reason, message) => {
      // A container that is being ended fails its probes as a matter of course.
      if (late.table?.worker(pod.metadata?.uid ?? '')?.state !== 'running') return;
      events.pod(pod, type, reason, message, container ? fieldPathOf(pod, container) : undefined);
    },
  });
  const pressure = watchPressure({
    configuration,
    rootDir,
    machine,
    imageFs: () => imageFsUsage(runtime),
    signal,
    log,
    onChange: () => late.report?.now(),
    onMet: (signals) => late.evictor?.relieve(signals),
  });
  const driver = configuration.cgroupDriver === 'systemd' ? 'systemd' : 'cgroupfs';
  const context: PodContext = {
    nodeName,
    runtime,
    runtimeName: version.runtimeName,
    observer,
    images: createImagePuller({
      runtime,
      events,
      serialize: configuration.serializeImagePulls,
      maxParallel: configuration.maxParallelImagePulls,
      credentials: imageCredentials(objects),
    }),
    volumes: createVolumeSetup({
      rootDir,
      objects,
      nodeName,
      clusterDomain: configuration.clusterDomain,
      hostIps: () => ips,
      node: () => api?.node(),
      nodeAllocatable: () => allocatableTexts,
    }),
    objects,
    prober,
    events,
    cgroups: createPodCgroups({
      driver,
      root: configuration.cgroupRoot,
      version: hierarchy,
      allPods: configuration.enforceNodeAllocatable.includes('pods')
        ? nodeResources(allocatableOf(capacity, { ...configuration, evictionHard: {} }))
        : undefined,
      log,
    }),
    log,
    sandbox: {
      podLogsDir: configuration.podLogsDir,
      clusterDomain: configuration.clusterDomain,
      seccompRoot: join(rootDir, 'seccomp'),
      seccompDefault: configuration.seccompDefault,
    },
    resources: {
      cpuQuota: configuration.cpuCFSQuota,
      cpuPeriodMs: configuration.cpuCFSQuotaPeriod,
      memoryCapacity: machine.memoryBytes,
      cgroupVersion: hierarchy,
    },
    clusterDns: { servers: configuration.clusterDNS, domain: configuration.clusterDomain },
    crashBackOff: { firstMs: crashFirstMs, longestMs: crashLongestMs },
    hostDns: async () =>
      parseResolvConf(configuration.resolvConf ? await readFile(configuration.resolvConf, 'utf8').catch(() => '') : ''),
    hostIps: () => ips,
    nodeAllocatable: () => allocatableTexts,
    services: (pod) => (api ? api.services(pod, isStaticPod(pod)) : []),
    runtimeHandler: async (pod) => (pod.spec?.runtimeClassName && api?.runtimeHandler(pod.spec.runtimeClassName)) || '',
    networkProblem: runtimeState.networkProblem,
    admit: createAdmission({
      allocatable,
      node: () => api?.node(),
      pods: () =>
        table
          .workers()
          .filter(({ state }) => state === 'running')
          .map(({ pod }) => pod),
      shuttingDown: () => late.shutdown?.active ?? false,
    }),
    knownStatus: (pod) => {
      const mirror = isStaticPod(pod) ? mirrorOf(pod) : undefined;
      const known: PodStatus | undefined = isStaticPod(pod) ? mirror && statusFromMirror(mirror) : pod.status;
      return writer.status(pod.metadata?.uid ?? '') ?? known;
    },
    publish: writer.publish,
    finished: (pod, status) => {
      writer.finished(pod, status);
      // A static pod of the same name may have waited for this.
      setImmediate(changed);
    },
  };
  const table = createPodTable(context, {
    static: {
      get ready() {
        return staticPods.ready;
      },
      pods: staticPods.pods,
    },
    api: {
      get ready() {
        return api === undefined || api.ready;
      },
      pods: () => api?.pods() ?? [],
    },
  });
  late.table = table;
  const changed = () => {
    table.reconcile();
    const live = new Set(table.workers().map(({ uid }) => uid));
    writer.prune(live);
    api?.mirrors.reconcile(staticPods.ready ? staticPods.pods() : undefined);
    writer.poke();
    void table.cleanUp();
  };
  changed();

  const view = createView({ nodeName, table, observer });
  metrics.gauge('kubelet_running_pods', 'Number of pods that have a running pod sandbox', (set) =>
    set(observer.all().filter(({ sandboxes }) => sandboxes.some(({ state }) => state === 'SANDBOX_READY')).length),
  );
  metrics.gauge('kubelet_running_containers', 'Number of containers currently running', (set) =>
    set(observer.all().flatMap(({ containers }) => containers.filter(isRunning)).length, {
      container_state: 'running',
    }),
  );
  metrics.gauge('kubelet_node_name', "The node's name. The count is always 1.").set(1, { node: nodeName });
  registerExpiryMetrics(metrics, options.certDir);
  const serving = await serve({
    ...options,
    view,
    runtime,
    metrics,
    hosts: [nodeName, ...ips],
    prober,
    driver,
    signal,
  });
  const health =
    configuration.healthzPort > 0
      ? await listenHealth(`${configuration.healthzBindAddress}:${configuration.healthzPort}`, {
          checks: { '/healthz': { ping: () => undefined, syncloop: view.healthy } },
        })
      : undefined;
  if (client)
    late.report = reportNode({
      client,
      configuration,
      nodeName,
      nodeLabels: options.nodeLabels,
      ips: async () => {
        ips = await nodeIps(options.nodeIp, nodeName);
        return ips;
      },
      capacity,
      allocatable,
      machine,
      runtime,
      version,
      runtimeState,
      pressure,
      problems: () => {
        const sick = view.healthy();
        return [
          ...runtimeState.problems(),
          ...(sick ? [`PLEG is not healthy: ${sick}`] : []),
          ...(late.shutdown?.active ? ['node is shutting down'] : []),
        ];
      },
      node: () => api?.node(),
      events,
      onRegistered: () => api?.mirrors.reconcile(staticPods.ready ? staticPods.pods() : undefined),
      log,
      signal,
    });
  createLogRotation({
    runtime,
    maxSizeBytes: quantityValue(parseQuantity(configuration.containerLogMaxSize)),
    maxFiles: configuration.containerLogMaxFiles,
    monitorIntervalMs: configuration.containerLogMonitorInterval,
    onError: (message) => log.warn(message),
  }).start(signal);
  const garbage = startGarbageCollection({ runtime, configuration, observer, table, events, log, signal });
  late.evictor = createEvictor({
    runtime,
    configuration,
    table,
    pressure,
    freeImages: garbage.images,
    events,
    log,
  });
  late.shutdown = prepareForShutdown({
    groups,
    workers: table.workers,
    onChange: () => late.report?.now(),
    told: () => writer.idle && (late.report?.idle ?? true),
    events,
    log,
    signal,
  });
  const tidy = setInterval(() => void table.cleanUp(), 10_000);
  log.info({ node: nodeName, ips, runtime: `${version.runtimeName} ${version.runtimeVersion}` }, 'Started kubelet');
  events.node('Normal', 'Starting', 'Starting kubelet.');
  await aborted(signal);
  // Containers run on; only what this process itself does ends.
  clearInterval(tidy);
  table.close();
  prober.stop();
  objects.close();
  health?.close();
  await serving?.close();
  runtime.close();
  client?.close();
}
