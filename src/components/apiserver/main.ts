/** kube-apiserver. */
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { aborted } from '../../machinery/process/pause.ts';
import { flags } from './options.ts';
import { startApiServer } from './server/server.ts';

await runComponent({
  name: 'kube-apiserver',
  about: 'Serves the Kubernetes API on etcd: every other component and every client works through it.',
  flags,
  async run(options, signal) {
    const log = createLogger('kube-apiserver', options.v);
    const server = await startApiServer(options, log, signal);
    log.info({ port: server.port }, 'serving');
    await server.ready;
    log.info('ready');
    await aborted(signal);
    if (options['shutdown-delay-duration']) await delay(options['shutdown-delay-duration']);
    await server.close();
  },
});
