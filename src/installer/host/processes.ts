/** Processes of this host, as /proc tells of them; and the commands that a kinit has left running when it was killed. */
import { readFileSync } from 'node:fs';
import type { Host } from './host.ts';

interface Stat {
  /** Of the session leader: a daemon has left the session of whoever started it. */
  session: string;
  /** In clock ticks since the boot. */
  start: string;
}

function parseStat(text: string): Stat {
  // The second field is a name in brackets, which may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { session: fields[3] ?? '', start: fields[19] ?? '' };
}

/** undefined: there is none of this number, or it is not ours to look at. */
async function readProc(host: Host, path: string): Promise<string | undefined> {
  try {
    return (await host.readFile(`/proc/${path}`))?.toString();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}

export async function processStart(host: Host, pid: string): Promise<string> {
  return parseStat((await readProc(host, `${pid}/stat`)) ?? '').start;
}

export async function commandLine(host: Host, pid: string): Promise<string> {
  return ((await readProc(host, `${pid}/cmdline`)) ?? '').replaceAll('\0', ' ').trim();
}

const markName = 'KINIT_COMMAND_OF';
const markOf = (pid: string, session: string) => `${markName}=${pid}.${session}`;
let ownMark: Record<string, string> | undefined;

/** In the environment of each command, so that it can be found when this process is killed. Nothing where there is no /proc. */
export function commandMark(): Record<string, string> {
  if (process.platform !== 'linux') return {};
  ownMark ??= { [markName]: `${process.pid}.${parseStat(readFileSync('/proc/self/stat', 'utf8')).session}` };
  return ownMark;
}

/** What a kinit that is no more has started and that has not ended; daemons stay on purpose. @returns `pid 12: useradd …` */
export async function commandsLeftBy(host: Host, pid: string): Promise<string[]> {
  const left: string[] = [];
  for (const id of await host.list('/proc')) {
    if (!/^\d+$/.test(id)) continue;
    const environment = (await readProc(host, `${id}/environ`))?.split('\0');
    const mark = environment?.find((entry) => entry.startsWith(`${markName}=${pid}.`));
    if (!mark) continue;
    const { session } = parseStat((await readProc(host, `${id}/stat`)) ?? '');
    if (mark === markOf(pid, session)) left.push(`pid ${id}: ${await commandLine(host, id)}`);
  }
  return left;
}
