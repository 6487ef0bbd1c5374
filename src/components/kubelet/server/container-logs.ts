/** GET /containerLogs/{namespace}/{pod}/{container}. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { ContainerStatus, Pod, PodStatus } from '../../../machinery/api/types.ts';
import type { Runtime } from '../cri/runtime.ts';
import { type LogOptions, readLog } from '../logs/read.ts';
import type { KubeletView } from '../types.ts';
import { RequestError } from './streaming.ts';

export interface LogQuery extends LogOptions {
  previous: boolean;
}

/** @throws RequestError (422) as upstream's validation of PodLogOptions */
export function logQuery(query: URLSearchParams, now = new Date()): LogQuery {
  const on = (name: string) => ['1', 'true'].includes(query.get(name) ?? '');
  const wrong = () => new RequestError(422, '{"message": "Invalid request."}\n');
  const whole = (name: string, least: number): number | undefined => {
    const text = query.get(name);
    if (!text) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < least) throw wrong();
    return value;
  };
  // Upstream takes a number of lines that it cannot read for "all".
  const tail = query.get('tailLines');
  const tailLines = tail && /^\d+$/.test(tail) ? Number(tail) : undefined;
  if (tail && Number(tail) < 0) throw wrong();
  const limitBytes = whole('limitBytes', 1);
  const seconds = whole('sinceSeconds', 1);
  const sinceTime = query.get('sinceTime') || undefined;
  if ((seconds !== undefined && sinceTime) || (sinceTime && Number.isNaN(Date.parse(sinceTime)))) throw wrong();
  const since = seconds === undefined ? sinceTime : new Date(now.getTime() - seconds * 1000).toISOString();
  const stream = query.get('stream') || 'All';
  if (!['All', 'Stdout', 'Stderr'].includes(stream)) throw wrong();
  return {
    previous: on('previous'),
    follow: on('follow'),
    timestamps: on('timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(since ? { since } : {}),
    ...(stream === 'All' ? {} : { stream: stream.toLowerCase() as 'stdout' | 'stderr' }),
  };
}

/** The id of the container whose log is wanted, without its scheme; @throws RequestError with upstream's reason why there is none. */
export function loggedContainer(
  podName: string,
  status: PodStatus | undefined,
  name: string,
  previous: boolean,
): string {
  const all = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  const found = all.find((container) => container.name === name);
  const where = `container "${name}" in pod "${podName}"`;
  const outcome = found ? chooseContainer(found, where, previous) : { problem: `${where} is not available` };
  if ('problem' in outcome) throw new RequestError(400, outcome.problem);
  return outcome.id.replace(/^.*:\/\//, '');
}

function chooseContainer(
  found: ContainerStatus,
  where: string,
  previous: boolean,
): { id: string } | { problem: string } {
  const { waiting, running, terminated } = found.state ?? {};
  const lastId = found.lastState?.terminated?.containerID;
  if (previous) return lastId ? { id: lastId } : { problem: `previous terminated ${where} not found` };
  if (running) return { id: found.containerID ?? '' };
  const endedId = terminated?.containerID || lastId;
  if (endedId) return { id: endedId };
  if (terminated || found.lastState?.terminated) return { problem: `${where} is terminated` };
  if (!waiting) return { problem: `${where} is waiting to start - no logs yet` };
  const reasons: Record<string, string> = {
    ErrImagePull: "image can't be pulled",
    ImagePullBackOff: 'trying and failing to pull image',
  };
  return { problem: `${where} is waiting to start: ${reasons[waiting.reason ?? ''] ?? waiting.reason ?? ''}` };
}

function hasContainer({ spec }: Pod, name: string): boolean {
  const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])];
  return all.some((container) => container.name === name);
}

export async function serveContainerLogs(
  path: string,
  query: URLSearchParams,
  res: ServerResponse,
  view: KubeletView,
  runtime: Pick<Runtime, 'containerStatus'>,
): Promise<void> {
  const [, namespace = '', podName = '', name = ''] = path.split('/').filter(Boolean).map(decodeURIComponent);
  if (!podName) throw new RequestError(400, '{"message": "Missing podID."}\n');
  if (!name) throw new RequestError(400, '{"message": "Missing container name."}\n');
  const options = logQuery(query);
  const pod = view.pod(namespace, podName);
  if (!pod) throw new RequestError(404, `pod "${podName}" does not exist\n`);
  if (!hasContainer(pod, name)) throw new RequestError(404, `container "${name}" not found in pod "${podName}"\n`);
  const status = view.podStatus(pod.metadata?.uid ?? '') ?? pod.status;
  const containerId = loggedContainer(podName, status, name, options.previous);
  const stop = new AbortController();
  res.once('close', () => stop.abort());
  res.writeHead(200, { 'content-type': 'text/plain', 'x-content-type-options': 'nosniff' });
  res.flushHeaders();
  let logPath: string;
  try {
    ({ logPath } = await runtime.containerStatus(containerId));
  } catch {
    res.end(`unable to retrieve container logs for containerd://${containerId}`);
    return;
  }
  await readLog(logPath, options, {
    signal: stop.signal,
    async write(chunk) {
      if (!res.write(chunk) && !stop.signal.aborted) await once(res, 'drain', { signal: stop.signal });
    },
    async isRunning() {
      return (await runtime.containerStatus(containerId)).state === 'CONTAINER_RUNNING';
    },
  }).catch((error: NodeJS.ErrnoException) => {
    // The reader went away, or the container was removed while its log was followed.
    if (stop.signal.aborted || error.code === 'ENOENT' || error.name === 'RuntimeError') return;
    throw error;
  });
  res.end();
}
