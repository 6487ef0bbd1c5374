/** The list of API servers on disk: with it a node finds its cluster after a reboot, whoever of those it knew is left. */
import { readFile } from 'node:fs/promises';
import { writeFileIfChanged } from '../../machinery/atomic-file.ts';
import { type Member, splitServer } from './members.ts';

/** What was remembered, nothing when there is no file. @throws Error when the file is not what `remember` writes */
export async function recall(path: string): Promise<Member[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]';
    throw error;
  });
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

function parse(value: unknown): Member[] {
  if (!Array.isArray(value)) throw new Error('is not a list of servers');
  return value.map((item: unknown) => {
    const { server, goneSince } = (item ?? {}) as Record<string, unknown>;
    if (typeof server !== 'string') throw new Error('has an entry without server');
    splitServer(server);
    return typeof goneSince === 'number' ? { server, goneSince } : { server };
  });
}

/** @returns whether the file changed */
export function remember(path: string, members: readonly Member[]): Promise<boolean> {
  return writeFileIfChanged(path, `${JSON.stringify(members, null, 1)}\n`, 0o600);
}
