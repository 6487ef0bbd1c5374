/** Which runtime this node has: written down when it is chosen, so that every later command finds it. */
import { containerdPaths } from '../config/paths.ts';
import type { Changes } from '../host/changes.ts';
import type { Host } from '../host/host.ts';
import { type Journal, type JournalEntry, openJournal } from '../host/journal.ts';

export type NodeRuntime = Omit<Extract<JournalEntry, { kind: 'runtime' }>, 'kind'>;

export const bundled: NodeRuntime = {
  runtime: 'bundle',
  socket: `unix://${containerdPaths.socket}`,
  program: 'containerd',
  kept: false,
};

export function recordedRuntime({ entries }: Pick<Journal, 'entries'>): NodeRuntime | undefined {
  return entries.find((entry) => entry.kind === 'runtime');
}

/** The recorded one, or the bundle's containerd. */
export const nodeRuntime = (journal: Pick<Journal, 'entries'>): NodeRuntime => recordedRuntime(journal) ?? bundled;

export const readNodeRuntime = async (host: Host): Promise<NodeRuntime> => nodeRuntime(await openJournal(host));

export const socketPath = ({ socket }: Pick<NodeRuntime, 'socket'>): string => socket.replace(/^unix:\/\//, '');

/** Written before the runtime is touched; what is written stays until reset. */
export async function recordRuntime({ journal }: Changes, runtime: NodeRuntime): Promise<NodeRuntime> {
  await journal.record({ kind: 'runtime', ...runtime });
  return nodeRuntime(journal);
}

export const recordBundled = (changes: Changes): Promise<NodeRuntime> => recordRuntime(changes, bundled);
