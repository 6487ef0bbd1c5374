/** What the wings of the kubelet hand to each other. */
import type {
  Container,
  LifecycleHandler,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodStatus,
  Service,
} from '../../machinery/api/types.ts';
import type { Client } from '../../machinery/client/types.ts';
import type { MetricsRegistry } from '../../machinery/serving/metrics.ts';
import type { Runtime } from './cri/runtime.ts';
import type { Mount } from './cri/types.ts';

/** Where the objects that pods refer to come from: cached and watched only while a pod of this node uses them. */
export interface ReferencedObjects {
  configMap(
    namespace: string,
    name: string,
  ): Promise<{ data?: Record<string, string>; binaryData?: Record<string, string> } | undefined>;
  secret(namespace: string, name: string): Promise<{ type?: string; data?: Record<string, string> } | undefined>;
  /** As it is now, asked of the API server; throws when there is none. */
  persistentVolumeClaim(namespace: string, name: string): Promise<PersistentVolumeClaim>;
  persistentVolume(name: string): Promise<PersistentVolume>;
  /** A token of the pod's service account, bound to the pod; renewed at 80% of its life. */
  serviceAccountToken(pod: Pod, audience: string, expirationSeconds: number): Promise<string>;
  /** Starts to watch what the pod refers to, so that it is at hand when read; safe to repeat. */
  track(pod: Pod): void;
  /** Forgets what only this pod used. */
  release(podUid: string): void;
}

/** volumes/: everything that a pod's containers find mounted. */
export interface VolumeSetup {
  /**
   * Makes or refreshes the pod's volumes; safe to repeat. Throws an AggregateError: each of its errors is a FailedMount
   * event's text. Answers the texts of FailedMount events for volumes that could not be refreshed, but are there with what
   * they had: nothing need wait for those.
   * @param running its containers have what they need of the host: no path is made there again, which somebody may just have moved away
   */
  setUp(pod: Pod, options?: { running: boolean }): Promise<string[]>;
  /**
   * CRI mounts of one container, after setUp: volumes, subPath, /etc/hosts, termination log (a new file with each call).
   * @param variables the container's environment, for subPathExpr
   */
  mounts(
    pod: Pod,
    container: Container,
    podIps: string[],
    variables?: { name: string; value: string }[],
  ): Promise<Mount[]>;
  /** Unmounts and removes the pod's directory under /var/lib/kubelet/pods; releases the pod's referenced objects. */
  tearDown(podUid: string): Promise<void>;
  /** UIDs that have a directory: those not known any more are torn down by the caller. */
  podUids(): Promise<string[]>;
}

/** environment/: the variables of one container, in order. Throws with the text of CreateContainerConfigError. */
export interface EnvironmentInput {
  pod: Pod;
  container: Container;
  podIps: string[];
  hostIps: string[];
  nodeName: string;
  nodeAllocatable: Record<string, string>;
  /** Of the pod's namespace, and `default/kubernetes`. */
  services: Service[];
  objects: ReferencedObjects;
}

export type ProbeKind = 'liveness' | 'readiness' | 'startup';

export interface ProbeTarget {
  pod: Pod;
  container: Container;
  containerId: string;
  podIp: string;
  startedAt: Date;
}

/** probes/: runs the probes of running containers, and tells when a result changes. */
export interface Prober {
  /**
   * Starts probes of a container that has been seen running; of a container already tracked only the pod is renewed.
   * What the pod's status says of this very container (a kubelet before this one wrote it) are the first results.
   */
  track(target: ProbeTarget): void;
  untrack(containerId: string): void;
  untrackPod(podUid: string): void;
  /** Ends all probing. */
  stop(): void;
  /** Counts of runs in Prometheus' format. */
  metrics(): string;
  /** undefined: no such probe on this container. A startup probe that has not succeeded counts as not started, not ready. */
  result(containerId: string, kind: ProbeKind): 'success' | 'failure' | 'unknown' | undefined;
}

