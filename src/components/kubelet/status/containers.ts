/** What the runtime has of a pod → its container statuses, as upstream's convertToAPIContainerStatuses. */
import { isSidecar } from '../../../machinery/api/pod-resources.ts';
import { formatTime } from '../../../machinery/api/time.ts';
import type { Container, ContainerState, ContainerStatus, Pod } from '../../../machinery/api/types.ts';
import { isRestarted } from '../pods/containers.ts';
import type { ObservedContainer, ObservedPod } from '../pods/observed.ts';

export interface WaitingReason {
  reason: string;
  message: string;
}

export interface ContainerStatusInput {
  pod: Pod;
  observed: ObservedPod;
  /** Of the containers meant, from the last status. */
  previous: ContainerStatus[];
  containers: Container[];
  isInit: boolean;
  /** Why containers could not be started lately, by name. */
  waiting: ReadonlyMap<string, WaitingReason>;
  /** The runtime's name in ids: `containerd`. */
  runtimeName: string;
}

const timeOfNanos = (nanos: number): string | undefined =>
  nanos > 0 ? formatTime(new Date(Math.floor(nanos / 1e6))) : undefined;

/** What upstream says of a container that could not be started; `describe` shows it. */
const epoch = '1970-01-01T00:00:00Z';

export function containerStatuses(input: ContainerStatusInput): ContainerStatus[] {
  return input.containers
    .map((container) => statusOf(container, input))
    .sort((a, b) => (input.isInit ? 0 : a.name < b.name ? -1 : 1));
}

function statusOf(container: Container, input: ContainerStatusInput): ContainerStatus {
  const { pod, observed, previous, waiting, runtimeName } = input;
  const instances = observed.containers.filter(({ name }) => name === container.name);
  const old = previous.find(({ name }) => name === container.name);
  const notYet: ContainerState = {
    waiting: { reason: pod.spec?.initContainers?.length ? 'PodInitializing' : 'ContainerCreating' },
  };
  let status: ContainerStatus;
  const [current, before] = instances;
  if (!current) status = withoutInstance(container, pod, old, notYet);
  else {
    status = fromInstance(current, pod, container, runtimeName, notYet);
    const ended = before && before.state === 'CONTAINER_EXITED' ? stateOf(before, runtimeName, notYet) : undefined;
    if (ended) status.lastState = ended;
    else if (!before && old && old.containerID === status.containerID && old.lastState)
      status.lastState = old.lastState;
    else if (!before && old?.lastState && status.restartCount > 0) status.lastState = old.lastState;
  }
  const reason = waiting.get(container.name);
  const restarts =
    !current ||
    (current.state !== 'CONTAINER_RUNNING' &&
      isRestarted(pod, container, current.state === 'CONTAINER_EXITED' ? current.exitCode : undefined) &&
      !(input.isInit && !isSidecar(container) && current.state === 'CONTAINER_EXITED' && current.exitCode === 0));
  if (reason && restarts) {
    if (status.state?.terminated) status.lastState = { terminated: status.state.terminated };
    status.state = {
      waiting: { reason: reason.reason, ...(reason.message ? { message: reason.message } : {}) },
    };
  }
  return status;
}

function base(container: Container): ContainerStatus {
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: '',
    lastState: {},
    ready: false,
    restartCount: 0,
    started: false,
  };
}

/** The runtime has nothing of the container: it was not made yet, or was removed. */
function withoutInstance(
  container: Container,
  pod: Pod,
  old: ContainerStatus | undefined,
  notYet: ContainerState,
): ContainerStatus {
  if (!old) return { ...base(container), state: notYet };
  if (old.state?.terminated) return old;
  const status: ContainerStatus = {
    ...base(container),
    restartCount: old.restartCount,
    lastState: old.lastState ?? {},
    state: notYet,
  };
  if (!old.state?.running) return status;
  const lost = {
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was deleted.  The container used to be Running',
    // Nobody knows when: without a time kubectl shows the restart, and not that it was in 1970.
    exitCode: 137,
  };
  if (pod.metadata?.deletionTimestamp) return { ...status, state: { terminated: lost } };
  return { ...status, lastState: { terminated: lost }, restartCount: old.restartCount + 1 };
}

function fromInstance(
  instance: ObservedContainer,
  pod: Pod,
  container: Container,
  runtimeName: string,
  notYet: ContainerState,
): ContainerStatus {
  const linux = instance.user?.linux;
  const { requests, limits } = container.resources ?? {};
  const resources = { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) };
  const mounts = (container.volumeMounts ?? []).map((mount) => ({
    name: mount.name,
    mountPath: mount.mountPath,
    ...(mount.readOnly
      ? { readOnly: true, recursiveReadOnly: mount.recursiveReadOnly === 'Enabled' ? 'Enabled' : 'Disabled' }
      : {}),
  }));
  const exited = instance.state === 'CONTAINER_EXITED';
  return {
    ...base(container),
    image: instance.image.image || (container.image ?? ''),
    imageID: instance.imageRef,
    containerID: `${runtimeName}://${instance.id}`,
    restartCount: instance.restartCount,
    state: stateOf(instance, runtimeName, notYet),
    // An init container that has done its part is ready.
    ready: exited && instance.exitCode === 0 && isInitOf(pod, container) && !isSidecar(container),
    ...(requests && !exited ? { allocatedResources: requests } : {}),
    ...(exited ? {} : { resources }),
    ...(mounts.length ? { volumeMounts: mounts } : {}),
    ...(linux
      ? { user: { linux: { uid: linux.uid, gid: linux.gid, supplementalGroups: linux.supplementalGroups } } }
      : {}),
  };
}

const isInitOf = (pod: Pod, container: Container): boolean =>
  (pod.spec?.initContainers ?? []).some(({ name }) => name === container.name);

function stateOf(instance: ObservedContainer, runtimeName: string, notYet: ContainerState): ContainerState {
  switch (instance.state) {
    case 'CONTAINER_RUNNING': {
      const startedAt = timeOfNanos(instance.startedAt);
      return { running: startedAt ? { startedAt } : {} };
    }
    case 'CONTAINER_EXITED': {
      const finishedAt = timeOfNanos(instance.finishedAt);
      return {
        terminated: {
          containerID: `${runtimeName}://${instance.id}`,
          exitCode: instance.exitCode,
          reason: instance.reason,
          ...(instance.message ? { message: instance.message } : {}),
          startedAt: timeOfNanos(instance.startedAt) ?? epoch,
          ...(finishedAt ? { finishedAt } : {}),
        },
      };
    }
    default:
      return notYet;
  }
}
