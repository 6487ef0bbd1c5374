/** Private keys in files, with what may lie beside them: the public key, and a certificate. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import ssh2, { type ParsedKey } from 'ssh2';
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';
import { type Certificate, parseCertificateFile } from './certificate.ts';
import { WireReader } from './wire.ts';

const usualKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** Files that may hold a key for a target; `named`: somebody has written them down. */
export function candidateKeys({ identityFile, identityFiles }: SshTarget): { paths: string[]; named: boolean } {
  if (identityFile) return { paths: [identityFile], named: true };
  if (identityFiles) return { paths: identityFiles, named: true };
  return { paths: usualKeys.map((name) => `${homedir()}/.ssh/${name}`), named: false };
}

const opened = new Map<string, ParsedKey>();

/** Opening a locked key takes half a second of computing; many hosts may have the same one. */
export function openKey(text: string, passphrase: string | undefined): ParsedKey | Error {
  if (passphrase === undefined) return ssh2.utils.parseKey(text);
  const name = `${text}\n${passphrase}`;
  const before = opened.get(name);
  if (before) return before;
  const parsed = ssh2.utils.parseKey(text, passphrase);
  if (!(parsed instanceof Error)) opened.set(name, parsed);
  return parsed;
}

export interface ReadKey {
  /** Absent: the file is not there, or cannot be used. */
  key?: ParsedKey;
  locked?: boolean;
}

/** @param required an absent or unusable file is an error */
export async function readKey(
  path: string,
  passphrase: string | undefined,
  required: boolean,
  host: string,
): Promise<ReadKey> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (!required && error.code === 'ENOENT') return undefined;
    throw new KinitError('Authentication', `cannot read the key ${path}: ${error.code}`, {
      host,
      advice: 'check identityFile in the inventory, or IdentityFile in ~/.ssh/config',
    });
  });
  if (text === undefined) return {};
  const parsed = openKey(text, passphrase);
  // A public key stands for the private one that an agent has.
  if (!(parsed instanceof Error)) return parsed.isPrivateKey() ? { key: parsed } : { locked: true };
  const locked = /encrypted/i.test(parsed.message) && passphrase === undefined;
  // One of the usual keys that is locked or of another format is passed over, as ssh does.
  if (!required || locked) return { locked };
  throw new KinitError('Authentication', `cannot use the key ${path}: ${parsed.message}`, {
    host,
    advice: passphrase === undefined ? 'give a private key in the format of OpenSSH or PEM' : 'wrong passphrase?',
  });
}

/** The public key, also of a private one that is locked: it stands beside it, or readable in OpenSSH's format. */
export async function publicKeyOf(path: string): Promise<Buffer | undefined> {
  for (const file of [`${path}.pub`, path]) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const [, base64] = /^(?:ssh|ecdsa|sk)-\S+ ([A-Za-z0-9+/=]+)/.exec(text ?? '') ?? [];
    if (base64) return Buffer.from(base64, 'base64');
    const body = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/.exec(text ?? '')?.[1];
    if (!body) continue;
    const data = Buffer.from(body, 'base64');
    const magic = 'openssh-key-v1\0';
    if (!data.toString('latin1').startsWith(magic)) continue;
    const reader = new WireReader(data.subarray(magic.length));
    for (let skipped = 0; skipped < 3; skipped++) reader.bytes();
    reader.uint32();
    return reader.bytes();
  }
  return undefined;
}

/** The certificates that are named, and the one beside a key. */
export async function certificatesOf(
  keyPaths: readonly string[],
  named: readonly string[],
  host: string,
): Promise<{ path: string; blob: Buffer; certificate: Certificate }[]> {
  const places = [...new Set([...named, ...keyPaths.map((path) => `${path}-cert.pub`)])];
  const found = await Promise.all(
    places.map(async (path) => {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' && !named.includes(path)) return undefined;
        throw new KinitError('Authentication', `cannot read the certificate ${path}: ${error.code}`, {
          host,
          advice: 'check certificateFile in the inventory, or CertificateFile in ~/.ssh/config',
        });
      });
      if (text === undefined) return [];
      try {
        return [{ path, ...parseCertificateFile(text) }];
      } catch (cause) {
        throw new KinitError('Authentication', `cannot use the certificate ${path}: ${(cause as Error).message}`, {
          host,
          advice: 'give a certificate that ssh-keygen -s has made',
          cause,
        });
      }
    }),
  );
  return found.flat();
}