/** Told by the prober; the pod worker syncs the pod again and kills a container whose liveness or startup probe failed. */
export type ProbeListener = (change: {
  podUid: string;
  containerName: string;
  containerId: string;
  kind: ProbeKind;
  result: 'success' | 'failure';
  message: string;
}) => void;

/** What server/ reads from the rest. */
export interface KubeletView {
  nodeName: string;
  /** All pods of this node, static ones included, with their latest status. */
  pods(): Pod[];
  pod(namespace: string, name: string): Pod | undefined;
  podStatus(podUid: string): PodStatus | undefined;
  /** The full id of a running (or, with `previous`, the last ended) container. */
  containerId(podUid: string, containerName: string, previous?: boolean): string | undefined;
  sandboxId(podUid: string): string | undefined;
  healthy(): string | undefined;
}

/** Tells what happened to a pod or to the node, in upstream's words; without an API server it only logs. */
export interface EventSink {
  /** @param fieldPath for example `spec.containers{nginx}` */
  pod(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void;
  node(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

/** Says something about a pod, or about one of its containers when a name is given. */
export type PodEventRecorder = (
  pod: Pod,
  containerName: string | undefined,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
) => void;

/** For `createVolumeSetup` (volumes/setup.ts). */
export interface VolumeOptions {
  /** Normally /var/lib/kubelet. */
  rootDir: string;
  objects: ReferencedObjects;
  nodeName: string;
  clusterDomain: string;
  hostIps(): string[];
  /** For the node affinity of persistent volumes; undefined while not known. */
  node(): Node | undefined;
  nodeAllocatable(): Record<string, string>;
}

/** For `createProber` (probes/prober.ts). */
export interface ProberOptions {
  runtime: Pick<Runtime, 'execSync'>;
  onChange: ProbeListener;
  recordEvent: PodEventRecorder;
}

/** For `runLifecycleHook` (probes/lifecycle.ts); it throws an Error with upstream's text when the hook fails. */
export interface LifecycleHookInput {
  runtime: Pick<Runtime, 'execSync'>;
  pod: Pod;
  container: Container;
  containerId: string;
  podIp: string;
  hook: LifecycleHandler;
  signal?: AbortSignal;
}

/** For `startServer` (server/server.ts). */
export interface KubeletServerOptions {
  address: string;
  port: number;
  tls: {
    /** Without files a self-signed certificate is made for `hosts`. */
    certFile?: string;
    keyFile?: string;
    hosts: string[];
    minVersion?: string;
    cipherSuites?: string[];
    /** Instead of the files; asked again when a connection is opened. PEM. */
    current?(): { cert: string; key: string } | undefined;
  };
  auth: {
    clientCaFile?: string;
    anonymous: boolean;
    /** TokenReview and SubjectAccessReview are asked of it; absent: no webhook. */
    client?: Client;
    mode: 'Webhook' | 'AlwaysAllow';
    authorizedTtlMs?: number;
    unauthorizedTtlMs?: number;
    tokenTtlMs?: number;
  };
  view: KubeletView;
  runtime: Runtime;
  metrics: MetricsRegistry;
  /** The effective KubeletConfiguration, for /configz. */
  configuration(): object;
  rootDir: string;
  podLogsDir: string;
  /** The cgroup that holds all pods, for example `/kubepods`. */
  podsCgroup?: string;
  debuggingHandlers: boolean;
  systemLogHandler: boolean;
  /** For /metrics/probes. */
  prober?: Prober;
  onError?(message: string): void;
}

/** What `startServer` answers. */
export interface KubeletServer {
  readonly port: number;
  close(): Promise<void>;
}

/** For `createLogRotation` (logs/rotation.ts). */
export interface LogRotationOptions {
  runtime: Pick<Runtime, 'listContainers' | 'containerStatus' | 'reopenContainerLog'>;
  /** `containerLogMaxSize`, in bytes; 0 or less: no rotation. */
  maxSizeBytes: number;
  maxFiles: number;
  monitorIntervalMs: number;
  onError?(message: string): void;
}
