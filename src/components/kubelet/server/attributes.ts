/** What a request to the kubelet is checked as: subresources of this node, the finer one first, nodes/proxy as the fallback. */

export interface RequestAttributes {
  verb: string;
  /** One of them suffices. */
  subresources: string[];
}

const verbs: Record<string, string> = { POST: 'create', GET: 'get', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

const coarse: [string, string][] = [
  ['/stats', 'stats'],
  ['/metrics', 'metrics'],
  ['/logs', 'log'],
  ['/checkpoint', 'checkpoint'],
  ['/statusz', 'statusz'],
  ['/flagz', 'flagz'],
];
const fine: [string, string][] = [
  ['/pods', 'pods'],
  ['/runningpods', 'pods'],
  ['/healthz', 'healthz'],
  ['/configz', 'configz'],
];

const isBelow = (path: string, parent: string): boolean => path === parent || path.startsWith(`${parent}/`);

export function attributesOf(method: string, path: string): RequestAttributes {
  const verb = verbs[method] ?? '';
  const direct = coarse.find(([parent]) => isBelow(path, parent));
  if (direct) return { verb, subresources: [direct[1]] };
  const finer = fine.find(([parent]) => isBelow(path, parent));
  return { verb, subresources: finer ? [finer[1], 'proxy'] : ['proxy'] };
}
