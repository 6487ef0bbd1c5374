/** What is mounted below folders of a host, wherever links lead. */
import { type Host, readText } from './host.ts';

/** Mount points below any of the folders, deepest first. */
export function mountsBelow(mountinfo: string, folders: readonly string[]): string[] {
  return mountinfo
    .split('\n')
    .map((line) =>
      line.split(' ')[4]?.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path): path is string => path !== undefined && folders.some((folder) => path.startsWith(`${folder}/`)))
    .reverse();
}

/** The kernel's table has no links in it: folders are looked up as they really are. */
export async function mountsIn(host: Host, folders: readonly string[]): Promise<string[]> {
  const real: string[] = [];
  for (const folder of folders) {
    const { exitCode, stdout } = await host.run('readlink', ['-f', folder], { observe: true });
    real.push(exitCode === 0 && stdout.trim() ? stdout.trim() : folder);
  }
  return mountsBelow((await readText(host, '/proc/self/mountinfo')) ?? '', real);
}
