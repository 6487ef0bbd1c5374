/**
 * Groups and versions that other servers answer for: requests are passed on to the service of their APIService, and whether it
 * answers is found out now and then and told in its condition.
 */
import { isDeepStrictEqual } from 'node:util';
import { isConditionTrue } from '../../../machinery/api/conditions.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { coalesce } from '../../../machinery/process/coalesce.ts';
import { StatusError, serviceUnavailable } from '../errors.ts';
import type { ApiRegistry, CacheReader, LoopbackClient, RemoteResource, RequestContext } from '../types.ts';
import {
  type ApiService,
  type ApiServiceCondition,
  apiServiceName,
  apiServices,
  asApiService,
  localAvailability,
  withAvailability,
} from './api-service.ts';
import { syncAutomatic } from './automatic.ts';
import { backendOf, pick } from './destination.ts';
import { forward } from './forward.ts';
import { type FrontProxyOptions, frontProxyTls } from './front-proxy.ts';
import { type Probe, probe } from './probe.ts';

export interface AggregationDeps {
  registry: ApiRegistry;
  cache: CacheReader;
  loopback: LoopbackClient;
  log: Logger;
}

export interface AggregationOptions extends FrontProxyOptions {
  /** `--enable-aggregator-routing`. */
  routing: boolean;
}

export interface Aggregation {
  /** Answers the request if it is for another server; false: it is for this one. */
  serve(ctx: RequestContext): Promise<boolean>;
  /** Follows the APIServices until the signal fires. */
  start(signal: AbortSignal): void;
}

const checkEveryMs = 15_000;
const soonMs = 100;
/** One that does not answer may be about to. */
const retryMs = 3_000;

export function createAggregation(
  { certFile, keyFile, routing }: AggregationOptions,
  { registry, cache, loopback, log }: AggregationDeps,
): Aggregation {
  const tls = frontProxyTls({ certFile, keyFile });
  /** The APIServices that name a service. */
  const remote = new Map<string, ApiService>();
  /** What each of them listed last. */
  const listed = new Map<string, RemoteResource[]>();

  const follow = (type: string, object: UnknownObject) => {
    const service = asApiService(object);
    const name = service.metadata?.name ?? '';
    if (type !== 'DELETED' && service.spec?.service) remote.set(name, service);
    else remote.delete(name);
  };

  async function tell(service: ApiService, condition: ApiServiceCondition): Promise<void> {
    if (!withAvailability(service, condition)) return;
    const change = (current: UnknownObject) => {
      // It may have become another server's meanwhile: then it is looked at again anyway.
      if (!isDeepStrictEqual(asApiService(current).spec, service.spec)) return undefined;
      const status = withAvailability(asApiService(current), condition);
      return status && { ...current, status };
    };
    try {
      await loopback.update(apiServices, '', service.metadata?.name ?? '', change, 'status');
      log.info(
        { apiService: service.metadata?.name, ...condition },
        'availability of an aggregated API server changed',
      );
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 404) throw error;
    }
  }

  /** Discovery lists them all; those that do not answer with what they said last. */
  function publish(conditions: Map<string, boolean>): void {
    for (const name of listed.keys()) if (!remote.has(name)) listed.delete(name);
    const next = [...remote].map(([name, { spec }]) => ({
      group: spec?.group ?? '',
      version: spec?.version ?? '',
      groupPriorityMinimum: spec?.groupPriorityMinimum ?? 0,
      versionPriority: spec?.versionPriority ?? 0,
      resources: listed.get(name) ?? [],
      stale: conditions.get(name) !== true,
    }));
    if (!isDeepStrictEqual(next, registry.remote())) registry.setRemote(next);
  }

  /** @returns whether all that are there answer */
  async function checkAll(): Promise<boolean> {
    const available = new Map<string, boolean>();
    let silent = false;
    await Promise.all(
      [...remote].map(async ([name, service]) => {
        const { destinations, condition } = backendOf(service, cache, routing);
        const found: Probe = condition ? { condition } : await probe(service, destinations, tls(service));
        if (found.resources) listed.set(name, found.resources);
        else if (!condition) silent = true;
        available.set(name, found.condition.status === 'True');
        await tell(service, found.condition);
      }),
    );
    publish(available);
    await Promise.all(
      cache
        .list(apiServices)
        .map(asApiService)
        .filter(({ spec }) => !spec?.service)
        .map((service) => tell(service, localAvailability)),
    );
    return !silent;
  }

  return {
    async serve(ctx) {
      if (remote.size === 0) return false;
      const [root, group = '', version = ''] = ctx.url.pathname.split('/').slice(1);
      if (root !== 'apis' || !version) return false;
      const service = remote.get(apiServiceName(group, version));
      if (!service) return false;
      const { destinations } = backendOf(service, cache, routing);
      const destination = pick(destinations);
      if (!destination || !isConditionTrue(service.status?.conditions, 'Available')) refuse(ctx);
      else await forward(ctx, destination, tls(service));
      return true;
    },
    start(signal) {
      const problem = (what: string) => (error: Error) => log.warn({ problem: error.message }, what);
      let retry: NodeJS.Timeout | undefined;
      const check = async () => {
        clearTimeout(retry);
        if (!(await checkAll()) && !signal.aborted) retry = setTimeout(askCheck, retryMs);
      };
      const askCheck = coalesce(check, {
        minIntervalMs: soonMs,
        periodMs: checkEveryMs,
        onError: problem('aggregated API servers could not be checked'),
        signal,
      });
      const askSync = coalesce(() => syncAutomatic({ registry, cache, loopback }), {
        minIntervalMs: soonMs,
        periodMs: 0,
        onError: problem('APIServices of the groups served here could not be kept'),
        signal,
      });
      const backs = ({ metadata }: UnknownObject, name = metadata?.name) =>
        [...remote.values()].some(
          ({ spec }) => spec?.service?.name === name && spec?.service?.namespace === metadata?.namespace,
        );
      const stops = [
        cache.onChange(apiServices, (type, object, old) => {
          follow(type, object);
          if (type === 'DELETED') askSync();
          if (type !== 'MODIFIED' || !isDeepStrictEqual(object['spec'], old?.['spec'])) askCheck();
        }),
        cache.onChange({ group: '', resource: 'services' }, (_, object) => {
          if (remote.size && backs(object)) askCheck();
        }),
        cache.onChange({ group: 'discovery.k8s.io', resource: 'endpointslices' }, (_, object) => {
          if (remote.size && backs(object, object.metadata?.labels?.['kubernetes.io/service-name'])) askCheck();
        }),
        registry.onChange(askSync),
      ];
      askSync();
      askCheck();
      const end = () => {
        clearTimeout(retry);
        for (const stop of stops) stop();
      };
      signal.addEventListener('abort', end, { once: true });
    },
  };
}

/** As upstream: plain text, which clients turn into their own words for 503. */
function refuse({ res }: RequestContext): void {
  if (!res) throw serviceUnavailable('service unavailable');
  res.writeHead(503, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  res.end('service unavailable\n');
}
