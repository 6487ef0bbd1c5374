/** The ways to authenticate that a target's settings allow, in the order in which they are tried. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import ssh2, { type AnyAuthMethod } from 'ssh2';
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';

const usualKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

interface ReadKey {
  /** Absent: the file is not there, or cannot be used. */
  key?: string;
  locked?: boolean;
}

async function readKey(
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
  const parsed = ssh2.utils.parseKey(text, passphrase);
  if (!(parsed instanceof Error)) return { key: text };
  const locked = /encrypted/i.test(parsed.message) && passphrase === undefined;
  // One of the usual keys that is locked or of another format is passed over, as ssh does.
  if (!required || locked) return { locked };
  throw new KinitError('Authentication', `cannot use the key ${path}: ${parsed.message}`, {
    host,
    advice: passphrase === undefined ? 'give a private key in the format of OpenSSH or PEM' : 'wrong passphrase?',
  });
}

function secretFrom(env: NodeJS.ProcessEnv, name: string, what: string, hostName: string): string {
  const value = env[name];
  if (value) return value;
  throw new KinitError(
    'Authentication',
    `the ${what} should come from the environment variable ${name}, which is not set`,
    {
      host: hostName,
      advice: `export ${name}=… and run the command again`,
    },
  );
}

export async function authMethods(
  target: SshTarget,
  hostName: string,
  env: NodeJS.ProcessEnv,
): Promise<AnyAuthMethod[]> {
  const { user: username, identityFile, passphraseFromEnv, passwordFromEnv } = target;
  const passphrase = passphraseFromEnv && secretFrom(env, passphraseFromEnv, 'passphrase', hostName);
  const agent = target.agent ?? env['SSH_AUTH_SOCK'];
  const methods: AnyAuthMethod[] = [];
  let locked: string | undefined;
  const addAgent = () => {
    if (agent) methods.push({ type: 'agent', username, agent });
  };
  const addKey = async (path: string, required: boolean) => {
    const found = await readKey(path, passphrase, required, hostName);
    if (found.key !== undefined)
      methods.push({ type: 'publickey', username, key: found.key, ...(passphrase ? { passphrase } : {}) });
    if (found.locked) locked ??= path;
  };
  if (identityFile) {
    await addKey(identityFile, true);
    // The agent may have the key unlocked.
    if (locked) addAgent();
  }
  if (passwordFromEnv) {
    const password = secretFrom(env, passwordFromEnv, 'password', hostName);
    methods.push({ type: 'password', username, password });
    // Some servers ask for the password this way only.
    methods.push({
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
    });
  }
  if (!identityFile && !passwordFromEnv) {
    if (!target.identitiesOnly) addAgent();
    for (const path of target.identityFiles ?? usualKeys.map((name) => `${homedir()}/.ssh/${name}`))
      await addKey(path, false);
    if (target.identitiesOnly && locked) addAgent();
  }
  if (methods.length === 0) {
    throw new KinitError(
      'Authentication',
      locked ? `the key ${locked} is locked with a passphrase` : 'there is no key to log in with',
      {
        host: hostName,
        advice: locked
          ? 'unlock it in an SSH agent (ssh-add), or name the environment variable with its passphrase: passphraseFromEnv'
          : 'give identityFile or passwordFromEnv in the inventory, or start an SSH agent',
      },
    );
  }
  return methods;
}
