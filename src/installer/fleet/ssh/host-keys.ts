/** Whether the machine that answers is the one that is meant. */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';
import {
  fingerprint,
  judgeHostKey,
  type KnownHost,
  keyType,
  knownHostName,
  knownTypes,
  parseKnownHosts,
} from './known-hosts.ts';

export interface HostKeyCheck {
  /** Types to ask the host for, the preferred first; empty: any. */
  types: string[];
  /** Answers whether to go on. */
  verify(key: Buffer): boolean;
  /** Why `verify` said no. */
  problem(): KinitError | undefined;
  /** Remembers a new key that was accepted. */
  remember(): Promise<void>;
}

async function readKnown(paths: readonly string[]): Promise<KnownHost[]> {
  const texts = await Promise.all(
    paths.map((path) =>
      readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '';
        throw new KinitError('Validation', `cannot read the known hosts in ${path}: ${error.code}`);
      }),
    ),
  );
  return texts.flatMap(parseKnownHosts);
}

export async function hostKeyCheck(target: SshTarget, hostName: string): Promise<HostKeyCheck> {
  const { address, port, hostKeys, knownHosts, acceptHostKeys } = target;
  const known = await readKnown(knownHosts);
  const name = target.hostKeyAlias ?? knownHostName(address, port);
  let problem: KinitError | undefined;
  let accepted: Buffer | undefined;
  return {
    types: knownTypes(name, hostKeys, known),
    problem: () => problem,
    verify(key) {
      const verdict = judgeHostKey(key, name, hostKeys, known);
      const seen = `${name} shows ${keyType(key)} ${fingerprint(key)}`;
      if (verdict === 'known') return true;
      if (verdict === 'unknown' && acceptHostKeys) {
        accepted = key;
        return true;
      }
      problem =
        verdict === 'unknown'
          ? new KinitError('Authentication', `the host key of ${name} is not known`, {
              host: hostName,
              seen,
              advice: `compare the fingerprint with the machine's own; then run: ssh-keyscan -p ${port} ${address} >> ${knownHosts[0]}, or give hostKeys in the inventory, or --accept-host-keys`,
            })
          : new KinitError(
              'Authentication',
              verdict === 'revoked'
                ? `the host key of ${name} is revoked`
                : `the host key of ${name} is not the one that is known: another machine answers, or it was installed anew`,
              {
                host: hostName,
                seen,
                advice: hostKeys.length
                  ? 'correct hostKeys in the inventory if the machine is the right one'
                  : `if the machine was installed anew, forget the old key: ssh-keygen -R '${name}'`,
              },
            );
      return false;
    },
    async remember() {
      const file = knownHosts[0];
      if (!accepted || !file) return;
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await appendFile(file, `${name} ${keyType(accepted)} ${accepted.toString('base64')}\n`, { mode: 0o600 });
    },
  };
}
