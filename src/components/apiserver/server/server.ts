/** Puts the API server together: storage, registry, authentication, authorization, admission, handlers, and the listener. */
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { HealthEndpoints } from '../../../machinery/serving/health.ts';
import { MetricsRegistry, processMetrics } from '../../../machinery/serving/metrics.ts';
import { createAdmissionChain } from '../admission/chain.ts';
import { createAggregation } from '../aggregation/aggregation.ts';
import { type Auditor, createAuditor } from '../audit/auditor.ts';
import { createAuthenticator, type ServiceAccountOptions } from '../authentication/authenticator.ts';
import { openIdDocuments } from '../authentication/openid-discovery.ts';
import { type AuthorizationMode, authorizationModes, createAuthorizer } from '../authorization/authorizer.ts';
import { bootstrapRbac } from '../authorization/bootstrap-policy.ts';
import { authenticationFacts, keepAuthenticationFacts } from '../bootstrap/authentication-facts.ts';
import { ensureKubernetesService, maintainEndpoints } from '../bootstrap/kubernetes-service.ts';
import { bootstrapNamespaces, bootstrapObjects } from '../bootstrap/objects.ts';
import { patiently } from '../bootstrap/patience.ts';
import { createCustomResources } from '../custom-resources/controller.ts';
import { withCustomStrategies } from '../custom-resources/strategy.ts';
import { createDispatcher } from '../handlers/dispatch.ts';
import type { ReadDeps } from '../handlers/read.ts';
import { Watchers } from '../handlers/watch.ts';
import type { Options } from '../options.ts';
import { createRegistry } from '../registry/registry.ts';
import type { RestDeps } from '../rest/deps.ts';
import { createLoopback } from '../rest/loopback.ts';
import { Caches } from '../storage/caches.ts';
import { compactRegularly } from '../storage/compactor.ts';
import { Encryption } from '../storage/encryption/encryption.ts';
import { openStored } from '../storage/encryption/open-stored.ts';
import { EtcdClient, type KeyValue } from '../storage/etcd-client.ts';
import { Store } from '../storage/store.ts';
import { cacheReader, WatchCache } from '../storage/watch-cache.ts';
import { parseRange } from '../strategies/address-range.ts';
import { createStrategies } from '../strategies/strategies.ts';
import { subresourceHandlers } from '../subresources/handlers.ts';
import { virtualResources } from '../subresources/virtual-resources.ts';
import { sparingly } from './etcd-check.ts';
import { listenHttps } from './https-server.ts';
import { createPaths } from './paths.ts';
import { createPipeline } from './pipeline.ts';
import { certificateExpiry, createRequestMetrics } from './request-metrics.ts';

export interface RunningServer {
  port: number;
  /** Resolves when default objects are there and `/readyz` is well. */
  ready: Promise<void>;
  close(): Promise<void>;
}

