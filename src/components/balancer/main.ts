/** kinit-balancer: an address on every node's loopback that always leads to an API server that lives. A unit of systemd. */
import { hostname } from 'node:os';
import { list, path, text } from '../../machinery/flags/kinds.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { runBalancer } from './balancer.ts';
import { splitServer } from './members.ts';

await runComponent({
  name: 'kinit-balancer',
  about: 'Carries connections from a port of loopback to an API server of the cluster that is ready.',
  flags: {
    listen: text('Address and port where clients of this node connect.', '127.0.0.1:7443'),
    servers: list('API servers to begin with, <address>:<port>. The others are learnt from the cluster.'),
    kubeconfig: path('Kubeconfig with the credentials for asking the cluster; it may come into being later.'),
    'certificate-authority': path("The cluster's CA."),
    state: path('File that keeps the list of API servers.'),
    'node-name': path('Decides in which order the servers are tried; without it the name of the host.'),
    'probe-timeout': { kind: 'duration', default: '1s', help: 'How long an answer of /readyz may take.' },
    v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
  },
  async run(flags, signal) {
    const { kubeconfig, state, servers } = flags;
    const certificateAuthority = flags['certificate-authority'];
    if (!kubeconfig || !state || !certificateAuthority || servers.length === 0)
      throw new Error('--servers, --kubeconfig, --certificate-authority and --state are needed');
    for (const server of servers) splitServer(server);
    await runBalancer(
      {
        listen: splitServer(flags.listen),
        servers,
        kubeconfig,
        certificateAuthority,
        state,
        nodeName: flags['node-name'] ?? hostname(),
        probeTimeoutMs: flags['probe-timeout'],
        log: createLogger('kinit-balancer', flags.v),
      },
      signal,
    );
  },
});
