/** The configuration of a control plane with the endpoint that its host has already. */
import { withLocalEndpoint } from '../config/local-endpoint.ts';
import type { InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { knownBalancer } from './balancer.ts';

/** How nodes reach the API servers is decided when a cluster is made; a host that has it keeps it. */
export async function withKnownEndpoint(host: Host, config: InitConfiguration): Promise<InitConfiguration> {
  const known = await knownBalancer(host);
  if (!known) return config;
  const { endpoint: given } = config.host;
  if (given && (given.mode !== 'local' || given.port !== known.endpoint.port)) {
    const wanted = given.mode === 'local' ? `port ${given.port}` : `mode ${given.mode}`;
    throw new KinitError(
      'Validation',
      `endpoint: ${wanted} is asked for, but this cluster was made with local endpoints on port ${known.endpoint.port}`,
      { advice: `give endpoint: {mode: local, port: ${known.endpoint.port}}, or leave it out` },
    );
  }
  return withLocalEndpoint({ ...config, host: { ...config.host, endpoint: known.endpoint } });
}
