/** Answers load balancers, per service with externalTrafficPolicy Local, whether this node has endpoints of it. */
import { createServer, type Server } from 'node:http';
import type { Endpoint, ServicePortInfo } from './service-ports.ts';

export class HealthCheckNodePorts {
  readonly #servers = new Map<number, { server: Server; service: string }>();
  readonly #localEndpoints = new Map<string, number>();
  readonly #onError: (message: string) => void;
  constructor(onError: (message: string) => void) {
    this.#onError = onError;
  }

  async update(ports: ServicePortInfo[], endpoints: Map<string, Endpoint[]>): Promise<void> {
    const wanted = new Map<number, string>();
    this.#localEndpoints.clear();
    for (const port of ports) {
      if (!port.healthCheckNodePort) continue;
      wanted.set(port.healthCheckNodePort, port.namespacedName);
      const local = (endpoints.get(port.name) ?? []).filter((e) => e.local && e.ready).length;
      this.#localEndpoints.set(
        port.namespacedName,
        Math.max(local, this.#localEndpoints.get(port.namespacedName) ?? 0),
      );
    }
    for (const [port, { server, service }] of this.#servers) {
      if (wanted.get(port) === service) continue;
      server.close();
      this.#servers.delete(port);
    }
    for (const [port, service] of wanted) if (!this.#servers.has(port)) this.#listen(port, service);
  }

  close(): void {
    for (const { server } of this.#servers.values()) server.close();
    this.#servers.clear();
  }

  #listen(port: number, service: string): void {
    const [namespace, name] = service.split('/');
    const server = createServer((_req, res) => {
      const localEndpoints = this.#localEndpoints.get(service) ?? 0;
      res.writeHead(localEndpoints ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
      });
      res.end(`${JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: true })}\n`);
    });
    server.on('error', (error) => this.#onError(`health check node port ${port} of ${service}: ${error.message}`));
    server.listen(port);
    this.#servers.set(port, { server, service });
  }
}
