/** From a request for a pod's log, exec, attach or portforward to the kubelet's path, after the checks that upstream makes. Pure. */
import type { Pod } from '../../../machinery/api/types.ts';
import { badRequest, type FieldError, invalid } from '../errors.ts';

type StreamKind = 'exec' | 'attach';

/** The container to speak to. Throws 400 when it is not clear or not there. */
export function chooseContainer(pod: Pod, wanted: string): string {
  const names = (list: { name: string }[] | undefined) => (list ?? []).map(({ name }) => name);
  const regular = names(pod.spec?.containers);
  const init = names(pod.spec?.initContainers);
  const ephemeral = names(pod.spec?.ephemeralContainers);
  const podName = pod.metadata?.name ?? '';
  if (wanted) {
    if ([...regular, ...init, ...ephemeral].includes(wanted)) return wanted;
    throw badRequest(`container ${wanted} is not valid for pod ${podName}`);
  }
  const [only] = regular;
  if (only !== undefined && regular.length === 1) return only;
  let message = `a container name must be specified for pod ${podName}`;
  if (regular.length > 1) {
    message += `, choose one of: [${regular.join(' ')}]`;
    if (init.length) message += ` or one of the init containers: [${init.join(' ')}]`;
    if (ephemeral.length) message += ` or one of the ephemeral containers: [${ephemeral.join(' ')}]`;
  }
  throw badRequest(message);
}

const podPath = (kind: string, pod: Pod, container?: string) =>
  ['', kind, pod.metadata?.namespace ?? '', pod.metadata?.name ?? '', ...(container ? [container] : [])]
    .map(encodeURIComponent)
    .join('/');

const isTrue = (value: string | null) => value !== null && ['true', '1', 't', 'T', 'TRUE', 'True', ''].includes(value);

/** `/containerLogs/…`; undefined when the pod has no node yet: its log is empty. */
export function logPath(pod: Pod, query: URLSearchParams): string | undefined {
  const errors: FieldError[] = [];
  for (const [field, least] of [
    ['tailLines', 0],
    ['limitBytes', 1],
    ['sinceSeconds', 1],
  ] as const) {
    const value = query.get(field);
    if (value !== null && Number(value) < least)
      errors.push({
        type: 'FieldValueInvalid',
        field,
        message: `Invalid value: ${value}: must be greater than ${least === 0 ? 'or equal to 0' : '0'}`,
      });
  }
  if (query.has('sinceSeconds') && query.has('sinceTime'))
    errors.push({
      type: 'FieldValueForbidden',
      field: '',
      message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    });
  if (errors.length) throw invalid('', 'PodLogOptions', pod.metadata?.name ?? '', errors);
  const container = chooseContainer(pod, query.get('container') ?? '');
  if (!pod.spec?.nodeName) return undefined;
  const params = new URLSearchParams();
  for (const flag of ['follow', 'previous', 'timestamps']) if (isTrue(query.get(flag))) params.set(flag, 'true');
  for (const field of ['sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes', 'stream']) {
    const value = query.get(field);
    if (value) params.set(field, value);
  }
  return withQuery(podPath('containerLogs', pod, container), params);
}

/** Which streams a client asked for. */
export interface StreamOptions {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export function streamOptions(query: URLSearchParams): StreamOptions {
  // As conversion of PodExecOptions defaults them: a client that says nothing gets no stream at all.
  const flag = (name: string) => query.has(name) && isTrue(query.get(name));
  const options = { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr'), tty: flag('tty') };
  if (!options.stdin && !options.stdout && !options.stderr)
    throw badRequest('you must specify at least one of stdin, stdout, stderr');
  return options;
}

/** `/exec/…` or `/attach/…`. */
export function streamPath(kind: StreamKind, pod: Pod, query: URLSearchParams): string {
  const container = chooseContainer(pod, query.get('container') ?? '');
  requireNode(pod);
  const { stdin, stdout, stderr, tty } = streamOptions(query);
  const params = new URLSearchParams();
  if (stdin) params.set('input', '1');
  if (stdout) params.set('output', '1');
  if (stderr) params.set('error', '1');
  if (tty) params.set('tty', '1');
  if (kind === 'exec') for (const part of query.getAll('command')) params.append('command', part);
  return withQuery(podPath(kind, pod, container), params);
}

export function portForwardPath(pod: Pod, query: URLSearchParams): string {
  requireNode(pod);
  const params = new URLSearchParams();
  const ports = query.getAll('ports').flatMap((text) => text.split(','));
  if (ports.length) params.set('port', ports.join(','));
  return withQuery(podPath('portForward', pod), params);
}

function requireNode(pod: Pod): void {
  if (!pod.spec?.nodeName) throw badRequest(`pod ${pod.metadata?.name} does not have a host assigned`);
}

/** Sorted by name, as Go writes queries. */
function withQuery(path: string, params: URLSearchParams): string {
  params.sort();
  return params.size ? `${path}?${params}` : path;
}
