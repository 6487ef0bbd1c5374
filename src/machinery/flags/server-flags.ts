/** The flags that kube-controller-manager and kube-scheduler have in common: connections, serving, leader election. */
import { duration, integer, list, path, text, toggle } from './kinds.ts';

export const serverFlags = {
  kubeconfig: path('Path to kubeconfig file with authorization and master location information.'),
  master: path('The address of the Kubernetes API server (overrides any value in kubeconfig).'),
  'authentication-kubeconfig': path('kubeconfig file with rights to create tokenreviews.authentication.k8s.io.'),
  'authentication-skip-lookup': toggle('Do not look up missing authentication configuration from the cluster.'),
  'authentication-token-webhook-cache-ttl': duration('10s', 'The duration to cache responses from token reviews.'),
  'authorization-always-allow-paths': list('Paths served to everybody.', '/healthz,/readyz,/livez'),
  'authorization-kubeconfig': path('kubeconfig file with rights to create subjectaccessreviews.authorization.k8s.io.'),
  'authorization-webhook-cache-authorized-ttl': duration('10s', 'The duration to cache authorized responses.'),
  'authorization-webhook-cache-unauthorized-ttl': duration('10s', 'The duration to cache unauthorized responses.'),
  'bind-address': text('The IP address on which to listen for the --secure-port port.', '0.0.0.0'),
  'cert-dir': path('The directory where the TLS certs are located.'),
  'tls-cert-file': path('File containing the x509 certificate for HTTPS.'),
  'tls-private-key-file': path('File containing the key matching --tls-cert-file.'),
  'tls-cipher-suites': list('Cipher suites for the server.'),
  'tls-min-version': path('Minimum TLS version supported.'),
  'client-ca-file': path('Client certificates signed by an authority in this file are authenticated.'),
  'requestheader-client-ca-file': path('Root certificates of front proxies.'),
  'requestheader-allowed-names': list('Common names of front proxies.'),
  'requestheader-extra-headers-prefix': list('Prefixes of headers with extra information.', 'x-remote-extra-'),
  'requestheader-group-headers': list('Headers with groups.', 'x-remote-group'),
  'requestheader-username-headers': list('Headers with user names.', 'x-remote-user'),
  'http2-max-streams-per-connection': integer('0', 'The limit of streams per HTTP/2 connection.'),
  'kube-api-content-type': text('Content type of requests.', 'application/vnd.kubernetes.protobuf'),
  profiling: toggle('Enable profiling via web interface.', 'true'),
  'feature-gates': { kind: 'map', help: 'Key=value pairs that describe feature gates.' },
  'logging-format': text('The log format.', 'json'),
} as const;

export const leaderElectionFlags = {
  'leader-elect': toggle('Start a leader election client and gain leadership before executing the main loop.', 'true'),
  'leader-elect-lease-duration': duration('15s', 'How long others wait for a silent leader.'),
  'leader-elect-renew-deadline': duration('10s', 'How long the leader tries to renew before it gives up.'),
  'leader-elect-retry-period': duration('2s', 'Between attempts to acquire or renew.'),
  'leader-elect-resource-lock': text('The type of resource object used for locking.', 'leases'),
  'leader-elect-resource-namespace': text('The namespace of the lease.', 'kube-system'),
} as const;
