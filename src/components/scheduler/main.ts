/** kube-scheduler: serves health and metrics, waits for leadership, gives pods their nodes. */
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import type { Client } from '../../machinery/client/types.ts';
import { createRecorder, type EventRecorder, referenceTo } from '../../machinery/events/recorder.ts';
import { createElector, type Elector } from '../../machinery/leaderelection/elector.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { MetricsRegistry, processMetrics } from '../../machinery/serving/metrics.ts';
import { startServing } from '../../machinery/serving/server.ts';
import { defaultSettings, readConfiguration } from './config/configuration.ts';
import { flags } from './config/flags.ts';
import { type AssembledScheduler, assembleScheduler } from './cycle/assemble.ts';
import { registry } from './plugins/registry.ts';

const component = 'kube-scheduler';
const lockLost = 'leaderElection';

await runComponent({
  name: component,
  about: 'Assigns pods to nodes: finds those that fit a pod and chooses the best of them.',
  flags,
  async run(values, signal, given) {
    const log = createLogger(component, values.v);
    const settings = values.config
      ? await readConfiguration(
          values.config,
          registry.map(({ name }) => name),
        )
      : defaultSettings();
    const kubeconfig = values.kubeconfig ?? settings.kubeconfig;
    const config = await clientConfig(kubeconfig, component);
    const client = createClient(values.master ? { ...config, server: values.master } : config);
    const otherClient = async (path: string | undefined): Promise<Client | undefined> => {
      if (!path) return undefined;
      return path === kubeconfig ? client : createClient(await clientConfig(path, component));
    };
    const authentication = await otherClient(values['authentication-kubeconfig']);
    const authorization = await otherClient(values['authorization-kubeconfig']);

    // What the configuration file says about the election holds unless a flag says otherwise.
    const { leaderElection } = settings;
    const elects = given.has('leader-elect')
      ? values['leader-elect']
      : (leaderElection.leaderElect ?? values['leader-elect']);
    const lease = {
      name: leaderElection.resourceName ?? values['leader-elect-resource-name'],
      namespace: leaderElection.resourceNamespace ?? values['leader-elect-resource-namespace'],
    };
    const elector: Elector | undefined = elects
      ? createElector({
          client,
          ...lease,
          leaseDurationMs: leaderElection.leaseDurationMs ?? values['leader-elect-lease-duration'],
          renewDeadlineMs: leaderElection.renewDeadlineMs ?? values['leader-elect-renew-deadline'],
          retryPeriodMs: leaderElection.retryPeriodMs ?? values['leader-elect-retry-period'],
          onNewLeader: (identity) => log.info({ identity }, 'new leader'),
          onError: (error) => log.warn(`leader election: ${error.message}`),
        })
      : undefined;

    let scheduler: AssembledScheduler | undefined;
    const metrics = new MetricsRegistry();
    processMetrics(metrics);
    const attempts = metrics.counter('scheduler_schedule_attempts_total', 'Attempts to schedule pods, by the result.');
    const durations = metrics.histogram(
      'scheduler_scheduling_attempt_duration_seconds',
      'Time from taking a pod to its binding or its failure.',
    );
    metrics.gauge('scheduler_pending_pods', 'Waiting pods, by the queue they are in.', (set) => {
      for (const [queue, size] of Object.entries(scheduler?.queue.sizes ?? {})) set(size, { queue });
    });

    const checks = { ping: () => undefined, [lockLost]: () => elector?.check() };
    // One that waits for leadership is ready too.
    const synced = () => (scheduler && !scheduler.synced ? 'informers not yet synced' : undefined);
    const serving = values['secure-port']
      ? await startServing({
          tlsMinVersion: values['tls-min-version'],
          tlsCipherSuites: values['tls-cipher-suites'],
          bindAddress: values['bind-address'],
          port: values['secure-port'],
          ...(values['tls-cert-file'] ? { certFile: values['tls-cert-file'] } : {}),
          ...(values['tls-private-key-file'] ? { keyFile: values['tls-private-key-file'] } : {}),
          checks: { '/healthz': checks, '/livez': checks, '/readyz': { ...checks, 'sched-handler-sync': synced } },
          metrics,
          configz: () => ({ 'kubescheduler.config.k8s.io': { ...settings, profiles: settings.profiles.length } }),
          auth: {
            ...(authentication ? { authentication } : {}),
            ...(authorization ? { authorization } : {}),
            alwaysAllowPaths: values['authorization-always-allow-paths'],
          },
        })
      : undefined;
    log.info({ bindAddress: values['bind-address'], port: serving?.port }, 'serving');

    const recorder = (name: string): EventRecorder =>
      createRecorder({
        client,
        component: name,
        api: 'events',
        onError: (error) => log.warn(`event: ${error.message}`),
      });
    const lead = async (leading: AbortSignal) => {
      scheduler = assembleScheduler({
        client,
        settings,
        longestWaitMs: values['pod-max-in-unschedulable-pods-duration'],
        logger: log,
        recorder,
        observe(result, profile, ms) {
          attempts.inc({ result, profile });
          durations.observe(ms / 1000, { result, profile });
        },
      });
      await scheduler.run(leading);
    };

    if (!elector) await lead(signal);
    else
      await elector.run(signal, async (leading) => {
        recorder('default-scheduler').event(
          referenceTo({ metadata: lease }, 'coordination.k8s.io/v1', 'Lease'),
          'Normal',
          'LeaderElection',
          `${elector.identity} became leader`,
        );
        await lead(leading);
      });
    await serving?.close();
    client.close();
  },
});