/** Starts serving; `/readyz` turns well when etcd has been read and the default objects are there. */
export async function startApiServer(options: Options, log: Logger, signal: AbortSignal): Promise<RunningServer> {
  checkOptions(options);
  const metrics = new MetricsRegistry();
  processMetrics(metrics);
  const etcd = new EtcdClient({
    servers: options['etcd-servers'],
    ...(options['etcd-cafile'] ? { caFile: options['etcd-cafile'] } : {}),
    ...(options['etcd-certfile'] ? { certFile: options['etcd-certfile'] } : {}),
    ...(options['etcd-keyfile'] ? { keyFile: options['etcd-keyfile'] } : {}),
  });
  const etcdSeconds = metrics.histogram('etcd_request_duration_seconds', 'How long calls to etcd took.');
  etcd.observe((operation, seconds) => etcdSeconds.observe(seconds, { operation }));

  const registry = createRegistry();
  const watchers = new Watchers();
  const stored = (kv: KeyValue) => openStored(encryption, kv);
  const watchCache = new WatchCache({ etcd, log, stored, onReload: () => watchers.endAll() });
  const caches = new Caches(watchCache, registry);
  const encryption = new Encryption({
    file: options['encryption-provider-config'],
    reload: options['encryption-provider-config-automatic-reload'],
    resourceOf: (key) => caches.resourceOf(key),
    metrics,
    log,
    onReload: () => {
      watchCache
        .readAgain()
        .catch((error: Error) => log.error({ problem: error.message }, 'what could not be read was not read again'));
    },
  });
  etcd.sealWith((key, value) => encryption.seal(key, value));
  const store = new Store({
    etcd,
    stored,
    isStale: ({ key, sealedBy }) => encryption.isStale(key, sealedBy),
    eventTtlSeconds: options['event-ttl'] / 1000,
  });
  const { promise: cachesReady, resolve: cachesAreReady } = Promise.withResolvers<void>();
  const reader = cacheReader((resource) => caches.find(resource), cachesReady);
  metrics.gauge('apiserver_longrunning_requests', 'Watches that are open.', (set) => set(watchers.size));
  metrics.gauge('apiserver_storage_objects', 'Objects per resource.', (set) => {
    for (const cache of watchCache.caches()) set(cache.size, { resource: cache.prefix.slice('/registry/'.length, -1) });
  });

  let rest: RestDeps | undefined;
  const loopback = createLoopback(() => {
    if (!rest) throw new Error('the server is not put together yet');
    return rest;
  });
  const serviceAccount = serviceAccountOptions(options);
  const requestHeader = requestHeaderOptions(options);
  const authenticator = createAuthenticator(
    {
      anonymous: options['anonymous-auth'],
      bootstrapTokens: options['enable-bootstrap-token-auth'],
      ...(options['client-ca-file'] ? { clientCaFile: options['client-ca-file'] } : {}),
      ...(options['token-auth-file'] ? { tokenAuthFile: options['token-auth-file'] } : {}),
      ...(requestHeader ? { requestHeader } : {}),
      ...(serviceAccount ? { serviceAccount } : {}),
    },
    { cache: reader, loopback, observeCertificate: certificateExpiry(metrics) },
  );
  const authorizer = createAuthorizer(
    { modes: options['authorization-mode'] as AuthorizationMode[] },
    { cache: reader },
  );
  const admission = createAdmissionChain(
    {
      enable: options['enable-admission-plugins'],
      disable: options['disable-admission-plugins'],
      defaultNotReadyTolerationSeconds: options['default-not-ready-toleration-seconds'],
      defaultUnreachableTolerationSeconds: options['default-unreachable-toleration-seconds'],
    },
    { cache: reader, loopback, authorizer, registry, ...(authorizer.roles ? { roles: authorizer.roles } : {}) },
  );
  const ranges = options['service-cluster-ip-range'].map(parseRange);
  const builtIn = createStrategies({ clusterIp: ranges, nodePorts: parsePorts(options['service-node-port-range']) });
  const strategies = withCustomStrategies(builtIn, registry);
  const read: ReadDeps = { registry, caches, watchCache, store, reader, admission, strategies, stored };
  rest = read;

  const address = options['advertise-address'] || ownAddress();
  const port = options['secure-port'];
  const state = { started: false, stopping: false };
  const health = healthEndpoints(etcd, watchCache, state, metrics);
  const resources = createDispatcher({
    ...read,
    watchers,
    virtual: virtualResources(serviceAccount ? { serviceAccount } : {}, {
      authenticator,
      authorizer,
      cache: reader,
      loopback,
      admission,
      registry,
    }),
    handlers: subresourceHandlers(
      { kubelet: kubeletOptions(options) },
      { registry, cache: reader, loopback, admission },
    ),
    lists: {},
  });
  const openId = serviceAccount
    ? openIdDocuments(serviceAccount, `${options['external-hostname'] || address}:${port}`)
    : [];
  const auditor = await auditorFor(options, metrics, log);
  const aggregation = createAggregation(
    {
      certFile: options['proxy-client-cert-file'],
      keyFile: options['proxy-client-key-file'],
      routing: options['enable-aggregator-routing'],
    },
    { registry, cache: reader, loopback, log },
  );
  const pipeline = createPipeline({
    authenticator,
    authorizer,
    aggregated: aggregation.serve,
    resources,
    paths: createPaths({ registry, health, openId, serverAddress: `${address}:${port}` }),
    metrics: createRequestMetrics(
      metrics,
      (info) => registry.find(info.apiGroup, info.apiVersion, info.resource) !== undefined,
    ),
    log,
    auditor,
  });

  await watchCache.start(signal);
  cachesAreReady();
  await authorizer.ready();
  const stop = new AbortController();
  await createCustomResources({ rest: read, loopback, watchers, log }).start(stop.signal);
  const server = await listenHttps(
    {
      bindAddress: options['bind-address'],
      port,
      certFile: options['tls-cert-file'],
      keyFile: options['tls-private-key-file'],
      clientCaFiles: authenticator.clientCaFiles,
      minVersion: options['tls-min-version'],
      ciphers: options['tls-cipher-suites'],
      names: [address],
    },
    pipeline,
  );
  const boundPort = (server.address() as AddressInfo).port;
  const deps = { cache: reader, loopback };
  const service = {
    ...deps,
    etcd,
    address,
    port: boundPort,
    serviceRange: options['service-cluster-ip-range'][0] as string,
    log,
  };
  const background: Promise<void>[] = [];
  const ready = (async () => {
    const bootstrap = async () => {
      await bootstrapNamespaces(deps);
      await Promise.all([
        options['authorization-mode'].includes('RBAC') ? bootstrapRbac(deps) : undefined,
        bootstrapObjects(deps, options['service-cluster-ip-range']),
      ]);
      await ensureKubernetesService(service);
      await watchCache.waitFor(await etcd.currentRevision(), 5_000);
    };
    await patiently(bootstrap, log, stop.signal);
    aggregation.start(stop.signal);
    keepAuthenticationFacts(deps, authenticationFacts(options), log, stop.signal);
    background.push(maintainEndpoints(service, stop.signal));
    background.push(compactRegularly(etcd, options['etcd-compaction-interval'], log, stop.signal));
    state.started = true;
  })();
  return {
    port: boundPort,
    ready,
    async close() {
      state.stopping = true;
      stop.abort();
      await Promise.allSettled(background);
      watchers.endAll();
      server.close();
      server.closeAllConnections();
      watchCache.close();
      encryption.close();
      await auditor?.close();
      etcd.close();
    },
  };
}

