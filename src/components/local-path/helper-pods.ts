/** Pods that make or remove one directory on one node, and then end. What they were for stands on them. */
import type { PersistentVolume, Pod } from '../../machinery/api/types.ts';

export type Task = 'make' | 'remove';

export interface HelperSettings {
  namespace: string;
  /** The image of this very program. */
  image: string;
  directory: string;
}

export const helperLabels = { app: 'local-path-helper' };
const taskAnnotation = 'local-path.kinit.local/task';
const volumeAnnotation = 'local-path.kinit.local/volume';
/** Where the nodes' directory is in a helper's container. */
const mountPath = '/storage';
const deadlineSeconds = 120;

export const helperName = (task: Task, volumeName: string): string => `helper-${task}-${volumeName}`;

export function helperPod(
  task: Task,
  volume: PersistentVolume,
  folder: string,
  nodeName: string,
  { namespace, image, directory }: HelperSettings,
): Pod {
  return {
    metadata: {
      name: helperName(task, volume.metadata?.name ?? ''),
      namespace,
      labels: helperLabels,
      annotations: { [taskAnnotation]: task, [volumeAnnotation]: JSON.stringify(volume) },
    },
    spec: {
      nodeName,
      restartPolicy: 'Never',
      activeDeadlineSeconds: deadlineSeconds,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      // Works on nodes that are not ready for pods of their own network, and needs none.
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'helper',
          image,
          imagePullPolicy: 'IfNotPresent',
          args: [`--task=${task}`, `--root=${mountPath}`, `--folder=${folder}`],
          terminationMessagePolicy: 'FallbackToLogsOnError',
          securityContext: {
            runAsUser: 0,
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            // Files of any owner can be removed, and nothing else.
            capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE', 'FOWNER'] },
          },
          volumeMounts: [{ name: 'storage', mountPath }],
        },
      ],
      volumes: [{ name: 'storage', hostPath: { path: directory, type: 'DirectoryOrCreate' } }],
    },
  };
}

export const taskOf = ({ metadata }: Pod): Task | undefined => {
  const task = metadata?.annotations?.[taskAnnotation];
  return task === 'make' || task === 'remove' ? task : undefined;
};

/** The volume as it was, or will be. */
export const volumeOf = ({ metadata }: Pod): PersistentVolume =>
  JSON.parse(metadata?.annotations?.[volumeAnnotation] ?? '{}') as PersistentVolume;

export type Outcome = { state: 'busy' } | { state: 'done' } | { state: 'failed'; message: string; endedMs: number };

/** A pod that has not ended long after it should have is on a node that does not answer. */
export function outcomeOf({ status, metadata, spec }: Pod, nowMs: number): Outcome {
  const ended = status?.containerStatuses?.[0]?.state?.terminated;
  if (status?.phase === 'Succeeded') return { state: 'done' };
  if (status?.phase === 'Failed') {
    const message = ended?.message?.trim() || status.message || ended?.reason || status.reason || 'unknown reason';
    return {
      state: 'failed',
      message,
      endedMs: ended?.finishedAt ? Date.parse(ended.finishedAt) : createdMs(metadata),
    };
  }
  const deadline = createdMs(metadata) + (spec?.activeDeadlineSeconds ?? deadlineSeconds) * 1000;
  if (nowMs < deadline) return { state: 'busy' };
  const waiting = status?.containerStatuses?.[0]?.state?.waiting;
  const why = waiting?.reason ? ` (${waiting.reason}: ${waiting.message ?? ''})` : '';
  return { state: 'failed', message: `node ${spec?.nodeName} did not run the helper in time${why}`, endedMs: deadline };
}

const createdMs = (metadata: Pod['metadata']) => Date.parse(metadata?.creationTimestamp ?? '') || 0;
