/** The command line of metrics-server: upstream's flags. */
import { duration, integer, list, path, text, toggle } from '../../machinery/flags/kinds.ts';

export const flags = {
  kubeconfig: path('The path to the kubeconfig of the API server and the kubelets; the service account when absent.'),
  'authentication-kubeconfig': path('kubeconfig file with rights to create tokenreviews.authentication.k8s.io.'),
  'authorization-kubeconfig': path('kubeconfig file with rights to create subjectaccessreviews.authorization.k8s.io.'),
  'authorization-always-allow-paths': list('Paths served to everybody.', '/healthz,/readyz,/livez'),
  'bind-address': text('The IP address on which to listen for the --secure-port port.', '0.0.0.0'),
  'secure-port': integer('443', 'The port on which to serve HTTPS.'),
  'cert-dir': text('Accepted: the self-signed certificate is kept in memory.', 'apiserver.local.config/certificates'),
  'tls-cert-file': path('File containing the x509 certificate for HTTPS.'),
  'tls-private-key-file': path('File containing the key matching --tls-cert-file.'),
  'tls-cipher-suites': list('Cipher suites for the server.'),
  'tls-min-version': path('Minimum TLS version supported.'),
  'metric-resolution': duration('60s', 'The resolution at which metrics are collected; at least 10s.'),
  'kubelet-insecure-tls': toggle("Do not verify the kubelets' certificates."),
  'kubelet-certificate-authority': path("File with the authority of the kubelets' serving certificates."),
  'kubelet-port': integer('10250', 'The port of kubelets.'),
  'kubelet-use-node-status-port': toggle('Use the port in the node status.'),
  'kubelet-preferred-address-types': list(
    'The order in which addresses of nodes are tried.',
    'Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP',
  ),
  'kubelet-request-timeout': duration('10s', 'How long a kubelet may take to answer.'),
  'node-selector': text('Label selector of the nodes whose metrics are collected.', ''),
  profiling: toggle('Accepted; there are no profiling endpoints.'),
  'logging-format': text('The log format.', 'json'),
  v: { kind: 'integer', default: '0', help: 'Log verbosity.', short: 'v' },
} as const;
