/** `kinit tunnel`: a port of this machine that leads to the cluster, for other programs than kubectl. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { type AccessFlags, addAccessOptions, hasInventory, sourceOf } from './access-options.ts';
import { interruptSignal } from './session.ts';

interface TunnelFlags extends AccessFlags {
  port: string;
  out: string;
  output: string;
}

export function addTunnelCommand(program: Command): void {
  addAccessOptions(program.command('tunnel'))
    .description(
      'keep a port open that leads to the API server through SSH, and a kubeconfig that uses it, until Ctrl-C',
    )
    .option('--port <number>', 'port on 127.0.0.1 (default: any free one)', '0')
    .option('--out <file>', 'the kubeconfig; it is removed at the end', 'kubeconfig.tunnel')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(runTunnel);
}

async function runTunnel(flags: TunnelFlags): Promise<void> {
  if (!hasInventory(flags)) throw new KinitError('Usage', 'kinit tunnel needs --inventory');
  const port = Number(flags.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new KinitError('Usage', `--port is "${flags.port}"; it takes a number from 0 to 65535`);
  if (flags.output !== 'text' && flags.output !== 'json')
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  const { openTunnel } = await import('../installer/access/tunnel.ts');
  const { removeTunnelKubeconfig, writeTunnelKubeconfig } = await import('../installer/access/tunnel-kubeconfig.ts');
  const notice = (message: string) => void process.stderr.write(`kinit: ${message}\n`);
  const signal = interruptSignal();
  const path = resolve(flags.out);
  const tunnel = await openTunnel({ source: sourceOf(flags), signal, port, notice });
  try {
    await writeTunnelKubeconfig(path, tunnel.kubeconfig);
    try {
      const { server, host } = tunnel;
      process.stdout.write(
        flags.output === 'json'
          ? `${JSON.stringify({ server, host, kubeconfig: path })}\n`
          : `${server} leads to the API server of ${host}, until Ctrl-C:\n  export KUBECONFIG=${path}\n`,
      );
      if (!signal.aborted) await once(signal, 'abort');
    } finally {
      await removeTunnelKubeconfig(path);
    }
  } finally {
    await tunnel.close();
  }
}
