/** Container of a pod → the configuration that the runtime makes it from. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod } from '../../../machinery/api/types.ts';
import { annotations, labels } from '../cri/labels.ts';
import type { ContainerConfig, LinuxContainerSecurityContext, Mount } from '../cri/types.ts';
import { expandAll } from '../environment/expand.ts';
import { containerHash } from './containers.ts';
import { containerResources, type ResourceSettings } from './resources.ts';
import { podLogFolder } from './sandbox-config.ts';
import { containerSecurity, type SecuritySettings } from './security.ts';

export interface ContainerInput {
  pod: Pod;
  container: Container;
  restartCount: number;
  /** What was asked for, and the id that the pull answered. */
  image: { image: string; id: string };
  imageUser: { uid?: number; username: string };
  environment: { name: string; value: string }[];
  mounts: Mount[];
  podLogsDir: string;
  resources: ResourceSettings;
  security: SecuritySettings;
  /** The container whose processes an ephemeral one shares. */
  targetId?: string;
}

export function containerConfig(input: ContainerInput): ContainerConfig {
  const { pod, container, restartCount, image } = input;
  const command = container.command && expandAll(container.command, input.environment);
  const args = container.args && expandAll(container.args, input.environment);
  const tty = container.tty === true;
  return {
    metadata: { name: container.name, attempt: restartCount },
    image: { image: image.id, userSpecifiedImage: image.image },
    ...(command ? { command } : {}),
    ...(args ? { args } : {}),
    ...(container.workingDir ? { workingDir: container.workingDir } : {}),
    envs: input.environment.map(({ name, value }) => ({ key: name, value: Buffer.from(value) })),
    mounts: input.mounts,
    labels: {
      [labels.podName]: pod.metadata?.name ?? '',
      [labels.podNamespace]: pod.metadata?.namespace ?? '',
      [labels.podUid]: pod.metadata?.uid ?? '',
      [labels.containerName]: container.name,
    },
    annotations: containerAnnotations(pod, container, restartCount),
    logPath: join(container.name, `${restartCount}.log`),
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty,
    linux: {
      resources: containerResources(pod, container, input.resources),
      securityContext: withTarget(containerSecurity(pod, container, input.imageUser, input.security), input.targetId),
    },
    ...(container.lifecycle?.stopSignal ? { stopSignal: container.lifecycle.stopSignal } : {}),
  };
}

const withTarget = (
  context: LinuxContainerSecurityContext,
  targetId: string | undefined,
): LinuxContainerSecurityContext =>
  targetId === undefined
    ? context
    : { ...context, namespaceOptions: { ...context.namespaceOptions, pid: 'TARGET', targetId } };

/** What a later kubelet needs to know of the container without the pod's object. */
function containerAnnotations(pod: Pod, container: Container, restartCount: number): Record<string, string> {
  const { deletionGracePeriodSeconds } = pod.metadata ?? {};
  const { terminationGracePeriodSeconds } = pod.spec ?? {};
  return {
    [annotations.containerHash]: containerHash(container),
    [annotations.restartCount]: String(restartCount),
    [annotations.terminationMessagePath]: container.terminationMessagePath ?? '/dev/termination-log',
    [annotations.terminationMessagePolicy]: container.terminationMessagePolicy ?? 'File',
    ...(deletionGracePeriodSeconds === undefined
      ? {}
      : { [annotations.podDeletionGracePeriod]: String(deletionGracePeriodSeconds) }),
    ...(terminationGracePeriodSeconds === undefined
      ? {}
      : { [annotations.podTerminationGracePeriod]: String(terminationGracePeriodSeconds) }),
    ...(container.lifecycle?.preStop
      ? { [annotations.preStopHandler]: JSON.stringify(container.lifecycle.preStop) }
      : {}),
    ...(container.ports?.length ? { [annotations.containerPorts]: JSON.stringify(container.ports) } : {}),
  };
}

/** The runtime makes the log file, but not its folder. */
export async function makeLogFolder(podLogsDir: string, pod: Pod, container: Container): Promise<void> {
  await mkdir(join(podLogFolder(podLogsDir, pod), container.name), { recursive: true, mode: 0o755 });
}
