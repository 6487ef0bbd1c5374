/** The kubeconfig of `kinit tunnel`: a file that says whose it is, and that goes with the tunnel. */
import { readFile, rm } from 'node:fs/promises';
import { KinitError } from '../errors.ts';
import { formatKubeconfig, type Kubeconfig } from '../kubeconfig/kubeconfig.ts';
import { isRunning } from './running.ts';
import { absent, replaceFile } from './write-kubeconfig.ts';

const mark = (pid: number | string) => `# kinit tunnel ${pid}; this file goes when the tunnel ends.\n`;
const ownerOf = (text: string): number | undefined => {
  const [first = '', pid] = /^# kinit tunnel (\d+);.*\n/.exec(text) ?? [];
  return pid !== undefined && first === mark(pid) ? Number(pid) : undefined;
};

/** @throws KinitError Usage when there is a file already that no ended tunnel has left */
export async function writeTunnelKubeconfig(path: string, kubeconfig: Kubeconfig): Promise<void> {
  const before = await readFile(path, 'utf8').catch(absent);
  const owner = before === undefined ? undefined : ownerOf(before);
  if (before !== undefined && (owner === undefined || isRunning(owner))) {
    throw new KinitError('Usage', `${path} is there already`, {
      ...(owner === undefined ? {} : { seen: `it is that of another tunnel, process ${owner}` }),
      advice: 'name another file with --out',
    });
  }
  await replaceFile(path, mark(process.pid) + formatKubeconfig(kubeconfig));
}

export const removeTunnelKubeconfig = (path: string): Promise<void> => rm(path, { force: true });
