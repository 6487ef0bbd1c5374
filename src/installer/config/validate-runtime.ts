/** Rules over the choice of a container runtime and the registries that it uses. */
import { defaultCriSocket } from './defaults.ts';
import { containerdPaths } from './paths.ts';
import type { HostConfiguration, NodeRegistration, RegistryAccess, RegistrySettings } from './types.ts';
import type { Complain } from './validate.ts';
import type { FieldPath } from './yaml.ts';

const ownSockets = [defaultCriSocket, `unix://${containerdPaths.socket}`];

/** @param kind of the document with the node's registration */
export function validateRuntime(
  { runtime, registries }: HostConfiguration,
  { criSocket }: NodeRegistration,
  kind: string,
  complain: Complain,
): void {
  if (runtime !== 'existing' && !ownSockets.includes(criSocket)) {
    complain(
      [kind, 'nodeRegistration', 'criSocket'],
      `"${criSocket}" is not where kinit's containerd listens; with runtime ${runtime}, leave it away`,
    );
  }
  if (runtime === 'existing' && registries.length) {
    complain(
      ['HostConfiguration', 'registries'],
      'kinit does not configure a runtime that it did not install: say it in the configuration of the runtime, or choose --runtime bundle or packages',
    );
  }
  validateRegistries(registries, complain);
}

/** `registry.example.com:5000` of a URL or of a registry's own entry. */
export function hostOf(settings: RegistrySettings | { url: string }): string {
  const url = 'url' in settings ? settings.url : settings.server;
  return url ? new URL(url).host : 'host' in settings ? settings.host : '';
}

export function validateRegistries(registries: readonly RegistrySettings[], complain: Complain): void {
  const users = new Map<string, string>();
  const access = (path: FieldPath, host: string, given: RegistryAccess) => {
    const { username, password, passwordFile, ca, caFile, skipVerify } = given;
    if ((username === undefined) !== (password === undefined && passwordFile === undefined))
      complain(path, `the registry ${host} needs both a user name and a password (or passwordFile), or neither`);
    if (password !== undefined && passwordFile !== undefined)
      complain([...path, 'passwordFile'], `the registry ${host} has a password and a passwordFile; give one of them`);
    if (ca !== undefined && caFile !== undefined)
      complain([...path, 'caFile'], `the registry ${host} has a ca and a caFile; give one of them`);
    if (skipVerify && (ca !== undefined || caFile !== undefined))
      complain(
        [...path, 'skipVerify'],
        `the certificate of ${host} is not looked at with skipVerify; leave the CA away`,
      );
    for (const field of ['passwordFile', 'caFile'] as const) {
      if (given[field] !== undefined && !given[field].startsWith('/'))
        complain([...path, field], `"${given[field]}" is not an absolute path`);
    }
    if (username === undefined) return;
    // containerd keeps one user for each host.
    const who = JSON.stringify([username, password, passwordFile]);
    if ((users.get(host) ?? who) !== who) complain(path, `two different users or passwords are given for ${host}`);
    users.set(host, who);
  };
  const seen = new Set<string>();
  registries.forEach((registry, index) => {
    const path: FieldPath = ['HostConfiguration', 'registries', index];
    if (seen.has(registry.host)) complain([...path, 'host'], `the registry ${registry.host} is given twice`);
    seen.add(registry.host);
    const mirrors = registry.mirrors ?? [];
    if (registry.host === '*' && !mirrors.length) complain(path, 'the registry * stands for others: it needs mirrors');
    if (registry.host === '*' && (registry.username ?? registry.ca ?? registry.caFile) !== undefined)
      complain(path, 'the registry * has no user and no CA of its own: give them with its mirrors');
    access(path, hostOf(registry), registry);
    for (const [at, mirror] of mirrors.entries()) access([...path, 'mirrors', at], hostOf(mirror), mirror);
  });
}
