/**
 * A new key for what lies in etcd, in steps of which each leaves every API server able to read everything: the new key is known
 * everywhere before anybody writes with it, and the old one goes when nothing is left that it sealed. Which step comes next is
 * read from the file alone, so that a rotation that was broken off goes on.
 */
import { isConflict, isNotFound } from '../../machinery/client/errors.ts';
import { secrets } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import {
  configurationHash,
  type EncryptionKey,
  formatEncryption,
  makeEncryptionKey,
  numberOf,
  parseEncryption,
} from './configuration.ts';
import { untilAllUse } from './servers.ts';

export type RotationStep = 'add' | 'use' | 'rewrite';

/** What has to be done next with these keys, of which the first one writes. */
export function nextStep([first, ...others]: readonly EncryptionKey[]): RotationStep {
  if (!others.length) return 'add';
  return others.some((key) => numberOf(key) > numberOf(first!)) ? 'use' : 'rewrite';
}

/** The keys after a step. */
export function keysAfter(step: RotationStep, keys: readonly EncryptionKey[]): EncryptionKey[] {
  const newest = Math.max(...keys.map(numberOf));
  if (step === 'add') return [...keys, makeEncryptionKey(newest + 1)];
  if (step === 'use') return [...keys].sort((a, b) => numberOf(b) - numberOf(a));
  return keys.slice(0, 1);
}

export interface RotationOptions {
  host: Host;
  client: Client;
  path: string;
  signal: AbortSignal;
  tell(line: string): void;
}

const pageSize = 200;

export interface Advance {
  step: RotationStep;
  before: EncryptionKey[];
  after: EncryptionKey[];
  /** Of the file as it is now. */
  hash: string;
  /** How many secrets were written again. */
  rewritten: number;
}

/**
 * One step: when it begins every API server uses the file as it is here, when it has ended the file is another one, and nobody is waited
 * for.
 */
export async function advance({ host, client, path, signal }: Omit<RotationOptions, 'tell'>): Promise<Advance> {
  const text = await readText(host, path);
  if (text === undefined)
    throw new KinitError('Validation', `${path} is missing`, { advice: 'run this on a control plane' });
  const before = parseEncryption(text, path);
  // Also before the first step: a server that lags behind would not be able to read what the others write.
  await untilAllUse(client, configurationHash(text), path, signal);
  const step = nextStep(before);
  const rewritten = step === 'rewrite' ? await rewriteSecrets(client, signal) : 0;
  const after = keysAfter(step, before);
  const { uid, gid } = (await host.stat(path)) ?? {};
  await host.writeFile(path, formatEncryption(after), { mode: 0o600, uid, gid });
  return { step, before, after, hash: configurationHash(formatEncryption(after)), rewritten };
}

/** What a step has done, once every API server uses its file. */
export function describe({ step, before, after, rewritten }: Advance, path: string): string[] {
  if (step === 'add') return [`every API server knows ${after.at(-1)!.name}`];
  if (step === 'use') return [`every API server writes with ${after[0]!.name}`];
  const gone = before.slice(1).map(({ name }) => name);
  return [`${rewritten} secrets are encrypted with ${after[0]!.name}`, `${gone.join(', ')} is gone from ${path}`];
}

/** @returns how many secrets were written again */
export async function rotateKeys(options: RotationOptions): Promise<number> {
  const { client, path, signal, tell } = options;
  for (;;) {
    const made = await advance(options);
    if (made.step !== 'rewrite') await untilAllUse(client, made.hash, path, signal);
    for (const line of describe(made, path)) tell(line);
    if (made.step !== 'rewrite') continue;
    await tellLaggards(client, made.hash, path, signal, tell);
    return made.rewritten;
  }
}

/** After the last step nothing waits for servers that still know the old key: it opens nothing any more. */
async function tellLaggards(
  client: Client,
  hash: string,
  path: string,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<void> {
  try {
    await untilAllUse(client, hash, path, signal);
  } catch (error) {
    if (!(error instanceof KinitError) || error.code !== 'Timeout') throw error;
    tell(`the rotation is complete; other control planes still know the old key: copy ${path} to them (mode 0600)`);
  }
}

/** Writes every secret as it is: the API server seals it anew, and leaves alone what the newest key has sealed. */
async function rewriteSecrets(client: Client, signal: AbortSignal): Promise<number> {
  let count = 0;
  let next: string | undefined;
  do {
    const page = await client.resource(secrets).list({ limit: pageSize, ...(next ? { continue: next } : {}), signal });
    for (const secret of page.items) {
      try {
        await client.resource(secrets).update(secret, { signal });
        count++;
      } catch (error) {
        // Whoever was faster has written it with the new key, or there is nothing left to write.
        if (!isConflict(error) && !isNotFound(error)) throw error;
      }
    }
    next = page.metadata?.continue;
  } while (next);
  return count;
}
