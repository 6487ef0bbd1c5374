/** What is not wrong in an inventory, but will stop kinit on this machine: keys that are not there, secrets that are not set. */
import type { Inventory, SshTarget } from './types.ts';

/**
 * One line each, naming every host that it is about.
 * @param exists whether a path is there
 */
export function inventoryWarnings(
  { hosts }: Inventory,
  env: NodeJS.ProcessEnv,
  exists: (path: string) => boolean,
): string[] {
  const found = new Map<string, string[]>();
  const warn = (text: string, host: string) => found.set(text, [...new Set([...(found.get(text) ?? []), host])]);
  const needsVariable = (name: string | undefined, what: string, host: string) => {
    if (name && !env[name]) warn(`the environment variable ${name} (${what}) is not set`, host);
  };
  for (const [text, names] of configurationWarnings(hosts)) for (const name of names) warn(text, name);
  const check = (target: SshTarget, host: string) => {
    const { identityFile, certificateFiles, passphraseFromEnv, passwordFromEnv, bastion } = target;
    const { knownHosts, hostKeys, hostKeyChecking } = target;
    if (identityFile && !exists(identityFile)) warn(`there is no key ${identityFile}`, host);
    for (const path of certificateFiles ?? []) if (!exists(path)) warn(`there is no certificate ${path}`, host);
    needsVariable(passphraseFromEnv, 'the passphrase of the key', host);
    needsVariable(passwordFromEnv, 'the password of the login', host);
    if (!hostKeys.length && hostKeyChecking === 'strict' && !knownHosts.some(exists))
      warn(`there is no ${knownHosts.join(' and no ')} to know host keys from`, host);
    if (bastion) check(bastion, host);
  };
  for (const host of hosts) {
    if (typeof host.sudo === 'object') needsVariable(host.sudo.passwordFromEnv, 'the password of sudo', host.name);
    if (host.connection === 'ssh') check(host, host.name);
  }
  const controlPlanes = hosts.filter(({ roles }) => roles.includes('control-plane'));
  if (controlPlanes.length === 2) {
    warn('two control planes have no majority when one fails: one or three are better', controlPlanes[0]!.name);
  }
  return [...found].map(([text, names]) => `${names.join(', ')}: ${text}`);
}

/** What of the user's SSH configuration is not followed, with the names of the hosts that it is about. */
export function configurationWarnings(hosts: Inventory['hosts']): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const host of hosts) {
    for (let target: SshTarget | undefined = host; target; target = target.bastion) {
      for (const text of target.warnings ?? []) {
        const names = found.get(text) ?? [];
        if (!names.includes(host.name)) found.set(text, [...names, host.name]);
      }
    }
  }
  return found;
}
