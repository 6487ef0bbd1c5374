/** Which UDP flows conntrack must forget after endpoints have changed: pure. */
import type { Endpoint, ServicePortInfo } from './service-ports.ts';
import type { StaleFlow } from './sync.ts';

/**
 * A removed endpoint leaves flows that go nowhere; a service that had no endpoint leaves flows that were refused.
 * @param before serving addresses by service port at the last sync
 */
export function staleUdpFlows(
  ports: ServicePortInfo[],
  endpoints: Map<string, Endpoint[]>,
  before: Map<string, string[]>,
): { flows: StaleFlow[]; now: Map<string, string[]> } {
  const now = new Map<string, string[]>();
  const flows: StaleFlow[] = [];
  for (const port of ports) {
    if (port.protocol !== 'UDP') continue;
    const serving = (endpoints.get(port.name) ?? []).filter((e) => e.serving).map((e) => e.ip);
    now.set(port.name, serving);
    const earlier = before.get(port.name);
    if (!earlier) continue;
    const destinations = [port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs];
    for (const originalDestination of destinations) {
      for (const endpoint of earlier.filter((ip) => !serving.includes(ip)))
        flows.push({ originalDestination, port: port.port, endpoint });
      if (!earlier.length && serving.length) flows.push({ originalDestination, port: port.port });
    }
  }
  return { flows, now };
}
