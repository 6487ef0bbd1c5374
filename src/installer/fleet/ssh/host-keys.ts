/** Whether the machine that answers is the one that is meant. */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';
import { describeCertificate, hostCertificateProblem, isCertificateType, parseCertificate } from './certificate.ts';
import {
  authoritiesFor,
  fingerprint,
  type HostNames,
  isRevoked,
  judgeHostKey,
  type KnownHost,
  keyType,
  knownHostName,
  knownTypes,
  parseKnownHosts,
  type Verdict,
} from './known-hosts.ts';

export interface HostKeyCheck {
  /** Types to ask the host for, the preferred first; empty: any. */
  types: string[];
  /** An authority is known, so that the host is asked for its certificate first. */
  wantsCertificate: boolean;
  /** Answers whether to go on. @param key the host's key, or its certificate */
  verify(key: Buffer): boolean;
  /** The host may be another one, and the policy is to go on: it must not get a password. */
  doubtful(): boolean;
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

interface Judgement {
  verdict: Verdict;
  /** The key itself, also when it came in a certificate. */
  key: Buffer;
  /** What is wrong with the certificate that the host has shown. */
  certificate?: string;
}

/** A certificate that does not count is taken for the key in it, as ssh does. */
function judge(shown: Buffer, names: HostNames, hostKeys: string[], known: KnownHost[], nowMs: number): Judgement {
  if (!isCertificateType(keyType(shown))) return { key: shown, verdict: judgeHostKey(shown, names, hostKeys, known) };
  const certificate = parseCertificate(shown);
  const { plainKey: key, authority } = certificate;
  if ([key, authority].some((one) => isRevoked(one, names, known))) return { key, verdict: 'revoked' };
  const isKnown = authoritiesFor(names, hostKeys, known).includes(authority.toString('base64'));
  const problem = isKnown ? hostCertificateProblem(certificate, names.bare, nowMs) : 'its authority is not known';
  if (problem === undefined) return { key, verdict: 'known' };
  const verdict = judgeHostKey(key, names, hostKeys, known);
  return { key, verdict, certificate: `its ${describeCertificate(certificate)} does not count: ${problem}` };
}

export async function hostKeyCheck(target: SshTarget, hostName: string): Promise<HostKeyCheck> {
  const { address, port, hostKeys, knownHosts, hostKeyChecking } = target;
  const known = await readKnown(knownHosts);
  const name = target.hostKeyAlias ?? knownHostName(address, port);
  const names = { name, bare: target.hostKeyAlias ?? address };
  const authorities = authoritiesFor(names, hostKeys, known);
  let problem: KinitError | undefined;
  let accepted: Buffer | undefined;
  let doubtful = false;
  return {
    types: knownTypes(names, hostKeys, known),
    wantsCertificate: authorities.length > 0,
    doubtful: () => doubtful,
    problem: () => problem,
    verify(shown) {
      const { verdict, key, certificate } = judge(shown, names, hostKeys, known, Date.now());
      if (verdict === 'known') return true;
      if (verdict === 'unknown' && hostKeyChecking === 'accept-new') {
        accepted = key;
        return true;
      }
      if (verdict !== 'revoked' && hostKeyChecking === 'off') {
        doubtful = verdict === 'changed';
        return true;
      }
      const what = `${name} shows ${keyType(key)} ${fingerprint(key)}`;
      const noCertificate = authorities.length ? `${what}, and no certificate` : what;
      const seen = certificate ? `${what}; ${certificate}` : noCertificate;
      problem = new KinitError('Authentication', messages[verdict](name), {
        host: hostName,
        seen,
        advice: adviceFor(verdict, target, name),
      });
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

const messages: Record<Exclude<Verdict, 'known'>, (name: string) => string> = {
  unknown: (name) => `the host key of ${name} is not known`,
  revoked: (name) => `the host key of ${name} is revoked`,
  changed: (name) =>
    `the host key of ${name} is not the one that is known: another machine answers, or it was installed anew`,
};

function adviceFor(verdict: Verdict, { address, port, hostKeys, knownHosts }: SshTarget, name: string): string {
  if (verdict === 'unknown')
    return `compare the fingerprint with the machine's own; then run: ssh-keyscan -p ${port} ${address} >> ${knownHosts[0]}, or give hostKeys in the inventory, or --accept-host-keys`;
  if (verdict === 'revoked') return 'give the machine another host key (ssh-keygen -A after removing the old ones)';
  return hostKeys.length
    ? 'correct hostKeys in the inventory if the machine is the right one'
    : `if the machine was installed anew, forget the old key: ssh-keygen -R '${name}'`;
}
