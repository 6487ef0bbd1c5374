/** How the balancer itself speaks to API servers: as the kubelet of its node, and before there is one as nobody. */
import { statSync } from 'node:fs';
import { createClient } from '../../machinery/client/client.ts';
import { loadKubeconfig } from '../../machinery/client/kubeconfig.ts';
import type { Client, RestConfig } from '../../machinery/client/types.ts';
import type { Outcome } from './health.ts';

export interface AccessFiles {
  kubeconfig: string;
  certificateAuthority: string;
}

export class Access {
  readonly #files: AccessFiles;
  readonly #name: string;
  readonly #clients = new Map<string, Client>();
  #config: Omit<RestConfig, 'server'>;
  #version = 0;

  /** @param name where clients connect: a server whose certificate is not valid for it is none for them */
  constructor(files: AccessFiles, name: string) {
    this.#files = files;
    this.#name = name;
    this.#config = this.#anonymous();
  }

  /** Changes whenever the credentials did: 0 while there are none. */
  get version(): number {
    return this.#version;
  }

  client(server: string): Client {
    const client = this.#clients.get(server) ?? createClient({ ...this.#config, server: `https://${server}` });
    this.#clients.set(server, client);
    return client;
  }

  /** Reads the kubeconfig when it is another one than before. @throws Error when it cannot be used */
  async refresh(): Promise<void> {
    const { kubeconfig } = this.#files;
    const version = statSync(kubeconfig, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (version === this.#version) return;
    const { certData, certFile, keyData, keyFile, token } = version ? await loadKubeconfig(kubeconfig) : {};
    const credentials = Object.entries({ certData, certFile, keyData, keyFile, token });
    this.#config = {
      ...this.#anonymous(),
      ...Object.fromEntries(credentials.filter(([, value]) => value !== undefined)),
    };
    this.#version = version;
    this.close();
  }

  async probe(server: string, timeoutMs: number, signal: AbortSignal): Promise<{ outcome: Outcome; seen: string }> {
    try {
      const { status } = await this.client(server).raw('GET', '/readyz', { timeoutMs, signal });
      // Who may not ask knows at least that an API server of this cluster has answered.
      const ready = status === 200 || status === 401 || status === 403;
      return { outcome: ready ? 'ready' : 'unready', seen: `HTTP ${status} for /readyz` };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return { outcome: code === 'ECONNREFUSED' ? 'refused' : 'silent', seen: message };
    }
  }

  /** Of a server that is not known any more. */
  forget(server: string): void {
    this.#clients.get(server)?.close();
    this.#clients.delete(server);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #anonymous(): Omit<RestConfig, 'server'> {
    return { caFile: this.#files.certificateAuthority, tlsServerName: this.#name, userAgent: 'kinit-balancer' };
  }
}
