/** A client of the cluster for the time of a command; what the cluster refuses is told with where it was asked. */
import { KinitError } from '../installer/errors.ts';
import { localHost } from '../installer/host/host.ts';
import type { Client } from '../machinery/client/types.ts';

export async function withClient<T>(kubeconfig: string, work: (client: Client) => Promise<T>): Promise<T> {
  const { clientFromFile } = await import('../installer/phases/run.ts');
  const client = await clientFromFile(localHost(), kubeconfig);
  try {
    return await work(client);
  } catch (error) {
    if (error instanceof KinitError) throw error;
    throw new KinitError('Api', error instanceof Error ? error.message : String(error), {
      seen: `asked ${client.config.server}`,
      advice: 'check that the control plane runs and that the kubeconfig is for it',
      cause: error,
    });
  } finally {
    client.close();
  }
}
