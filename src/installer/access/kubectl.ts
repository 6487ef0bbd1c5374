/** The stock kubectl: where it is, and running it with this terminal, input and exit code. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants as files } from 'node:fs';
import { access } from 'node:fs/promises';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { bundlePaths, kubeconfigPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';

const canRun = (path: string, mode = files.X_OK) =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** The one of the unpacked bundle, otherwise the one in PATH. */
export async function findKubectl(env: NodeJS.ProcessEnv): Promise<string> {
  const places = [bundlePaths.bin, ...(env['PATH'] ?? '').split(delimiter).filter(Boolean)];
  for (const place of places) {
    const path = join(place, 'kubectl');
    if (await canRun(path)) return path;
  }
  throw new KinitError('Usage', 'there is no kubectl on this machine', {
    seen: `looked in ${places.join(', ')}`,
    advice: 'unpack the bundle (sh kinit-….run, as root), or install kubectl, or put it into PATH',
  });
}

/** On a host without a kubeconfig of the user: the administrator's, when it may be read. */
export async function localKubeconfig(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (env['KUBECONFIG']) return undefined;
  if (env['HOME'] && (await canRun(join(env['HOME'], '.kube/config'), files.R_OK))) return undefined;
  return (await canRun(kubeconfigPaths.admin, files.R_OK)) ? kubeconfigPaths.admin : undefined;
}

/** Flags with which kubectl would go elsewhere. */
const ownWays = /^(--kubeconfig|--server|-s|--tls-server-name|--certificate-authority|--cluster)(=|$)/;

/** @throws KinitError Usage for flags that a tunnel makes senseless */
export function checkTunnelWords(words: readonly string[]): void {
  const end = words.indexOf('--');
  const wrong = (end === -1 ? words : words.slice(0, end)).find((word) => ownWays.test(word));
  if (wrong === undefined) return;
  throw new KinitError('Usage', `${wrong} is not for use with --inventory: the inventory says where the cluster is`, {
    advice: 'leave it out, or run kubectl itself',
  });
}

const passedOn = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;

/** Runs it to its end. @returns its exit code; 128 and the signal's number when a signal ended it */
export async function runKubectl(path: string, words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(path, words, { stdio: 'inherit', env });
  // The terminal's own Ctrl-C reaches kubectl by itself; kinit stays until kubectl has ended.
  const fromTerminal = new Set<string>(process.stdin.isTTY ? ['SIGINT', 'SIGQUIT'] : []);
  const listeners = passedOn.map((signal) => {
    const listener = () => void (fromTerminal.has(signal) || child.kill(signal));
    process.on(signal, listener);
    return () => process.removeListener(signal, listener);
  });
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal ? constants.signals[signal] : 0);
  } catch (cause) {
    throw new KinitError('Command', `cannot run ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    for (const remove of listeners) remove();
  }
}
