/** `kinit certs rotate-ca status --inventory`: what each host says of itself. */
import { KinitError } from '../errors.ts';
import type { RotationStatus } from '../rotation/status.ts';
import { connectHost } from './connect-host.ts';
import { type InventorySource, runThere } from './on-control-plane.ts';
import { openInventory } from './plan.ts';

export interface HostRotation {
  host: string;
  status?: RotationStatus;
  /** Why it could not be asked. */
  problem?: string;
}

export async function rotationOf(source: InventorySource, signal: AbortSignal): Promise<HostRotation[]> {
  const { inventory: inventoryPath, askPassphrase, hostKeyChecking } = source;
  const { hosts } = await openInventory({ inventoryPath, askPassphrase, hostKeyChecking });
  return Promise.all(
    hosts.map(async (host): Promise<HostRotation> => {
      try {
        const connection = await connectHost(host, signal);
        try {
          const text = await runThere(connection, ['certs', 'rotate-ca', 'status', '--output', 'json'], signal);
          const [own] = JSON.parse(text) as HostRotation[];
          return { host: host.name, ...(own?.status ? { status: own.status } : {}) };
        } finally {
          connection.close();
        }
      } catch (error) {
        if (signal.aborted || !(error instanceof KinitError)) throw error;
        return { host: host.name, problem: error.message };
      }
    }),
  );
}
