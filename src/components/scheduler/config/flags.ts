/** The command line of kube-scheduler: upstream's flags. */
import { duration, integer, path, text, toggle } from '../../../machinery/flags/kinds.ts';
import { leaderElectionFlags, serverFlags } from '../../../machinery/flags/server-flags.ts';

export const flags = {
  ...serverFlags,
  ...leaderElectionFlags,
  config: path('The path to the configuration file.'),
  'write-config-to': path('If set, write the configuration values to this file and exit.'),
  'authentication-tolerate-lookup-failure': toggle('Go on when authentication cannot be looked up.', 'true'),
  'secure-port': integer('10259', 'The port on which to serve HTTPS. 0 is none.'),
  'kube-api-qps': { kind: 'number', default: '50', help: 'QPS to use while talking with the API server.' },
  'kube-api-burst': integer('100', 'Burst to use while talking with the API server.'),
  'pod-max-in-unschedulable-pods-duration': duration('5m', 'How long a pod waits without any event.'),
  'contention-profiling': toggle('Enable block profiling.', 'true'),
  'permit-address-sharing': toggle('Set SO_REUSEADDR on the port.'),
  'permit-port-sharing': toggle('Set SO_REUSEPORT on the port.'),
  v: { kind: 'integer', default: '0', help: 'Log verbosity.', short: 'v' },
  'show-hidden-metrics-for-version': path('The previous version for which to show hidden metrics.'),
  'leader-elect-resource-name': text('The name of the lease.', 'kube-scheduler'),
} as const;
