/** Variables that tell where services are: FOO_SERVICE_HOST and the docker links. */
import { isIPv6 } from 'node:net';
import type { Service } from '../../../machinery/api/types.ts';

const variableName = (name: string) => name.replaceAll('-', '_').toUpperCase();

/** `default/kubernetes` is always in; services of the pod's own namespace when it enables links (they win over it). */
export function serviceVariables(services: Service[], namespace: string, links: boolean): Map<string, string> {
  const chosen = new Map<string, Service>();
  for (const service of services) {
    const { namespace: where, name = '' } = service.metadata ?? {};
    const address = service.spec?.clusterIP;
    if (!address || address === 'None') continue;
    if (links && where === namespace) chosen.set(name, service);
    else if (where === 'default' && name === 'kubernetes' && !chosen.has(name)) chosen.set(name, service);
  }
  const out = new Map<string, string>();
  for (const service of chosen.values()) addService(service, out);
  return out;
}

function addService(service: Service, out: Map<string, string>): void {
  const prefix = variableName(service.metadata?.name ?? '');
  const address = service.spec?.clusterIP ?? '';
  const ports = service.spec?.ports ?? [];
  out.set(`${prefix}_SERVICE_HOST`, address);
  out.set(`${prefix}_SERVICE_PORT`, String(ports[0]?.port ?? ''));
  for (const { name, port } of ports) if (name) out.set(`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port));
  const host = isIPv6(address) ? `[${address}]` : address;
  ports.forEach(({ port, protocol = 'TCP' }, index) => {
    const url = `${protocol.toLowerCase()}://${host}:${port}`;
    const link = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    if (index === 0) out.set(`${prefix}_PORT`, url);
    out.set(link, url);
    out.set(`${link}_PROTO`, protocol.toLowerCase());
    out.set(`${link}_PORT`, String(port));
    out.set(`${link}_ADDR`, address);
  });
}
