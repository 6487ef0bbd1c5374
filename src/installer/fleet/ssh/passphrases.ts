/** Passphrases of private keys: asked for once, on a terminal, before any host is reached. */
import { readFile } from 'node:fs/promises';
import type { SshTarget } from '../../inventory/types.ts';
import { agentKeys } from './agent.ts';
import { candidateKeys, openKey, publicKeyOf } from './key-files.ts';

/** Asks somebody for the passphrase of a key; undefined when there is nobody to ask. */
export type AskPassphrase = (keyPath: string, wrongBefore: boolean) => Promise<string | undefined>;

/** What was typed in this run, by the key's path. It stays in memory. */
const typed = new Map<string, string>();
export const typedPassphrase = (keyPath: string): string | undefined => typed.get(keyPath);

const attempts = 3;

/** Asks for the passphrases of the keys that these targets need and that no agent has. */
export async function askPassphrases(
  targets: readonly SshTarget[],
  env: NodeJS.ProcessEnv,
  ask: AskPassphrase,
): Promise<void> {
  const asked = new Set<string>();
  for (const first of targets) {
    for (let target: SshTarget | undefined = first; target; target = target.bastion) {
      for (const path of await lockedKeys(target, env)) {
        if (asked.has(path) || typed.has(path)) continue;
        asked.add(path);
        await askFor(path, ask);
      }
    }
  }
}

async function askFor(path: string, ask: AskPassphrase): Promise<void> {
  const text = await readFile(path, 'utf8');
  for (let attempt = 0; attempt < attempts; attempt++) {
    const answer = await ask(path, attempt > 0);
    if (!answer) return;
    if (openKey(text, answer) instanceof Error) continue;
    typed.set(path, answer);
    return;
  }
}

/** Keys that are named, or the usual ones when nothing else is there to log in with. */
async function lockedKeys(target: SshTarget, env: NodeJS.ProcessEnv): Promise<string[]> {
  if (target.passphraseFromEnv || target.passwordFromEnv) return [];
  const { paths, named } = candidateKeys(target);
  const found: string[] = [];
  let usable = false;
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const parsed = openKey(text, undefined);
    if (!(parsed instanceof Error)) usable = true;
    else if (/encrypted/i.test(parsed.message)) found.push(path);
  }
  if (!found.length) return [];
  const socket = target.agent ?? env['SSH_AUTH_SOCK'];
  const held = socket ? await agentKeys(socket).catch(() => []) : [];
  if (!named && (usable || held.length)) return [];
  const isHeld = await Promise.all(
    found.map(async (path) => {
      const key = await publicKeyOf(path);
      return key !== undefined && held.some((one) => one.equals(key));
    }),
  );
  return found.filter((_, index) => !isHeld[index]);
}
