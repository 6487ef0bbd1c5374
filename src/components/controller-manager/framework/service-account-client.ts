/**
 * Clients that act as a controller's own service account (`--use-service-account-credentials`). The token is asked for with
 * the first call, renewed when it gets old, and asked for again after it was refused; until there is one, the shared client works.
 */
import type { KubeObject, TokenRequest, WatchEvent } from '../../../machinery/api/types.ts';
import { createClient } from '../../../machinery/client/client.ts';
import { isAlreadyExists, isNotFound, isUnauthorized } from '../../../machinery/client/errors.ts';
import { serviceAccounts } from '../../../machinery/client/resources.ts';
import type { Client, ResourceClient, ResourceType, RestConfig } from '../../../machinery/client/types.ts';

const namespace = 'kube-system';
const tokenSeconds = 3600;
/** After a token could not be had, the shared client is used this long. */
const retryMs = 10_000;

export function serviceAccountClient(
  shared: Client,
  serviceAccount: string,
  onError: (message: string) => void = () => undefined,
): Client {
  let token: string | undefined;
  let renewAt = 0;
  let asking: Promise<void> | undefined;
  const { server, caData, caFile, tlsServerName, insecureSkipTlsVerify } = shared.config;
  const config: RestConfig = {
    server,
    ...(caData ? { caData } : {}),
    ...(caFile ? { caFile } : {}),
    ...(tlsServerName ? { tlsServerName } : {}),
    ...(insecureSkipTlsVerify ? { insecureSkipTlsVerify } : {}),
    userAgent: `${shared.config.userAgent ?? 'kube-controller-manager'}/system:serviceaccount:${namespace}:${serviceAccount}`,
    // Read with every request, so that a renewed token counts at once.
    get token() {
      return token ?? '';
    },
  };
  const own = createClient(config);

  const ask = async () => {
    try {
      const granted = await requestToken(shared, serviceAccount);
      token = granted;
      renewAt = Date.now() + tokenSeconds * 800;
    } catch (error) {
      renewAt = Date.now() + retryMs;
      onError(`no token for service account ${namespace}/${serviceAccount}: ${(error as Error).message}`);
    } finally {
      asking = undefined;
    }
  };

  const current = async (): Promise<Client> => {
    if (Date.now() >= renewAt) {
      asking ??= ask();
      await asking;
    }
    return token ? own : shared;
  };

  const run = async <R>(act: (client: Client) => Promise<R>): Promise<R> => {
    try {
      return await act(await current());
    } catch (error) {
      if (!isUnauthorized(error) || !token) throw error;
      token = undefined;
      renewAt = 0;
      return act(await current());
    }
  };

  const resource = <T extends KubeObject>(type: ResourceType<T>): ResourceClient<T> => {
    async function* watch(...[options]: Parameters<ResourceClient<T>['watch']>): AsyncGenerator<WatchEvent<T>> {
      yield* (await current()).resource(type).watch(options);
    }
    return {
      get: (...args) => run((client) => client.resource(type).get(...args)),
      find: (...args) => run((client) => client.resource(type).find(...args)),
      list: (...args) => run((client) => client.resource(type).list(...args)),
      watch,
      create: (...args) => run((client) => client.resource(type).create(...args)),
      createSubresource: <R>(...args: Parameters<ResourceClient<T>['createSubresource']>) =>
        run((client) => client.resource(type).createSubresource<R>(...args)),
      update: (...args) => run((client) => client.resource(type).update(...args)),
      updateStatus: (...args) => run((client) => client.resource(type).updateStatus(...args)),
      patch: (...args) => run((client) => client.resource(type).patch(...args)),
      delete: (...args) => run((client) => client.resource(type).delete(...args)),
      deleteCollection: (...args) => run((client) => client.resource(type).deleteCollection(...args)),
    };
  };

  return {
    config,
    resource,
    dynamic: (type) => resource(type),
    raw: async (...args) => {
      const response = await (await current()).raw(...args);
      if (response.status !== 401 || !token) return response;
      token = undefined;
      renewAt = 0;
      return (await current()).raw(...args);
    },
    close: () => own.close(),
  };
}

async function requestToken(shared: Client, name: string): Promise<string> {
  const accounts = shared.resource(serviceAccounts);
  const request = () =>
    accounts.createSubresource<TokenRequest>({ namespace, name }, 'token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: tokenSeconds, audiences: [] },
    });
  let granted: TokenRequest;
  try {
    granted = await request();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await accounts.create({ metadata: { namespace, name } }).catch((failure: unknown) => {
      if (!isAlreadyExists(failure)) throw failure;
    });
    granted = await request();
  }
  if (!granted.status?.token) throw new Error('the API server answered no token');
  return granted.status.token;
}
