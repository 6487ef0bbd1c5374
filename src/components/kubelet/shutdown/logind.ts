/**
 * systemd-logind's side of a shutdown: it tells of one beforehand, and waits while somebody holds an inhibitor lock. Its own
 * tools speak to it: a lock is a file descriptor that travels over the bus, which Node cannot receive.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { pause } from '../../../machinery/process/pause.ts';
import { run } from '../../../machinery/process/run.ts';

/** Upstream's kubelet writes the same file. */
const dropIn = '/etc/systemd/logind.conf.d/99-kubelet.conf';

/** How long logind waits at most, milliseconds. */
async function longestDelay(): Promise<number> {
  const property = ['org.freedesktop.login1', '/org/freedesktop/login1', 'org.freedesktop.login1.Manager'];
  const { code, stdout, stderr } = await run('busctl', ['get-property', ...property, 'InhibitDelayMaxUSec']);
  const value = /^t (\d+)/.exec(stdout)?.[1];
  if (code !== 0 || value === undefined) throw new Error(`systemd-logind does not answer: ${stderr.trim() || stdout}`);
  return Number(value) / 1000;
}

/** Makes logind wait for at least this long. Throws when it does not. */
export async function allowDelay(seconds: number, signal: AbortSignal): Promise<void> {
  if ((await longestDelay()) >= seconds * 1000) return;
  await mkdir(dirname(dropIn), { recursive: true });
  await writeFile(`${dropIn}.draft`, `# Kubelet logind override\n[Login]\nInhibitDelayMaxSec=${seconds}\n`);
  await rename(`${dropIn}.draft`, dropIn);
  await run('systemctl', ['kill', '--signal=HUP', 'systemd-logind.service']);
  const deadline = Date.now() + 5000;
  for (;;) {
    const ms = await longestDelay();
    if (ms >= seconds * 1000) return;
    if (Date.now() > deadline)
      throw new Error(
        `node shutdown manager was unable to update logind InhibitDelayMaxSec to ${seconds}s (ShutdownGracePeriod), current value of InhibitDelayMaxSec (${ms / 1000}s) is less than requested ShutdownGracePeriod`,
      );
    await pause(100, signal);
  }
}

/** A lock that delays a shutdown until it is released, or until this process ends. */
export function inhibitShutdown(onLost: () => void): { release(): void } {
  const what = ['--what=shutdown', '--mode=delay', '--who=kubelet'];
  // `cat` ends with the pipe to this process, and the lock with `cat`.
  const child = spawn('systemd-inhibit', [...what, '--why=Kubelet needs time to handle node shutdown', 'cat'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  let released = false;
  whenEnded(child, () => {
    if (!released) onLost();
  });
  return {
    release() {
      released = true;
      child.stdin?.destroy();
    },
  };
}

/** Calls back with each PrepareForShutdown signal: true before a shutdown, false when it was called off. */
export function watchShutdown(onPrepare: (active: boolean) => void, log: Logger, signal: AbortSignal): void {
  const match =
    "type='signal',sender='org.freedesktop.login1',path='/org/freedesktop/login1',interface='org.freedesktop.login1.Manager',member='PrepareForShutdown'";
  const watch = () => {
    const child = spawn('busctl', ['--system', `--match=${match}`, 'monitor'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const stop = () => child.kill();
    signal.addEventListener('abort', stop, { once: true });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const found = prepareSignals(text);
      text = found.rest;
      for (const active of found.signals) onPrepare(active);
    });
    whenEnded(child, () => {
      signal.removeEventListener('abort', stop);
      if (signal.aborted) return;
      log.warn('busctl monitor ended; shutdowns are watched again in 5 s');
      setTimeout(() => {
        if (!signal.aborted) watch();
      }, 5000);
    });
  };
  watch();
}

/** The values in busctl's text about signals, and what follows the last whole one. */
export function prepareSignals(text: string): { signals: boolean[]; rest: string } {
  const signals: boolean[] = [];
  let rest = text;
  for (;;) {
    const found = /Member=PrepareForShutdown\b[\s\S]*?BOOLEAN (true|false);/.exec(rest);
    if (!found) return { signals, rest: rest.slice(-4096) };
    signals.push(found[1] === 'true');
    rest = rest.slice(found.index + found[0].length);
  }
}

function whenEnded(child: ChildProcess, then: () => void): void {
  let told = false;
  const once = () => {
    if (!told) then();
    told = true;
  };
  child.on('error', once);
  child.on('exit', once);
}
