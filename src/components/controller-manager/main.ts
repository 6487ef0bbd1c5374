/** kube-controller-manager: serves health and metrics, waits for leadership, runs the controllers. */
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import type { Client } from '../../machinery/client/types.ts';
import { createRecorder, type EventRecorder, referenceTo } from '../../machinery/events/recorder.ts';
import { createElector, type Elector } from '../../machinery/leaderelection/elector.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { MetricsRegistry, processMetrics } from '../../machinery/serving/metrics.ts';
import { startServing } from '../../machinery/serving/server.ts';
import { certificateControllers } from './certificates/index.ts';
import { clusterControllers } from './cluster/index.ts';
import type { Controller } from './framework/controller.ts';
import { enabledControllers } from './framework/enablement.ts';
import { flags, optionsOf } from './framework/flags.ts';
import { serviceAccountClient } from './framework/service-account-client.ts';
import { sharedInformers } from './framework/shared-informers.ts';
import { networkControllers } from './network/index.ts';
import { workloadControllers } from './workloads/index.ts';

const controllers: Controller[] = [
  ...clusterControllers,
  ...certificateControllers,
  ...workloadControllers,
  ...networkControllers,
];
const userAgent = 'kube-controller-manager';

await runComponent({
  name: 'kube-controller-manager',
  about: 'Runs the controllers that bring the cluster from its current state to the desired one.',
  flags,
  async run(values, signal) {
    const log = createLogger('kube-controller-manager', values.v);
    const options = optionsOf(values);
    const isEnabled = enabledControllers(
      values.controllers,
      controllers.map(({ name }) => name),
    );
    const config = await clientConfig(values.kubeconfig, userAgent);
    const client = createClient(values.master ? { ...config, server: values.master } : config);
    const otherClient = async (path: string | undefined): Promise<Client | undefined> => {
      if (!path) return undefined;
      return path === values.kubeconfig ? client : createClient(await clientConfig(path, userAgent));
    };
    const authentication = await otherClient(values['authentication-kubeconfig']);
    const authorization = await otherClient(values['authorization-kubeconfig']);

    const elector: Elector | undefined = values['leader-elect']
      ? createElector({
          client,
          name: values['leader-elect-resource-name'],
          namespace: values['leader-elect-resource-namespace'],
          leaseDurationMs: values['leader-elect-lease-duration'],
          renewDeadlineMs: values['leader-elect-renew-deadline'],
          retryPeriodMs: values['leader-elect-retry-period'],
          onNewLeader: (identity) => log.info({ identity }, 'new leader'),
          onError: (error) => log.warn(`leader election: ${error.message}`),
        })
      : undefined;

    const metrics = new MetricsRegistry();
    processMetrics(metrics);
    const checks = { ping: () => undefined, leaderElection: () => elector?.check() };
    const serving = values['secure-port']
      ? await startServing({
          tlsMinVersion: values['tls-min-version'],
          tlsCipherSuites: values['tls-cipher-suites'],
          bindAddress: values['bind-address'],
          port: values['secure-port'],
          ...(values['tls-cert-file'] ? { certFile: values['tls-cert-file'] } : {}),
          ...(values['tls-private-key-file'] ? { keyFile: values['tls-private-key-file'] } : {}),
          checks: { '/healthz': checks, '/livez': checks, '/readyz': checks },
          metrics,
          configz: () => ({ 'kubecontrollermanager.config.k8s.io': options }),
          auth: {
            ...(authentication ? { authentication } : {}),
            ...(authorization ? { authorization } : {}),
            alwaysAllowPaths: values['authorization-always-allow-paths'],
          },
        })
      : undefined;
    log.info({ bindAddress: values['bind-address'], port: serving?.port }, 'serving');

    const recorders: EventRecorder[] = [];
    const recorderOf = (own: Client, component: string): EventRecorder => {
      const onError = (error: Error) => log.warn(`event: ${error.message}`);
      const recorder = createRecorder({ client: own, component, onError });
      recorders.push(recorder);
      return recorder;
    };

    const lead = async (leading: AbortSignal) => {
      const informers = sharedInformers(client, leading, (message) => log.warn(message));
      const runs = controllers
        .filter(({ name }) => isEnabled(name))
        .map(async (controller) => {
          const logger = log.child({ controller: controller.name });
          const own =
            values['use-service-account-credentials'] && controller.serviceAccount
              ? serviceAccountClient(client, controller.serviceAccount, (message) => logger.warn(message))
              : client;
          try {
            await controller.run({
              client: own,
              informers,
              options,
              logger,
              recorder: (component) => recorderOf(own, component),
              signal: leading,
            });
          } catch (error) {
            // A wait that the end of leadership cut short is no failure.
            if (!leading.aborted) throw new Error(`${controller.name}: ${(error as Error).message}`, { cause: error });
          }
        });
      log.info({ controllers: runs.length }, 'controllers started');
      await Promise.all(runs);
    };

    if (!elector) await lead(signal);
    else
      await elector.run(signal, async (leading) => {
        const lease = {
          metadata: {
            namespace: values['leader-elect-resource-namespace'],
            name: values['leader-elect-resource-name'],
          },
        };
        recorderOf(client, 'kube-controller-manager').event(
          referenceTo(lease, 'coordination.k8s.io/v1', 'Lease'),
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
