/** Calls a webhook: at its URL, or at the cluster IP of its service under the service's name. */
import { Agent, request } from 'node:https';
import type { UnknownObject } from '../../../../machinery/api/types.ts';
import type { CacheReader } from '../../types.ts';
import type { ClientConfig } from './configuration.ts';

export interface Address {
  /** As errors print it. */
  url: URL;
  /** Where to connect, if that is not the URL's host. */
  host?: string;
  port?: number;
  /** Name in the webhook's certificate. */
  serverName?: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: 90_000 });
const bodyLimit = 8 * 1024 * 1024;

/** Throws an Error for a service that is not there. */
export function addressOf({ url, service }: ClientConfig, cache: CacheReader): Address {
  if (url) return { url: new URL(url) };
  if (!service) throw new Error('webhook client config must have either a url or a service');
  const { namespace, name, path = '', port = 443 } = service;
  const found = cache.get({ group: '', resource: 'services' }, namespace, name);
  if (!found) throw new Error(`service ${JSON.stringify(name)} not found`);
  const serverName = `${name}.${namespace}.svc`;
  const target = new URL(`https://${serverName}:${port}${path.startsWith('/') || !path ? path : `/${path}`}`);
  const { clusterIP, type, externalName, ports } = serviceSpec(found);
  if (type === 'ExternalName' && externalName) return { url: target, host: externalName, port, serverName };
  if (!clusterIP || clusterIP === 'None')
    throw new Error(`service ${JSON.stringify(name)} is not a service with a cluster IP`);
  if (!ports.some((one) => one.port === port))
    throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  return { url: target, host: clusterIP, port, serverName };
}

function serviceSpec(service: UnknownObject) {
  const spec = (service['spec'] ?? {}) as {
    clusterIP?: string;
    type?: string;
    externalName?: string;
    ports?: { port: number }[];
  };
  return { ...spec, ports: spec.ports ?? [] };
}

/** Posts JSON and answers the body of a 200. Throws Errors worded as Go's HTTP client words them. */
export async function post(address: Address, body: string, options: CallOptions): Promise<string> {
  try {
    return await postOnce(address, body, options);
  } catch (error) {
    // The webhook has closed a connection that was kept for it.
    if (error instanceof StaleConnectionError) return postOnce(address, body, options);
    throw error;
  }
}

interface CallOptions {
  caBundle?: string;
  timeoutSeconds: number;
}

class StaleConnectionError extends Error {}

function postOnce(
  { url, host, port, serverName }: Address,
  body: string,
  { caBundle, timeoutSeconds }: CallOptions,
): Promise<string> {
  url.searchParams.set('timeout', `${timeoutSeconds}s`);
  const failed = (why: string) => new Error(`failed to call webhook: Post ${JSON.stringify(url.href)}: ${why}`);
  return new Promise((resolve, reject) => {
    const deadline = AbortSignal.timeout(timeoutSeconds * 1000);
    const req = request(
      {
        agent,
        method: 'POST',
        host: host ?? url.hostname.replace(/^\[|\]$/g, ''),
        port: port ?? (url.port || 443),
        path: `${url.pathname}${url.search}`,
        ...(serverName ? { servername: serverName } : {}),
        ...(caBundle ? { ca: Buffer.from(caBundle, 'base64') } : {}),
        headers: {
          host: url.host,
          accept: 'application/json, */*',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': 'kube-apiserver-admission',
        },
        signal: deadline,
      },
      (res) => {
        const chunks: Buffer[] = [];
        let size = 0;
        res.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > bodyLimit) req.destroy(new Error('the answer is too large'));
          chunks.push(chunk);
        });
        res.once('error', (error) => reject(failed(error.message)));
        res.once('end', () => {
          if (res.statusCode === 200) resolve(Buffer.concat(chunks).toString());
          else
            reject(
              new Error(
                `failed to call webhook: the server responded with the status code ${res.statusCode} but did not return more information`,
              ),
            );
        });
      },
    );
    req.once('error', (error: NodeJS.ErrnoException) => {
      if (req.reusedSocket && error.code === 'ECONNRESET') reject(new StaleConnectionError(error.message));
      else if (deadline.aborted) reject(failed('context deadline exceeded'));
      else if (error.code === 'ECONNREFUSED')
        reject(failed(`dial tcp ${host ?? url.hostname}:${port ?? (url.port || 443)}: connect: connection refused`));
      else reject(failed(error.message));
    });
    req.end(body);
  });
}
