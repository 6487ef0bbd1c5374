/** Asks an aggregated server for its resources: that it answers is what "available" means. */
import { request } from 'node:https';
import { isObject, type JsonObject } from '../../../machinery/api/json.ts';
import { connectionError } from '../subresources/upstream-error.ts';
import type { RemoteResource } from '../types.ts';
import type { ApiService, ApiServiceCondition } from './api-service.ts';
import { type Destination, pick } from './destination.ts';
import { remoteUrl, remoteUserHeaders, type ServerIdentity } from './front-proxy.ts';

export interface Probe {
  condition: ApiServiceCondition;
  /** What it says it serves. */
  resources?: RemoteResource[];
}

/** A connection that is not there soon is tried anew: the service's rules may just be coming. */
const connectMs = 1_500;
const timeoutMs = 5_000;
const attempts = 3;
const maxBytes = 4 * 1024 * 1024;
/** Whom aggregated servers see asking. */
const aggregator = { name: 'system:kube-aggregator', groups: ['system:masters'] };

/** Any one good answer is enough. */
export async function probe(service: ApiService, destinations: Destination[], tls: ServerIdentity): Promise<Probe> {
  const { group = '', version = '' } = service.spec ?? {};
  let message = 'no address';
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const destination = pick(destinations);
    if (!destination) break;
    const url = remoteUrl(destination, `/apis/${group}/${version}`);
    try {
      const { status, body } = await get(url, tls);
      if (status >= 200 && status < 300)
        return {
          condition: { type: 'Available', status: 'True', reason: 'Passed', message: 'all checks passed' },
          resources: remoteResources(body, group, version),
        };
      message = `bad status from ${url.href}: ${status}`;
    } catch (error) {
      message = (error as Error).message;
    }
    message = `failing or missing response from ${url.href}: ${message}`;
  }
  return { condition: { type: 'Available', status: 'False', reason: 'FailedDiscoveryCheck', message } };
}

function get(url: URL, tls: ServerIdentity): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/json', 'user-agent': 'kube-aggregator', ...remoteUserHeaders(aggregator) };
    const late = Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' });
    const fail = (error: Error) => reject(connectionError('GET', url, error));
    const req = request(url, { ...tls, agent: false, headers }, (res) => {
      const chunks: Buffer[] = [];
      let size = 0;
      res.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) req.destroy(new Error('the answer is too large'));
        chunks.push(chunk);
      });
      res.once('error', fail);
      res.once('end', () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    const timer = setTimeout(() => req.destroy(late), timeoutMs);
    const connecting = setTimeout(() => req.destroy(late), connectMs);
    req.once('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)));
    req.once('close', () => {
      clearTimeout(timer);
      clearTimeout(connecting);
    });
    req.once('error', fail);
    req.end();
  });
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];

/** An APIResourceList in the form of aggregated discovery. Throws for anything else. */
export function remoteResources(body: string, group: string, version: string): RemoteResource[] {
  const list = JSON.parse(body) as unknown;
  if (!isObject(list) || !Array.isArray(list['resources'])) throw new Error('the answer is no APIResourceList');
  const all = list['resources'].filter(isObject);
  const responseKind = (found: JsonObject) => ({
    group: text(found['group']) || group,
    version: text(found['version']) || version,
    kind: text(found['kind']),
  });
  return all
    .filter(({ name }) => text(name) && !text(name).includes('/'))
    .map((found) => {
      const name = text(found['name']);
      const subresources = all
        .filter((other) => text(other['name']).startsWith(`${name}/`))
        .map((other) => ({
          subresource: text(other['name']).slice(name.length + 1),
          responseKind: responseKind(other),
          verbs: texts(other['verbs']),
        }));
      const [shortNames, categories] = [texts(found['shortNames']), texts(found['categories'])];
      return {
        resource: name,
        responseKind: responseKind(found),
        scope: found['namespaced'] === true ? 'Namespaced' : 'Cluster',
        singularResource: text(found['singularName']),
        verbs: texts(found['verbs']),
        ...(shortNames.length ? { shortNames } : {}),
        ...(categories.length ? { categories } : {}),
        ...(subresources.length ? { subresources } : {}),
      };
    });
}