/** Both flags are needed: without a policy nothing is audited, as upstream has it. */
async function auditorFor(options: Options, metrics: MetricsRegistry, log: Logger): Promise<Auditor | undefined> {
  const path = options['audit-log-path'];
  const policyFile = options['audit-policy-file'];
  const [format, mode] = [options['audit-log-format'], options['audit-log-mode']];
  if (!['json', 'legacy'].includes(format))
    throw new Error(`--audit-log-format: "${format}" is neither json nor legacy`);
  if (!['batch', 'blocking', 'blocking-strict'].includes(mode))
    throw new Error(`--audit-log-mode: "${mode}" is none of batch, blocking, blocking-strict`);
  if (!path || !policyFile) return undefined;
  const [maxAge, maxBackup, maxSize] = [
    options['audit-log-maxage'],
    options['audit-log-maxbackup'],
    options['audit-log-maxsize'],
  ];
  for (const [name, value] of Object.entries({ maxAge, maxBackup, maxSize }))
    if (value < 0) throw new Error(`--audit-log-${name.toLowerCase()}: ${value} is negative`);
  return createAuditor({ policyFile, path, maxAge, maxBackup, maxSize, format, metrics, log });
}

function checkOptions(options: Options): void {
  if (!options['etcd-servers'].length) throw new Error('--etcd-servers must be specified');
  if (options['storage-backend'] !== 'etcd3') throw new Error(`--storage-backend invalid, allowed values: etcd3`);
  for (const mode of options['authorization-mode'])
    if (!(authorizationModes as readonly string[]).includes(mode))
      throw new Error(`--authorization-mode: "${mode}" is not one of ${authorizationModes.join(', ')}`);
}

