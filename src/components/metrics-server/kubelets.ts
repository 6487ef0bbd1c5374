/** Asks the kubelets for their measurements, all at once, with the credentials for the API server. */
import { isIP } from 'node:net';
import type { Node } from '../../machinery/api/types.ts';
import { readBody, Transport } from '../../machinery/client/transport.ts';
import type { RestConfig } from '../../machinery/client/types.ts';
import { type NodePoints, readResourceMetrics } from './exposition.ts';

export interface KubeletOptions {
  /** Credentials; the server is not used. */
  credentials: RestConfig;
  insecureTls: boolean;
  certificateAuthorityFile?: string | undefined;
  port: number;
  useNodeStatusPort: boolean;
  addressTypes: string[];
  timeoutMs: number;
}

export interface Kubelets {
  /** Points by node; `onError` hears of those that did not answer. */
  scrape(nodes: Node[], onError: (node: string, problem: string) => void): Promise<Map<string, NodePoints>>;
  close(): void;
}

export function createKubelets(options: KubeletOptions): Kubelets {
  const connections = new Map<string, Transport>();

  const connection = (server: string): Transport => {
    const known = connections.get(server);
    if (known) return known;
    const { caData: _, caFile: __, tlsServerName: ___, ...credentials } = options.credentials;
    const { caData, caFile } = options.credentials;
    const made = new Transport({
      ...credentials,
      ...authority(options, { caData, caFile }),
      server,
      insecureSkipTlsVerify: options.insecureTls,
    });
    connections.set(server, made);
    return made;
  };

  async function one(node: Node): Promise<NodePoints> {
    const server = kubeletAddress(node, options);
    const { timeoutMs } = options;
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await connection(server).send({ method: 'GET', path: '/metrics/resource', timeoutMs, signal });
    const body = await readBody(answer);
    if (answer.statusCode !== 200)
      throw new Error(`${server}/metrics/resource answered ${answer.statusCode}: ${body.slice(0, 200).trim()}`);
    return readResourceMetrics(body, Date.now());
  }

  return {
    async scrape(nodes, onError) {
      const round = new Map<string, NodePoints>();
      await Promise.all(
        nodes.map(async (node) => {
          const name = node.metadata?.name ?? '';
          try {
            round.set(name, await one(node));
          } catch (error) {
            onError(name, (error as Error).message);
          }
        }),
      );
      forgetOthers(new Set(nodes.flatMap((node) => addressOrNothing(node, options))));
      return round;
    },
    close: () => forgetOthers(new Set()),
  };

  function forgetOthers(used: Set<string>): void {
    for (const [server, transport] of connections) {
      if (used.has(server)) continue;
      transport.close();
      connections.delete(server);
    }
  }
}

function authority(
  { insecureTls, certificateAuthorityFile }: KubeletOptions,
  { caData, caFile }: { caData: string | undefined; caFile: string | undefined },
): Pick<RestConfig, 'caData' | 'caFile'> {
  if (insecureTls) return {};
  if (certificateAuthorityFile) return { caFile: certificateAuthorityFile };
  return { ...(caData ? { caData } : {}), ...(caFile ? { caFile } : {}) };
}

/** `https://10.0.0.11:10250`. Throws for a node without any of the addresses. */
export function kubeletAddress({ metadata, status }: Node, options: KubeletOptions): string {
  const addresses = status?.addresses ?? [];
  const address = options.addressTypes
    .map((type) => addresses.find((one) => one.type === type)?.address)
    .find((one) => one);
  if (!address)
    throw new Error(
      `node ${metadata?.name} has no address of the types ${options.addressTypes.join(', ')}: ` +
        `it has ${addresses.map(({ type, address: one }) => `${type} ${one}`).join(', ') || 'none'}`,
    );
  const stated = options.useNodeStatusPort ? status?.daemonEndpoints?.kubeletEndpoint?.Port : undefined;
  return `https://${isIP(address) === 6 ? `[${address}]` : address}:${stated || options.port}`;
}

function addressOrNothing(node: Node, options: KubeletOptions): string[] {
  try {
    return [kubeletAddress(node, options)];
  } catch {
    // The scrape has told it.
    return [];
  }
}
