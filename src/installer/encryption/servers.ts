/** All API servers of the cluster, and which encryption configuration each of them uses. */
import { createClient } from '../../machinery/client/client.ts';
import { endpointSlices } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { joinHostPort } from '../config/cidr.ts';
import { KinitError } from '../errors.ts';
import { waitUntil } from '../host/wait.ts';

export interface ServerState {
  /** `10.0.0.11:6443` */
  address: string;
  /** Of the configuration that it uses; absent: it encrypts nothing. */
  hash?: string;
  /** Why it could not be asked. */
  problem?: string;
}

async function addressesOf(client: Client, signal: AbortSignal): Promise<string[]> {
  const slice = await client.resource(endpointSlices).get({ namespace: 'default', name: 'kubernetes' }, { signal });
  const port = slice.ports?.[0]?.port ?? 6443;
  return (slice.endpoints ?? [])
    .flatMap(({ addresses }) => addresses.map((address) => joinHostPort(address, port)))
    .sort();
}

/** Asks each API server itself, whatever the kubeconfig names. */
export async function askServers(client: Client, signal: AbortSignal): Promise<ServerState[]> {
  const addresses = await addressesOf(client, signal);
  return Promise.all(
    addresses.map(async (address): Promise<ServerState> => {
      const own = createClient({ ...client.config, server: `https://${address}` });
      try {
        const { status, body } = await own.raw('GET', '/metrics', { signal, timeoutMs: 10_000 });
        if (status !== 200) return { address, problem: `it answers ${status}` };
        const hash = /^apiserver_encryption_config_controller_last_config_info\{.*hash="(sha256:[0-9a-f]+)"\}/m.exec(
          body,
        )?.[1];
        return { address, ...(hash ? { hash } : {}) };
      } catch (error) {
        signal.throwIfAborted();
        return { address, problem: (error as Error).message };
      } finally {
        own.close();
      }
    }),
  );
}

/** @throws KinitError naming the servers that use another configuration than this one, after half a minute */
export async function untilAllUse(client: Client, hash: string, path: string, signal: AbortSignal): Promise<void> {
  let others: ServerState[] = [];
  await waitUntil(
    async () => {
      others = (await askServers(client, signal)).filter((server) => server.hash !== hash);
      return others.length === 0;
    },
    {
      timeoutMs: 30_000,
      intervalMs: 300,
      signal,
      failure: () =>
        new KinitError('Timeout', `not every API server uses ${path} of this host`, {
          seen: others.map(({ address, problem }) => `${address}: ${problem ?? 'another configuration'}`).join('\n'),
          advice: `copy ${path} to these control planes (mode 0600), and run the command again: it goes on where it was`,
        }),
    },
  );
}
