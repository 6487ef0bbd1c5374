/** Runs kinit on one control plane of an inventory and hands its output on: for commands that only ask, or are short. */
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { bundlePaths, manifestsDir } from '../config/paths.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { limitHosts } from '../inventory/read-inventory.ts';
import type { HostKeyChecking, InventoryHost } from '../inventory/types.ts';
import { findNodes } from './cluster.ts';
import { connectHost } from './connect-host.ts';
import { type Connection, quote } from './connection.ts';
import { isControlPlane, openInventory } from './plan.ts';
import type { AskPassphrase } from './ssh/passphrases.ts';

export interface InventorySource {
  inventory: string;
  limit?: string[];
  acceptHostKeys?: boolean;
  hostKeyChecking?: HostKeyChecking;
  askPassphrase?: AskPassphrase;
}

/** The control planes of the inventory that the limit leaves. */
export async function controlPlanesIn(source: InventorySource): Promise<InventoryHost[]> {
  const { inventory: path, limit, acceptHostKeys, askPassphrase } = source;
  const hostKeyChecking = source.hostKeyChecking ?? (acceptHostKeys ? 'accept-new' : undefined);
  const named = limit ? { limit } : {};
  const inventory = await openInventory({ inventoryPath: path, ...named, hostKeyChecking, askPassphrase });
  const hosts = limitHosts(inventory, limit).filter(isControlPlane);
  if (!hosts.length) throw new KinitError('Usage', `there is no control plane among the hosts of ${path}`);
  return hosts;
}

export interface ControlPlaneConnection {
  host: InventoryHost;
  connection: Connection;
}

/**
 * Connects to the first of these hosts that answers and is fit.
 * @param unfit why it is not, if so
 */
export async function connectFirst(
  hosts: readonly InventoryHost[],
  signal: AbortSignal,
  unfit: (connection: Connection) => Promise<string | undefined>,
): Promise<ControlPlaneConnection> {
  const seen: string[] = [];
  let failure: KinitError | undefined;
  for (const host of hosts) {
    let connection: Connection | undefined;
    try {
      connection = await connectHost(host, signal);
      const why = await unfit(connection);
      if (why === undefined) return { host, connection };
      seen.push(`${host.name}: ${why}`);
    } catch (error) {
      connection?.close();
      if (signal.aborted || !(error instanceof KinitError)) throw error;
      failure ??= error;
      seen.push(`${host.name}: ${error.message}`);
      continue;
    }
    connection.close();
  }
  // With one host its own error says more.
  if (failure && hosts.length === 1) throw failure;
  const lost = seen.some((line) => line.includes('no majority'));
  throw new KinitError('Connection', 'no control plane of the inventory can be asked', {
    seen: seen.join('\n'),
    ...(lost
      ? {
          advice:
            'start the control planes that are down; if they are gone for good, make etcd again of a snapshot: kinit etcd restore FILE --force --inventory …',
        }
      : {}),
  });
}

/** Why the API server of a control plane cannot be asked; undefined when it can. */
export async function whyNoApi(connection: Connection, signal: AbortSignal): Promise<string | undefined> {
  if (await findNodes(connection, signal)) return undefined;
  const silent = 'its API server does not answer';
  try {
    await runThere(connection, ['etcd', 'status', '--output', 'json'], signal);
    return silent;
  } catch (error) {
    signal.throwIfAborted();
    return `${silent}: ${asKinitError(error).message}`;
  }
}

/** Connects to the first control plane that answers and has a kinit. */
export async function withControlPlane<T>(
  source: InventorySource,
  signal: AbortSignal,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const ready = `test -x ${bundlePaths.bin}/kinit && test -e ${manifestsDir}/kube-apiserver.yaml`;
  const { connection } = await connectFirst(await controlPlanesIn(source), signal, async (candidate) =>
    (await candidate.root(ready, { signal })).code === 0 ? undefined : 'it is no control plane of kinit',
  );
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

/** @throws KinitError with the words of the kinit there */
export async function runThere(
  connection: Connection,
  words: readonly string[],
  signal: AbortSignal,
  onStdout?: (chunk: Buffer) => void,
  stdin?: string,
): Promise<string> {
  const command = [`${bundlePaths.bin}/kinit`, ...words].map(quote).join(' ');
  const result = await connection.root(command, {
    signal,
    timeoutMs: 0,
    ...(onStdout ? { onStdout } : {}),
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (result.code === 0) return result.stdout;
  const [first = '', ...rest] = result.stderr.trim().split('\n');
  throw new KinitError('Command', first.replace(/^error(?: \([^)]*\))?: /, '') || `kinit ended with ${result.code}`, {
    host: connection.host,
    ...wordsOf(rest, /^ *seen: /, 'seen'),
    ...wordsOf(rest, /^ *what to do: /, 'advice'),
  });
}

/** A detail of an error, of the lines that begin with its name. */
function wordsOf<K extends string>(lines: readonly string[], label: RegExp, name: K): { [N in K]?: string } {
  const found = lines.filter((line) => label.test(line)).map((line) => line.replace(label, ''));
  return (found.length ? { [name]: found.join('\n') } : {}) as { [N in K]?: string };
}

/** Copies a file of the host here, 0600; it gets its name when all of it has come. @returns its sha256 */
export async function download(
  connection: Connection,
  remote: string,
  local: string,
  signal: AbortSignal,
): Promise<string> {
  const draft = `${local}.${process.pid}.kinit-draft`;
  const hash = createHash('sha256');
  const file = await open(draft, 'wx', 0o600);
  let writing: Promise<unknown> = Promise.resolve();
  let failure: unknown;
  try {
    const onStdout = (chunk: Buffer) => {
      const copy = Buffer.from(chunk);
      hash.update(copy);
      writing = writing
        .then(() => file.write(copy))
        .catch((error: unknown) => {
          failure ??= error;
        });
    };
    const { code, stderr } = await connection.root(`cat ${quote(remote)}`, { onStdout, signal, timeoutMs: 0 });
    await writing;
    if (failure) throw failure;
    if (code !== 0) {
      throw new KinitError('Command', `${remote} cannot be read`, { host: connection.host, seen: stderr.trim() });
    }
    await file.sync();
    await file.close();
    await rename(draft, local);
    return hash.digest('hex');
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}
