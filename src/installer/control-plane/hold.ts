/** Static pods that are stopped for a while: their manifests are put away, and put back. */
import { basename } from 'node:path';
import { manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';

const stopTimeoutMs = 120_000;

/** The name of the program that a process runs, also when it is a script of Node's. */
export function programOf(commandLine: string): string {
  const [first = '', ...rest] = commandLine.split('\0');
  const script = basename(first) === 'node' ? rest.find((word) => !word.startsWith('-')) : undefined;
  return basename(script ?? first);
}

/** The users (by number) as whom a program runs, one for each of its processes. */
export async function processesOf(host: Host, program: string): Promise<number[]> {
  const owners: number[] = [];
  for (const pid of await host.list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    // Processes end while they are looked at.
    const text = await readText(host, `/proc/${pid}/cmdline`).catch(() => undefined);
    if (!text || programOf(text) !== program) continue;
    const facts = await host.stat(`/proc/${pid}`);
    if (facts) owners.push(facts.uid);
  }
  return owners;
}

/** @returns whether any of them was there */
export async function holdStaticPods(host: Host, names: readonly string[], folder: string, signal: AbortSignal) {
  await host.makeDirectory(folder, 0o700);
  let changed = false;
  for (const name of names) {
    const path = `${manifestsDir}/${name}.yaml`;
    const manifest = await host.readFile(path);
    if (!manifest) continue;
    await host.writeFile(`${folder}/${name}.yaml`, manifest, { mode: 0o600 });
    await host.remove(path);
    changed = true;
  }
  for (const name of names) {
    await waitUntil(async () => (await processesOf(host, name)).length === 0, {
      timeoutMs: stopTimeoutMs,
      signal,
      failure: () =>
        new KinitError('Timeout', `${name} has not ended ${stopTimeoutMs / 1000} s after its manifest was put away`, {
          advice: `the kubelet has to run for that: systemctl status kubelet; the manifests are in ${folder}; run the command again`,
        }),
    });
  }
  return changed;
}

/** Puts them back; those that are there already stay. */
export async function releaseStaticPods(host: Host, names: readonly string[], folder: string): Promise<boolean> {
  let changed = false;
  for (const name of names) {
    const held = await host.readFile(`${folder}/${name}.yaml`);
    if (!held) continue;
    await host.writeFile(`${manifestsDir}/${name}.yaml`, held, { mode: 0o600 });
    await host.remove(`${folder}/${name}.yaml`);
    changed = true;
  }
  return changed;
}