function serviceAccountOptions(options: Options): ServiceAccountOptions | undefined {
  const keyFiles = options['service-account-key-file'];
  const signingKeyFile = options['service-account-signing-key-file'];
  const issuers = options['service-account-issuer'];
  if (!keyFiles.length && !signingKeyFile) return undefined;
  if (!issuers.length) throw new Error('--service-account-issuer is a required flag');
  const longest = options['service-account-max-token-expiration'];
  const jwksUri = options['service-account-jwks-uri'];
  return {
    keyFiles,
    ...(signingKeyFile ? { signingKeyFile } : {}),
    issuers,
    apiAudiences: options['api-audiences'],
    lookup: options['service-account-lookup'],
    extendExpiration: options['service-account-extend-token-expiration'],
    ...(longest ? { maxExpirationSeconds: longest / 1000 } : {}),
    ...(jwksUri ? { jwksUri } : {}),
  };
}

function requestHeaderOptions(options: Options) {
  const clientCaFile = options['requestheader-client-ca-file'];
  if (!clientCaFile) return undefined;
  return {
    clientCaFile,
    allowedNames: options['requestheader-allowed-names'],
    usernameHeaders: options['requestheader-username-headers'],
    groupHeaders: options['requestheader-group-headers'],
    uidHeaders: options['requestheader-uid-headers'],
    extraHeaderPrefixes: options['requestheader-extra-headers-prefix'],
  };
}

function kubeletOptions(options: Options) {
  const clientCertificateFile = options['kubelet-client-certificate'];
  const clientKeyFile = options['kubelet-client-key'];
  const certificateAuthorityFile = options['kubelet-certificate-authority'];
  return {
    ...(clientCertificateFile ? { clientCertificateFile } : {}),
    ...(clientKeyFile ? { clientKeyFile } : {}),
    ...(certificateAuthorityFile ? { certificateAuthorityFile } : {}),
    preferredAddressTypes: options['kubelet-preferred-address-types'],
    timeoutMs: options['kubelet-timeout'],
  };
}

function parsePorts(text: string): { first: number; last: number } {
  const match = /^(\d+)-(\d+)$/.exec(text);
  if (!match) throw new Error(`--service-node-port-range: "${text}" is not of the form 30000-32767`);
  return { first: Number(match[1]), last: Number(match[2]) };
}

/** The first address of an interface that is not the loopback. */
function ownAddress(): string {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((entry) => entry && !entry.internal && entry.family === 'IPv4');
  return found?.address ?? '127.0.0.1';
}

function healthEndpoints(
  etcd: EtcdClient,
  watchCache: WatchCache,
  state: { started: boolean; stopping: boolean },
  metrics: MetricsRegistry,
): HealthEndpoints {
  const ping = () => undefined;
  const etcdCheck = sparingly(() => etcd.currentRevision(2_000));
  const started = () => (state.started ? undefined : 'not finished');
  const common = { ping, log: ping, etcd: etcdCheck };
  return {
    checks: {
      '/healthz': { ...common, 'poststarthook/rbac/bootstrap-roles': started },
      '/livez': { ...common, 'poststarthook/rbac/bootstrap-roles': started },
      '/readyz': {
        ...common,
        'etcd-readiness': etcdCheck,
        'informer-sync': () => (watchCache.connected ? undefined : 'the watch on etcd is interrupted'),
        'poststarthook/rbac/bootstrap-roles': started,
        shutdown: () => (state.stopping ? 'process is shutting down' : undefined),
      },
    },
    metrics,
  };
}
