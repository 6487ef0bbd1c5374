/** The ways to authenticate that a target's settings allow, in the order in which they are tried. */
import type { AnyAuthMethod } from 'ssh2';
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';
import { agentKeys, agentSignature } from './agent.ts';
import { type Certificate, parseCertificate, validityProblem } from './certificate.ts';
import { candidateKeys, certificatesOf, publicKeyOf, readKey } from './key-files.ts';
import { keyType } from './known-hosts.ts';
import { agentOver, type OfferedKey, signatureBy } from './offered-keys.ts';
import { typedPassphrase } from './passphrases.ts';

export interface LoginWay {
  /** For messages: `key`, `certificate`, `agent`, `password`, … */
  label: string;
  method: AnyAuthMethod;
}

export interface Logins {
  ways: LoginWay[];
  /** Why something that looks like a way to log in is none. */
  notes: string[];
}

function secretFrom(env: NodeJS.ProcessEnv, name: string, what: string, hostName: string): string {
  const value = env[name];
  if (value) return value;
  throw new KinitError(
    'Authentication',
    `the ${what} should come from the environment variable ${name}, which is not set`,
    { host: hostName, advice: `export ${name}=… and run the command again` },
  );
}

interface FileKeys {
  /** Public keys that are in files, also of locked ones. */
  known: OfferedKey[];
  /** The same for the keys that can sign. */
  unlocked: OfferedKey[];
  locked: string[];
}

async function fileKeys(target: SshTarget, hostName: string, env: NodeJS.ProcessEnv): Promise<FileKeys> {
  const { passphraseFromEnv, identityFile, passwordFromEnv } = target;
  const fromEnv = passphraseFromEnv && secretFrom(env, passphraseFromEnv, 'passphrase', hostName);
  const found: FileKeys = { known: [], unlocked: [], locked: [] };
  // A password that is named is what is wanted; the usual keys are not tried then.
  const { paths, named } = candidateKeys(target);
  if (passwordFromEnv && !named) return found;
  for (const path of paths) {
    const { key, locked } = await readKey(path, fromEnv || typedPassphrase(path), path === identityFile, hostName);
    if (key) {
      const sign = async (data: Buffer, algorithm: string) => signatureBy(key, data, algorithm);
      const offered = { blob: key.getPublicSSH(), origin: path, sign };
      found.known.push(offered);
      found.unlocked.push(offered);
    } else if (locked) {
      found.locked.push(path);
      const blob = await publicKeyOf(path);
      const refuse = () => Promise.reject(new Error(`the key ${path} is locked`));
      if (blob) found.known.push({ blob, origin: path, sign: refuse });
    }
  }
  return found;
}

/** The keys and certificates of the agent that the target may use, those of its own key files first. */
async function agentOffers(
  target: SshTarget,
  files: FileKeys,
  env: NodeJS.ProcessEnv,
  notes: string[],
): Promise<OfferedKey[]> {
  const socket = target.agent ?? env['SSH_AUTH_SOCK'];
  if (!socket) return [];
  const blobs = await agentKeys(socket).catch((error: NodeJS.ErrnoException) => {
    notes.push(`the SSH agent at ${socket} cannot be asked: ${error.code ?? error.message}`);
    return [];
  });
  const isNamed = (blob: Buffer) => files.known.some((key) => key.blob.equals(certifiedKey(blob)));
  const own = blobs.filter(isNamed);
  // Which key a locked one is may not be known: then any of the agent's may be it.
  const allKnown = files.known.length === files.unlocked.length + files.locked.length;
  const onlyOwn = allKnown && (target.identitiesOnly || target.identityFile !== undefined);
  const usable = onlyOwn ? own : [...own, ...blobs.filter((blob) => !isNamed(blob))];
  return usable.map((blob) => ({
    blob,
    origin: 'agent',
    sign: (data, algorithm) => agentSignature(socket, blob, data, algorithm),
  }));
}

/** The key in a certificate; another key is itself. */
function certifiedKey(blob: Buffer): Buffer {
  return isCertificate(blob) ? parseCertificate(blob).plainKey : blob;
}
const isCertificate = (blob: Buffer) => /-cert-v01@openssh\.com$/.test(keyType(blob));

/** The certificates in files whose key is in a file or in the agent. */
async function certificateOffers(
  target: SshTarget,
  files: FileKeys,
  agent: readonly OfferedKey[],
  hostName: string,
  notes: string[],
): Promise<OfferedKey[]> {
  const { paths } = candidateKeys(target);
  const found = await certificatesOf(paths, target.certificateFiles ?? [], hostName);
  return found.flatMap(({ path, blob, certificate }) => {
    const signer = [...files.unlocked, ...agent].find((key) => key.blob.equals(certificate.plainKey));
    const problem = signer ? userCertificateProblem(certificate) : 'the key that it certifies is locked or missing';
    if (problem === undefined && signer) return [{ blob, origin: path, sign: signer.sign }];
    notes.push(`the certificate ${path} is not used: ${problem}`);
    return [];
  });
}

function userCertificateProblem(certificate: Certificate): string | undefined {
  if (certificate.kind !== 'user') return 'it is the certificate of a host';
  return validityProblem(certificate, Date.now());
}

export async function loginsFor(target: SshTarget, hostName: string, env: NodeJS.ProcessEnv): Promise<Logins> {
  const { user: username, passwordFromEnv } = target;
  const notes: string[] = [];
  const files = await fileKeys(target, hostName, env);
  // A key that is named and open, or a password, need no agent.
  const needsAgent = target.identityFile ? files.locked.length > 0 : !passwordFromEnv;
  const agent = needsAgent ? await agentOffers(target, files, env, notes) : [];
  const certificates = [
    ...(await certificateOffers(target, files, agent, hostName, notes)),
    ...agent.filter(({ blob }) => isCertificate(blob)),
  ];
  const offer = (label: string, keys: OfferedKey[]): LoginWay[] =>
    keys.length ? [{ label, method: { type: 'agent', username, agent: agentOver(async () => keys) } }] : [];
  const inAgent = agent.filter(({ blob }) => !isCertificate(blob));
  const held = (key: OfferedKey) => inAgent.some(({ blob }) => blob.equals(key.blob));
  const ways = [
    ...offer('certificate', certificates),
    ...offer('agent', inAgent),
    ...offer(
      'key',
      files.unlocked.filter((key) => !held(key)),
    ),
    ...(passwordFromEnv ? passwordWays(username, secretFrom(env, passwordFromEnv, 'password', hostName)) : []),
  ];
  if (ways.length === 0) throw nothingToTry(files.locked[0], hostName, notes);
  return { ways, notes };
}

/** Some servers ask for the password only as one of several questions that they may have. */
function passwordWays(username: string, password: string): LoginWay[] {
  return [
    { label: 'password', method: { type: 'password', username, password } },
    {
      label: 'keyboard-interactive',
      method: {
        type: 'keyboard-interactive',
        username,
        prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
      },
    },
  ];
}

function nothingToTry(locked: string | undefined, host: string, notes: readonly string[]): KinitError {
  return new KinitError(
    'Authentication',
    locked ? `the key ${locked} is locked with a passphrase` : 'there is no key to log in with',
    {
      host,
      ...(notes.length ? { seen: notes.join('\n') } : {}),
      advice: locked
        ? 'unlock it in an SSH agent (ssh-add), name the environment variable with its passphrase (passphraseFromEnv), or run kinit on a terminal, where it asks'
        : 'give identityFile or passwordFromEnv in the inventory, or start an SSH agent',
    },
  );
}
