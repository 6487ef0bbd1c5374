/** What is there of a lab on the machine: processes, mounts, control groups, namespaces, interfaces, files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { LabState } from '../../lab/state.ts';

/** One line per trace; empty when nothing is left. */
export async function tracesOf(state: LabState): Promise<string[]> {
  const { stdout: groups } = await execa(
    'find',
    ['/sys/fs/cgroup', '-type', 'd', '-name', `${state.network.bridge}-*`],
    {
      reject: false,
    },
  );
  const { stdout: namespaces } = await execa('ip', ['netns', 'list']);
  const { stdout: links } = await execa('ip', ['-brief', 'link']);
  const { bridge } = state.network;
  return [
    ...processesNaming([state.folder, `supervisor.ts\0${state.name}\0`]),
    ...lines(readFileSync('/proc/self/mounts', 'utf8'), (line) => line.includes(`${state.folder}/`)),
    ...lines(groups, (line) => line.includes('kinit-lab/')),
    ...lines(namespaces, (line) => line.startsWith(`${bridge}-`)),
    ...lines(links, (line) => line.startsWith(`${bridge} `) || line.startsWith(`${bridge}v`)),
    ...(existsSync(state.folder) ? [state.folder] : []),
  ];
}

const lines = (text: string, wanted: (line: string) => boolean) => text.split('\n').filter(wanted);

function processesNaming(words: string[]): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => `${pid} ${commandLine(pid)}`)
    .filter((line) => words.some((word) => line.includes(word)));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(join('/proc', pid, 'cmdline'), 'utf8');
  } catch {
    return ''; // It has just ended.
  }
}
