/** `kinit kubectl`: the stock kubectl, through SSH when there is an inventory. */
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { type AccessFlags, addAccessOptions, hasInventory, sourceOf } from './access-options.ts';

const name = 'kubectl';

export function addKubectlCommand(program: Command): void {
  addAccessOptions(program.command(name))
    .description('run kubectl against the cluster; with --inventory through SSH and the bastions on the way')
    .argument('[words...]', "kubectl's own words and flags")
    .usage('[flags of kinit] [--] <words and flags of kubectl>')
    .action(runKubectlCommand);
}

/** All that stands behind kinit's own flags is kubectl's: `kinit kubectl -i FILE get pods -A`. */
export function passOnToKubectl(program: Command, words: readonly string[]): string[] {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const command = program.commands.find((one) => one.name() === name);
  if (words[at] !== name || !command) return [...words];
  let next = at + 1;
  for (; next < words.length; next++) {
    const word = words[next]!;
    const option = command.options.find(({ long, short }) => word === long || word === short);
    const isOwn = option !== undefined || command.options.some(({ long }) => word.startsWith(`${long}=`));
    if (!isOwn && word !== '--help' && word !== '-h') break;
    if (option && !option.isBoolean()) next++;
  }
  return words[next] === '--' || next >= words.length
    ? [...words]
    : [...words.slice(0, next), '--', ...words.slice(next)];
}

async function runKubectlCommand(words: string[], flags: AccessFlags): Promise<void> {
  const { env } = process;
  if (!hasInventory(flags)) {
    const { findKubectl, localKubeconfig, runKubectl } = await import('../installer/access/kubectl.ts');
    const kubeconfig = await localKubeconfig(env);
    const more = kubeconfig ? { KUBECONFIG: kubeconfig } : {};
    exitWith(await runKubectl(await findKubectl(env), words, { ...env, ...more }));
    return;
  }
  const { kubectlThroughTunnel } = await import('../installer/access/through-tunnel.ts');
  const connecting = new AbortController();
  const stop = () => connecting.abort(new KinitError('Interrupted', 'interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const notice = (message: string) => void process.stderr.write(`kinit: ${message}\n`);
  exitWith(await kubectlThroughTunnel({ source: sourceOf(flags), words, signal: connecting.signal, env, notice }));
}

/** What keeps the process alive (a terminal that kubectl had) must not keep it longer than kubectl. */
function exitWith(code: number): void {
  process.exit(code);
}
