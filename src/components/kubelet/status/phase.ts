/** The phase of a pod from the states of its containers, as upstream's getPhase. */
import { isSidecar } from '../../../machinery/api/pod-resources.ts';
import type { ContainerStatus, Pod } from '../../../machinery/api/types.ts';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/**
 * @param statuses of all containers of the pod, init containers included
 * @param podIsTerminal the pod will not run anything again (deleted, evicted, or ended)
 * @param initialized all init containers have done their part once
 */
export function phaseOf(pod: Pod, statuses: ContainerStatus[], podIsTerminal: boolean, initialized: boolean): Phase {
  const { restartPolicy = 'Always', initContainers = [], containers = [] } = pod.spec ?? {};
  const statusOf = (name: string) => statuses.find((status) => status.name === name);
  let pendingInit = 0;
  let pendingSidecars = 0;
  let failedInit = 0;
  let unknown = 0;
  let running = 0;
  let waiting = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const container of initContainers) {
    const status = statusOf(container.name);
    const { state } = status ?? {};
    const last = status?.lastState?.terminated;
    if (isSidecar(container)) {
      if (!status) unknown += 1;
      else if (state?.running) {
        if (status.started !== true) pendingSidecars += 1;
        running += 1;
      } else if (state?.terminated) continue;
      else if (last) continue;
      else {
        pendingSidecars += 1;
        waiting += 1;
      }
      continue;
    }
    const ended = state?.terminated ?? (state?.running ? undefined : last);
    if (!ended) pendingInit += 1;
    else if (ended.exitCode !== 0) failedInit += 1;
  }
  for (const { name } of containers) {
    const { state, lastState } = statusOf(name) ?? {};
    if (state?.running) running += 1;
    else if (state?.terminated) {
      stopped += 1;
      if (state.terminated.exitCode === 0) succeeded += 1;
    } else if (state?.waiting) {
      if (lastState?.terminated) stopped += 1;
      else waiting += 1;
    } else unknown += 1;
  }
  if (failedInit > 0 && restartPolicy === 'Never') return 'Failed';
  if (pendingInit > 0 || failedInit > 0) return 'Pending';
  if (pendingSidecars > 0 && !initialized) return 'Pending';
  if (waiting > 0) return 'Pending';
  if (running > 0 && unknown === 0) return podIsTerminal && stopped === containers.length ? endedAs() : 'Running';
  if (running === 0 && stopped > 0 && unknown === 0) {
    if (podIsTerminal) return endedAs();
    if (restartPolicy === 'Always') return 'Running';
    if (stopped === succeeded) return 'Succeeded';
    return restartPolicy === 'Never' ? 'Failed' : 'Running';
  }
  return 'Pending';

  function endedAs(): Phase {
    return stopped === succeeded ? 'Succeeded' : 'Failed';
  }
}
