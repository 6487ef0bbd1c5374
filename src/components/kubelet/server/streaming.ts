/** exec, attach and port-forward: the runtime answers where it serves the stream, and the client's connection is joined to it byte by byte. */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Runtime } from '../cri/runtime.ts';
import type { KubeletView } from '../types.ts';

/** An answer instead of a stream. */
export class RequestError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
  }
}

export interface StreamTarget {
  action: 'exec' | 'attach' | 'portForward' | 'run';
  namespace: string;
  podName: string;
  podUid?: string;
  container?: string;
}

const actions = ['exec', 'attach', 'portForward', 'run'] as const;

/** /exec/{namespace}/{pod}[/{uid}]/{container}, the same for attach and run; /portForward/{namespace}/{pod}[/{uid}]. */
export function streamTarget(path: string): StreamTarget | undefined {
  const [name, namespace, podName, ...rest] = path.split('/').filter(Boolean).map(decodeURIComponent);
  const action = actions.find((known) => known === name);
  if (!action || !namespace || !podName) return undefined;
  const wanted = action === 'portForward' ? 0 : 1;
  if (rest.length !== wanted && rest.length !== wanted + 1) return undefined;
  const podUid = rest.length > wanted ? rest[0] : undefined;
  const container = wanted ? rest.at(-1) : undefined;
  return { action, namespace, podName, ...(podUid ? { podUid } : {}), ...(container ? { container } : {}) };
}

/** Asks the runtime for the address of the stream. */
export async function streamUrl(
  target: StreamTarget,
  query: URLSearchParams,
  view: KubeletView,
  runtime: Pick<Runtime, 'exec' | 'attach' | 'portForward'>,
): Promise<URL> {
  const pod = view.pod(target.namespace, target.podName);
  const uid = pod?.metadata?.uid;
  if (!pod || !uid || (target.podUid && target.podUid !== uid)) throw new RequestError(404, 'pod does not exist');
  if (target.action === 'portForward') {
    const sandbox = view.sandboxId(uid);
    if (!sandbox) throw new RequestError(500, `sandbox of pod ${target.podName}_${target.namespace} not found`);
    const ports = query
      .getAll('port')
      .flatMap((text) => text.split(','))
      .map(Number);
    return new URL(await runtime.portForward(sandbox, ports));
  }
  const containerId = runningContainer(target, uid, view);
  const streams = streamsOf(query);
  if (target.action === 'attach') {
    // Whether there is a terminal was decided when the container started.
    const all = [
      ...(pod.spec?.containers ?? []),
      ...(pod.spec?.initContainers ?? []),
      ...(pod.spec?.ephemeralContainers ?? []),
    ];
    const tty = Boolean(all.find(({ name }) => name === target.container)?.tty);
    return new URL(await runtime.attach({ containerId, ...streams, tty, stderr: streams.stderr && !tty }));
  }
  return new URL(await runtime.exec({ containerId, cmd: query.getAll('command'), ...streams }));
}

export function runningContainer(target: StreamTarget, podUid: string, view: KubeletView): string {
  const id = view.containerId(podUid, target.container ?? '');
  if (!id) throw new RequestError(500, `container not found (${JSON.stringify(target.container)})`);
  return id;
}

function streamsOf(query: URLSearchParams): { stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean } {
  const on = (name: string) => query.get(name) === '1' || query.get(name) === 'true';
  const streams = { stdin: on('input'), stdout: on('output'), stderr: on('error'), tty: on('tty') };
  if (streams.tty) streams.stderr = false;
  if (!streams.stdin && !streams.stdout && !streams.stderr)
    throw new RequestError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  return streams;
}

/** Passes the request on as it came, and then everything in both directions. Resolves when connected. */
export function joinStream(req: IncomingMessage, client: Duplex, head: Buffer, url: URL): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const backend: Socket = connect({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port),
    allowHalfOpen: true,
  });
  let joined = false;
  backend.once('connect', () => {
    joined = true;
    backend.setNoDelay(true);
    backend.setKeepAlive(true, 30_000);
    (client as Partial<Socket>).setTimeout?.(0);
    (client as Partial<Socket>).setNoDelay?.(true);
    backend.write(requestHead(req, url));
    if (head.length > 0) backend.write(head);
    backend.pipe(client);
    client.pipe(backend);
    resolve();
  });
  const endBoth = () => {
    backend.destroy();
    client.destroy();
  };
  backend.on('error', (error) => {
    reject(new RequestError(502, `error dialing backend: ${error.message}`));
    if (joined) endBoth();
  });
  backend.on('close', (hadError) => (hadError ? undefined : client.end()));
  client.on('error', endBoth);
  client.on('close', () => backend.destroy());
  return promise;
}

function requestHead(req: IncomingMessage, url: URL): string {
  const lines = [`${req.method} ${url.pathname}${url.search} HTTP/1.1`];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] ?? '';
    // Credentials are the kubelet's business alone.
    if (name.toLowerCase() !== 'authorization') lines.push(`${name}: ${req.rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
