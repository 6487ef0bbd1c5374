/** Serves metrics.k8s.io/v1beta1: the usage of nodes and pods, by name, by namespace, by labels. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatQuantity, quantityOf } from '../../machinery/api/quantity.ts';
import { matchesFields, matchesSelector, parseFieldSelector, parseSelector } from '../../machinery/api/selectors.ts';
import { formatDuration, formatTime } from '../../machinery/api/time.ts';
import type { KubeObject, UnknownObject } from '../../machinery/api/types.ts';
import type { Store } from '../../machinery/informer/types.ts';
import type { ResourceAttributes } from '../../machinery/serving/delegated-auth.ts';
import { discoveryDocument, group, groupVersion, version } from './documents.ts';
import type { NodeUsage, PodUsage, Usage, UsageStore } from './usage.ts';

export interface MetricsApiDeps {
  usage: UsageStore;
  nodes: Store<KubeObject>;
  pods: Store<KubeObject>;
}

interface Asked {
  resource: 'nodes' | 'pods';
  namespace: string;
  name: string;
  verb: 'get' | 'list';
}

/** undefined: not a path of nodes or pods. */
function asked(path: string): Asked | undefined {
  const parts = path.split('/').filter(Boolean).slice(3).map(decode);
  if (!path.startsWith(`/apis/${groupVersion}/`)) return undefined;
  const namespace = parts[0] === 'namespaces' ? (parts[1] ?? '') : '';
  const [resource, name = '', ...more] = namespace ? parts.slice(2) : parts;
  if (more.length || (resource !== 'nodes' && resource !== 'pods')) return undefined;
  if ((resource === 'nodes' && namespace) || (resource === 'pods' && name && !namespace)) return undefined;
  return { resource, namespace, name, verb: name ? 'get' : 'list' };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not encoded: as it is.
    return segment;
  }
}

/** What the authorizer is asked about a request. */
export function resourceAttributes({ url = '/' }: IncomingMessage): ResourceAttributes | undefined {
  const found = asked(new URL(url, 'http://localhost').pathname);
  if (!found) return undefined;
  const { resource, namespace, name, verb } = found;
  return { group, version, resource, verb, ...(namespace ? { namespace } : {}), ...(name ? { name } : {}) };
}

class Refusal extends Error {
  readonly code: number;
  readonly reason: string;
  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** Answers false for paths that are none of the API's. */
export function createMetricsApi(
  deps: MetricsApiDeps,
): (req: IncomingMessage, res: ServerResponse) => Promise<boolean> {
  return async (req, res) => {
    const url = new URL(req.url ?? '/', 'http://localhost');
    const document = discoveryDocument(url.pathname);
    const about = asked(url.pathname);
    if (!document && !about) return false;
    try {
      if (req.method !== 'GET' && req.method !== 'HEAD')
        throw new Refusal(405, 'MethodNotAllowed', `${req.method} is not supported: metrics are read only`);
      write(req, res, 200, document ?? answer(deps, about as Asked, url.searchParams));
    } catch (error) {
      const { code, reason } = error instanceof Refusal ? error : { code: 400, reason: 'BadRequest' };
      const { message } = error as Error;
      write(req, res, code, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message,
        reason,
        code,
      });
    }
    return true;
  };
}

function write(req: IncomingMessage, res: ServerResponse, code: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  res.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  res.end(req.method === 'HEAD' ? undefined : text);
}

function answer(deps: MetricsApiDeps, about: Asked, query: URLSearchParams): UnknownObject {
  if (!['', 'false', '0'].includes(query.get('watch') ?? ''))
    throw new Refusal(
      405,
      'MethodNotAllowed',
      `watch is not supported on resources of kind "${about.resource}.${group}"`,
    );
  const { resource, namespace, name } = about;
  const { store, kind, read }: { store: Store<KubeObject>; kind: string; read: Read } =
    resource === 'nodes'
      ? { store: deps.nodes, kind: 'NodeMetrics', read: nodeMetrics(deps) }
      : { store: deps.pods, kind: 'PodMetrics', read: podMetrics(deps) };
  if (name) {
    const key = namespace ? `${namespace}/${name}` : name;
    const object = store.get(key);
    const found = object && read(object);
    if (!found) throw new Refusal(404, 'NotFound', `${kind.toLowerCase()}.${group} ${JSON.stringify(key)} not found`);
    return { kind, apiVersion: groupVersion, ...found };
  }
  const labels = parseSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  const items = store
    .list()
    .filter(({ metadata }) => !namespace || metadata?.namespace === namespace)
    .filter(({ metadata }) => matchesSelector(labels, metadata?.labels))
    .filter((object) => matchesFields(fields, (field) => fieldOf(object, field)))
    .map(read)
    .filter((found) => found !== undefined)
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return { kind: `${kind}List`, apiVersion: groupVersion, metadata: {}, items };
}

function fieldOf({ metadata }: KubeObject, field: string): string | undefined {
  if (field === 'metadata.name') return metadata?.name;
  if (field === 'metadata.namespace') return metadata?.namespace;
  throw new Refusal(400, 'BadRequest', `field label not supported: ${field}`);
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;

/** undefined: nothing is known of it (yet). */
type Read = (object: KubeObject) => UnknownObject | undefined;

const nodeMetrics =
  ({ usage }: MetricsApiDeps): Read =>
  (node) => {
    const found = usage.node(node.metadata?.name ?? '');
    return found && { ...described(node, found), usage: quantities(found.usage) };
  };

const podMetrics =
  ({ usage }: MetricsApiDeps): Read =>
  (pod) => {
    const found = usage.pod(pod.metadata?.namespace ?? '', pod.metadata?.name ?? '');
    const containers = found?.containers.map(({ name, usage: one }) => ({ name, usage: quantities(one) }));
    return found && { ...described(pod, found), containers };
  };

function described({ metadata }: KubeObject, { time, windowMs }: NodeUsage | PodUsage): UnknownObject {
  const { name, namespace, labels } = metadata ?? {};
  return {
    metadata: {
      ...(name ? { name } : {}),
      ...(namespace ? { namespace } : {}),
      creationTimestamp: formatTime() as never,
      ...(labels ? { labels } : {}),
    },
    timestamp: formatTime(new Date(time)),
    window: formatDuration(windowMs),
  };
}

const quantities = ({ nanoCores, memoryBytes }: Usage) => ({
  cpu: formatQuantity({ nano: BigInt(nanoCores), format: 'DecimalSI' }),
  memory: formatQuantity(quantityOf(memoryBytes, 'BinarySI')),
});
