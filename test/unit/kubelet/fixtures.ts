/** Pods and what a runtime has of them, for tests. */

import type { PodSandboxStatus, RuntimeContainerState } from '../../../src/components/kubelet/cri/types.ts';
import { containerHash } from '../../../src/components/kubelet/pods/containers.ts';
import type { ObservedContainer, ObservedPod } from '../../../src/components/kubelet/pods/observed.ts';
import type { Container, Pod } from '../../../src/machinery/api/types.ts';

export const pod = (spec: Partial<NonNullable<Pod['spec']>> = {}, metadata: Pod['metadata'] = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', uid: 'u1', ...metadata },
  spec: { restartPolicy: 'Always', containers: [{ name: 'main', image: 'x:1' }], ...spec },
});

export const sandbox = (state: 'ready' | 'gone' = 'ready', attempt = 0): PodSandboxStatus => ({
  id: `s${attempt}`,
  metadata: { name: 'p', namespace: 'default', uid: 'u1', attempt },
  state: state === 'ready' ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY',
  createdAt: 1e18 + attempt,
  labels: {},
  annotations: {},
  runtimeHandler: '',
  network: { ip: '10.244.1.7', additionalIps: [] },
  linux: { namespaces: { options: { network: 'POD', pid: 'CONTAINER', ipc: 'POD' } } },
});

const at = (second: number) => Date.UTC(2026, 0, 1, 0, 0, second) * 1e6;

/** `running`, `created`, or the exit code of one that ended. */
export function instance(
  container: Container,
  state: 'running' | 'created' | 'unknown' | number,
  { attempt = 0, sandboxId = 's0', hash = containerHash(container) } = {},
): ObservedContainer {
  const ended = typeof state === 'number';
  const names: Record<string, RuntimeContainerState> = {
    running: 'CONTAINER_RUNNING',
    created: 'CONTAINER_CREATED',
    unknown: 'CONTAINER_UNKNOWN',
  };
  return {
    id: `${container.name}-${attempt}`,
    podSandboxId: sandboxId,
    name: container.name,
    restartCount: attempt,
    hash,
    metadata: { name: container.name, attempt },
    state: ended ? 'CONTAINER_EXITED' : (names[state] as RuntimeContainerState),
    createdAt: at(attempt * 10),
    startedAt: at(attempt * 10 + 1),
    finishedAt: ended ? at(attempt * 10 + 5) : 0,
    exitCode: ended ? state : 0,
    image: { image: container.image ?? '' },
    imageRef: 'sha256:abc',
    imageId: 'sha256:abc',
    reason: ended ? (state === 0 ? 'Completed' : 'Error') : '',
    message: '',
    labels: {},
    annotations: {},
    mounts: [],
    logPath: '',
    resources: null,
    user: null,
  };
}

export const observed = (sandboxes: PodSandboxStatus[], containers: ObservedContainer[]): ObservedPod => ({
  uid: 'u1',
  name: 'p',
  namespace: 'default',
  sandboxes,
  containers,
});
