/** The configuration of a control plane with the endpoint that its host has already. */
import { defaultEndpointPort } from '../config/defaults.ts';
import { withEndpoint } from '../config/local-endpoint.ts';
import type { EndpointSettings, InitConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { knownBalancer } from './balancer.ts';
import { knownVirtualIp } from './virtual-ip.ts';

/** How the API servers are reached is decided when a cluster is made; a host that knows it keeps it. */
export async function withKnownEndpoint(host: Host, config: InitConfiguration): Promise<InitConfiguration> {
  const balancer = await knownBalancer(host);
  const virtualIp = await knownVirtualIp(host);
  if (!balancer && !virtualIp) return config;
  const known: EndpointSettings = {
    ...(balancer?.endpoint ?? { mode: 'shared', port: defaultEndpointPort }),
    ...virtualIp,
  };
  const { endpoint: given } = config.host;
  const differs =
    given &&
    (['mode', 'virtualIP', ...(balancer ? ['port' as const] : [])] as const).find(
      (field) => given[field] !== known[field],
    );
  if (differs) {
    const settings = Object.entries(known).map(([name, value]) => `${name}: ${value}`);
    throw new KinitError(
      'Validation',
      `endpoint.${differs} is ${given[differs] ?? 'not given'}, but this cluster was made with ${known[differs] ?? 'none'}`,
      { advice: `give endpoint: {${settings.join(', ')}}, or leave it out` },
    );
  }
  return withEndpoint({ ...config, host: { ...config.host, endpoint: known } });
}
