/** The ways to authenticate that a target's settings allow, in the order in which they are tried. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import ssh2, { type AnyAuthMethod } from 'ssh2';
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';

const usualKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

async function readKey(path: string, passphrase: string | undefined, required: boolean, hostName: string) {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (!required && error.code === 'ENOENT') return undefined;
    throw new KinitError('Authentication', `cannot read the key ${path}: ${error.code}`, {
      host: hostName,
      advice: 'check identityFile in the inventory',
    });
  });
  if (text === undefined) return undefined;
  const parsed = ssh2.utils.parseKey(text, passphrase);
  if (!(parsed instanceof Error)) return text;
  // One of the usual keys that is locked or of another format is passed over, as ssh does.
  if (!required) return undefined;
  throw new KinitError('Authentication', `cannot use the key ${path}: ${parsed.message}`, {
    host: hostName,
    advice: passphrase === undefined ? 'is it locked? name its passphrase with passphraseFromEnv' : 'wrong passphrase?',
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
  const methods: AnyAuthMethod[] = [];
  const addKey = async (path: string, required: boolean) => {
    const key = await readKey(path, passphrase, required, hostName);
    if (key !== undefined) methods.push({ type: 'publickey', username, key, ...(passphrase ? { passphrase } : {}) });
  };
  if (identityFile) await addKey(identityFile, true);
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
    const agent = env['SSH_AUTH_SOCK'];
    if (agent) methods.push({ type: 'agent', username, agent });
    for (const name of usualKeys) await addKey(`${homedir()}/.ssh/${name}`, false);
  }
  if (methods.length === 0) {
    throw new KinitError('Authentication', 'there is no key to log in with', {
      host: hostName,
      advice: 'give identityFile or passwordFromEnv in the inventory, or start an SSH agent',
    });
  }
  return methods;
}
