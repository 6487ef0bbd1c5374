/**
 * As whom `kinit join` asks the API server. A control plane may start anew in the middle of a join: a question that nobody
 * answers is asked again for as long as `timeouts.kubernetesAPICall` says.
 */
import { createClient } from '../../machinery/client/client.ts';
import type { Client, RestConfig } from '../../machinery/client/types.ts';
import { kubeconfigPaths } from '../config/paths.ts';
import { apiPatience } from '../config/timeouts.ts';
import { dryRunClient } from '../converge/dry-run-client.ts';
import { readText } from '../host/host.ts';
import { parseKubeconfig, restConfigOf } from '../kubeconfig/kubeconfig.ts';
import type { JoinContext } from './context.ts';

/** In a dry run it sees the cluster's settings as they would be, and changes nothing. */
function patient({ config, plan: tell, stored = [] }: JoinContext, as: RestConfig): Client {
  const client = createClient(as, { patienceMs: apiPatience(config.timeouts) });
  return tell ? dryRunClient(client, { tell, stored }) : client;
}

async function fromFile({ host }: JoinContext, path: string): Promise<RestConfig> {
  return restConfigOf(parseKubeconfig((await readText(host, path)) ?? '', path), path);
}

/** As the bootstrap token; the kubelet's own identity comes later. */
export function bootstrapClient(context: JoinContext): Client {
  const { server, caPem } = context.cluster!;
  return patient(context, { server, caData: caPem, token: context.config.discovery.tlsBootstrapToken });
}

/** With the kubelet's certificate, which may see its own node. */
export async function nodeClient(context: JoinContext): Promise<Client> {
  return patient(context, await fromFile(context, kubeconfigPaths.kubelet));
}

/**
 * As the administrator; the file is there once the kubeconfigs were made. It goes to the server that was found: the one that
 * the file names may be this host's own, which is still to be started.
 */
export async function adminClient(context: JoinContext): Promise<Client> {
  const config = await fromFile(context, kubeconfigPaths.admin);
  return patient(context, { ...config, server: context.cluster!.server });
}
