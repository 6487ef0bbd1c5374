/** kube-proxy: makes Services reachable from every node by iptables rules. */
import { hostname } from 'node:os';
import type { EndpointSlice, Service } from '../../machinery/api/types.ts';
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import { endpointSlices, nodes, services } from '../../machinery/client/resources.ts';
import { createInformerFactory } from '../../machinery/informer/factory.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { coalesce } from '../../machinery/process/coalesce.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { chooseIptables } from '../../machinery/process/iptables.ts';
import { aborted } from '../../machinery/process/pause.ts';
import { listenHealth } from '../../machinery/serving/health.ts';
import { MetricsRegistry, processMetrics } from '../../machinery/serving/metrics.ts';
import { proxySettings, readProxyConfig } from './config.ts';
import { HealthCheckNodePorts } from './health-check-node-ports.ts';
import { buildRules } from './rules.ts';
import { endpointsByPort, servicePorts } from './service-ports.ts';
import { staleUdpFlows } from './stale-flows.ts';
import { applyRules, applySysctls, cleanupRules, ensureJumps, forgetFlows } from './sync.ts';

await runComponent({
  name: 'kube-proxy',
  about: 'Makes Services reachable: watches services and endpoint slices and keeps this node’s iptables rules in step.',
  flags: {
    config: { kind: 'string', help: 'Path of a KubeProxyConfiguration.' },
    kubeconfig: { kind: 'string', help: 'Path of a kubeconfig, when the configuration names none.' },
    'hostname-override': { kind: 'string', help: 'Name of this node; without it the host name.' },
    'cluster-cidr': { kind: 'string', help: 'Pod CIDR, when the configuration names none.' },
    cleanup: { kind: 'boolean', help: 'Remove all rules and exit.' },
    v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
  },
  async run(flags, signal) {
    const log = createLogger('kube-proxy', flags.v);
    const iptables = await chooseIptables();
    if (flags.cleanup) {
      await cleanupRules(iptables);
      return;
    }
    const name = flags['hostname-override'] ?? hostname().toLowerCase();
    const settings = flags.config
      ? await readProxyConfig(flags.config, name)
      : proxySettings({ clusterCIDR: flags['cluster-cidr'] ?? '' }, 'flags', name);
    const nodeName = flags['hostname-override'] ?? settings.hostname;
    const client = createClient(await clientConfig(settings.kubeconfig ?? flags.kubeconfig, 'kube-proxy'));
    const metrics = new MetricsRegistry();
    processMetrics(metrics);
    const syncSeconds = metrics.histogram(
      'kubeproxy_sync_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds',
    );
    const lastSync = metrics.gauge(
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'The last time proxy rules were successfully synced',
    );

    const factory = createInformerFactory(client, (message) => log.warn(message));
    const slim = (object: object) => {
      const { metadata } = object as { metadata: Record<string, unknown> };
      const { managedFields: _dropped, annotations: _unused, ...kept } = metadata;
      return { ...object, metadata: kept };
    };
    const serviceInformer = factory.informer<Service>(services, {
      labelSelector: '!service.kubernetes.io/service-proxy-name',
      transform: slim,
    });
    const sliceInformer = factory.informer<EndpointSlice>(endpointSlices, {
      labelSelector: '!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name',
      transform: slim,
    });
    const nodeInformer = factory.informer(nodes, { fieldSelector: `metadata.name=${nodeName}`, transform: slim });
    const healthPorts = new HealthCheckNodePorts((message) => log.warn(message));
    let lastError: string | undefined;
    let synced = false;
    let jumpsAt = 0;
    let endpointsBefore = new Map<string, string[]>();

    const sync = async () => {
      if (!serviceInformer.hasSynced || !sliceInformer.hasSynced || !nodeInformer.hasSynced) return;
      const started = performance.now();
      const zone = nodeInformer.store.get(nodeName)?.metadata?.labels?.['topology.kubernetes.io/zone'];
      const ports = servicePorts(serviceInformer.store.list());
      const endpoints = endpointsByPort(sliceInformer.store.list(), nodeName);
      const rules = buildRules(ports, endpoints, {
        node: { name: nodeName, ...(zone ? { zone } : {}) },
        clusterCIDR: settings.clusterCIDR,
        masqueradeAll: settings.masqueradeAll,
        masqueradeBit: settings.masqueradeBit,
        localhostNodePorts: settings.localhostNodePorts,
      });
      await applyRules(iptables, rules);
      if (Date.now() - jumpsAt > settings.syncPeriodMs) {
        await ensureJumps(iptables);
        jumpsAt = Date.now();
      }
      const { flows, now } = staleUdpFlows(ports, endpoints, endpointsBefore);
      await forgetFlows(flows);
      endpointsBefore = now;
      await healthPorts.update(ports, endpoints);
      lastError = undefined;
      synced = true;
      const seconds = (performance.now() - started) / 1000;
      syncSeconds.observe(seconds);
      lastSync.set(Date.now() / 1000);
      log.debug({ services: ports.length, rules: rules.nat.rules.length, seconds }, 'rules applied');
    };
    const ask = coalesce(sync, {
      minIntervalMs: Math.min(settings.minSyncPeriodMs, 250),
      periodMs: settings.syncPeriodMs,
      signal,
      onError: (error) => {
        lastError = error.message;
        log.error(error.message);
      },
    });
    const handler = { onAdd: ask, onUpdate: ask, onDelete: ask };
    serviceInformer.addHandler(handler);
    sliceInformer.addHandler(handler);
    nodeInformer.addHandler({
      onAdd: ask,
      onUpdate: (before, after) => {
        if (JSON.stringify(before.metadata?.labels) !== JSON.stringify(after.metadata?.labels)) ask();
      },
    });

    const checks = { rules: () => lastError ?? (synced ? undefined : 'no rules applied yet') };
    await listenHealth(settings.healthzBindAddress, { checks: { '/healthz': checks, '/livez': checks } });
    await listenHealth(settings.metricsBindAddress, { checks: { '/healthz': checks }, metrics });
    if (settings.localhostNodePorts) await applySysctls({ 'net.ipv4.conf.all.route_localnet': '1' });
    log.info({ iptables: iptables.command, clusterCIDR: settings.clusterCIDR, node: nodeName }, 'started');
    factory.start(signal);
    await factory.synced(signal);
    ask();
    await aborted(signal);
    healthPorts.close();
    client.close();
  },
});
