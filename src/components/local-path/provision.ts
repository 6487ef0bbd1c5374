/** The provisioner's process: client, events, health, controller. */
import { createClient } from '../../machinery/client/client.ts';
import { clientConfig } from '../../machinery/client/in-cluster.ts';
import { createRecorder } from '../../machinery/events/recorder.ts';
import type { Logger } from '../../machinery/logging/logger.ts';
import { listenHealth } from '../../machinery/serving/health.ts';
import { type ControllerOptions, runController } from './controller.ts';

export interface ProvisionOptions {
  kubeconfig: string | undefined;
  healthAddress: string;
  settings: ControllerOptions['settings'];
  log: Logger;
}

export async function provision(
  { kubeconfig, healthAddress, settings, log }: ProvisionOptions,
  signal: AbortSignal,
): Promise<void> {
  const client = createClient(await clientConfig(kubeconfig, 'local-path-provisioner'));
  const recorder = createRecorder({
    client,
    component: settings.provisioner,
    onError: (error) => log.warn(error.message),
  });
  let problem: string | undefined = 'claims and volumes are not read yet';
  const health = await listenHealth(healthAddress, {
    checks: { '/healthz': {}, '/readyz': { caches: () => problem } },
  });
  log.info({ provisioner: settings.provisioner, directory: settings.directory }, 'started');
  const onReady = () => {
    problem = undefined;
  };
  await runController({ client, recorder, settings, log, onReady }, signal);
  await recorder.flush();
  health.close();
  client.close();
}
