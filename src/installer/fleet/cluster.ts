/** What the workstation asks of a running cluster, through the control plane's own kubectl and kinit. */
import { chmod, readFile } from 'node:fs/promises';
import { isConditionTrue } from '../../machinery/api/conditions.ts';
import type { KubeList, Node } from '../../machinery/api/types.ts';
import { replaceFile } from '../access/write-kubeconfig.ts';
import { bundlePaths, kubeconfigPaths } from '../config/paths.ts';
import { errorTable, KinitError } from '../errors.ts';
import { stateFolder } from '../host/journal.ts';
import { pause } from '../host/wait.ts';
import type { InventoryHost } from '../inventory/types.ts';
import { formatKubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { type Connection, quote } from './connection.ts';
import type { JoinSecret } from './documents.ts';

/** The bundle's kubectl on a control plane. Its cache goes where a reset takes it away. */
export const kubectl = `${bundlePaths.bin}/kubectl --kubeconfig ${kubeconfigPaths.admin} --cache-dir ${stateFolder}/kubectl`;
const tokenTtl = '1h';

const apiPatienceMs = 30_000;

/** Like `must`, of a command of kinit; an API server that does not answer for a moment (a virtual address moves) is asked again. */
export async function mustOfApi(
  connection: Connection,
  what: string,
  command: string,
  options: { signal: AbortSignal; timeoutMs?: number },
): Promise<string> {
  for (const deadline = Date.now() + apiPatienceMs; Date.now() < deadline; await pause(1_000, options.signal)) {
    const { code, stdout } = await connection.root(command, options);
    if (code === 0) return stdout;
    if (code !== errorTable.Api) break;
  }
  return connection.must(what, command, options);
}

/** A new token and what else a host needs to join. */
export async function createJoinSecret(connection: Connection, signal: AbortSignal): Promise<JoinSecret> {
  const command = `${bundlePaths.bin}/kinit token create --ttl ${tokenTtl} --description 'kinit join over an inventory' --print-join-command`;
  const line = await mustOfApi(connection, 'creating a token', command, { signal });
  const secret = parseJoinCommand(line);
  if (secret) return secret;
  throw new KinitError('Command', 'kinit token create printed no join command', { host: connection.host });
}

export function parseJoinCommand(text: string): JoinSecret | undefined {
  const match = /kinit join (\S+) --token (\S+) --discovery-token-ca-cert-hash (\S+)/.exec(
    text.replaceAll(/(\\?\s)+/g, ' '),
  );
  if (!match) return undefined;
  const [, apiServerEndpoint = '', token = '', hash = ''] = match;
  return { apiServerEndpoint, token, caCertHashes: [hash] };
}

/** The nodes, undefined while the API server does not answer. */
export async function findNodes(connection: Connection, signal: AbortSignal): Promise<Node[] | undefined> {
  // Without discovery, which kubectl would keep in files.
  const { code, stdout } = await connection.root(`${kubectl} get --raw /api/v1/nodes --request-timeout=10s`, {
    signal,
    timeoutMs: 20_000,
    again: true,
  });
  return code === 0 ? (JSON.parse(stdout) as KubeList<Node>).items : undefined;
}

export const isReady = (node: Node): boolean => isConditionTrue(node.status?.conditions, 'Ready');

/**
 * Waits until all these nodes are Ready.
 * @param waiting told which are not, whenever that changes
 */
export async function waitForNodes(
  connection: Connection,
  names: readonly string[],
  signal: AbortSignal,
  waiting: (names: string[]) => void,
  deadlineMs = 300_000,
): Promise<Node[]> {
  const deadline = Date.now() + deadlineMs;
  let before = '';
  for (;;) {
    const nodes = (await findNodes(connection, signal)) ?? [];
    const missing = names.filter((name) => !nodes.some((node) => node.metadata?.name === name && isReady(node)));
    if (missing.length === 0) return nodes;
    if (missing.join() !== before) waiting(missing);
    before = missing.join();
    if (Date.now() > deadline) {
      const seen = missing.map((name) => `${name}: ${whyNotReady(nodes.find((node) => node.metadata?.name === name))}`);
      throw new KinitError('Timeout', `not Ready after ${deadlineMs / 1000} s: ${missing.join(', ')}`, {
        seen: seen.join('\n'),
        advice: 'on these hosts, look at: journalctl -u kubelet',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function whyNotReady(node: Node | undefined): string {
  if (!node) return 'the node does not exist';
  return node.status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? 'no status yet';
}

/** Gives a host's node the labels that it lacks: a kubelet may not set all of them. */
export async function addLabels(
  connection: Connection,
  { nodeName, labels }: Pick<InventoryHost, 'nodeName' | 'labels'>,
  nodes: readonly Node[],
  signal: AbortSignal,
): Promise<void> {
  const found = nodes.find(({ metadata }) => metadata?.name === nodeName)?.metadata?.labels ?? {};
  const missing = Object.entries(labels).filter(([label]) => found[label] === undefined);
  if (!missing.length) return;
  const words = missing.map(([label, value]) => quote(`${label}=${value}`)).join(' ');
  await connection.must('labelling the node', `${kubectl} label node ${quote(nodeName)} --overwrite ${words}`, {
    signal,
  });
}

/**
 * The administrator's kubeconfig for the workstation.
 * @param path of the workstation, where it goes
 * @param server where the workstation reaches the API server, when that is not what the file says
 */
export async function fetchKubeconfig(
  connection: Connection,
  path: string,
  server: string | undefined,
  signal: AbortSignal,
): Promise<{ text: string; isSame: boolean }> {
  const text = await connection.must('reading the kubeconfig', `cat ${kubeconfigPaths.admin}`, {
    signal,
    again: true,
  });
  const config = parseKubeconfig(text, kubeconfigPaths.admin);
  if (server) for (const { cluster } of config.clusters) cluster.server = server;
  const wanted = server ? formatKubeconfig(config) : text;
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return { text: wanted, isSame: before === wanted };
}

/** @returns whether the file changed */
export async function writeKubeconfig(
  connection: Connection,
  path: string,
  server: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { text, isSame } = await fetchKubeconfig(connection, path, server, signal);
  if (isSame) await chmod(path, 0o600);
  else await replaceFile(path, text);
  return !isSame;
}
