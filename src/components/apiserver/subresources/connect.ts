/** What log, exec, attach, portforward and proxy share: finding the object, asking admission, and answering. */
import type { Pod, UnknownObject } from '../../../machinery/api/types.ts';
import type { AdmissionChain } from '../admission/chain.ts';
import { notFound } from '../errors.ts';
import type {
  AdmissionAttributes,
  ApiRegistry,
  CacheReader,
  GroupResource,
  LoopbackClient,
  RequestContext,
} from '../types.ts';
import type { KubeletConnection } from './kubelet-connection.ts';

export interface ConnectDeps {
  registry: ApiRegistry;
  cache: CacheReader;
  loopback: LoopbackClient;
  admission: AdmissionChain;
  kubelet: KubeletConnection;
}

/** From the cache, or from etcd when the cache has not heard of it yet. Throws 404. */
export async function findOrThrow(
  { cache, loopback }: Pick<ConnectDeps, 'cache' | 'loopback'>,
  resource: GroupResource,
  namespace: string,
  name: string,
): Promise<UnknownObject> {
  const found = cache.get(resource, namespace, name) ?? (await loopback.get(resource, namespace, name));
  if (!found) throw notFound(resource.group, resource.resource, name);
  return found;
}

/** The pod that the request names. A pod that the cache knows without a node is read again: it may just have been bound. */
export async function podOfRequest(deps: Pick<ConnectDeps, 'cache' | 'loopback'>, ctx: RequestContext): Promise<Pod> {
  const { namespace, name } = ctx.info;
  const pods = { group: '', resource: 'pods' };
  const cached = deps.cache.get(pods, namespace, name) as Pod | undefined;
  if (cached?.spec?.nodeName) return cached;
  const found = await deps.loopback.get(pods, namespace, name);
  if (!found) throw notFound('', 'pods', name);
  return found as Pod;
}

/** CONNECT admission, with the options of the request as its object. */
export async function admitConnect(deps: ConnectDeps, ctx: RequestContext, optionsKind: string): Promise<void> {
  const { info, url, user } = ctx;
  const descriptor = deps.registry.find(info.apiGroup, info.apiVersion, info.resource);
  if (!descriptor) throw notFound(info.apiGroup, info.resource, info.name);
  const attributes: AdmissionAttributes = {
    operation: 'CONNECT',
    descriptor,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name,
    object: { kind: optionsKind, apiVersion: 'v1', ...Object.fromEntries(url.searchParams) },
    options: {},
    dryRun: false,
    user,
    warn: (text) => ctx.warn(text),
  };
  await deps.admission.admit(attributes);
  await deps.admission.validate(attributes);
}
