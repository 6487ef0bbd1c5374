/** Registries, their mirrors and who may pull, in the form that containerd reads: a folder for each in certs.d, users in its configuration. */
import { containerdPaths } from '../config/paths.ts';
import type { RegistryAccess, RegistrySettings } from '../config/types.ts';
import { hostOf } from '../config/validate-runtime.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { type Host, readText } from '../host/host.ts';

export interface RegistryUser {
  host: string;
  username: string;
  password: string;
}

interface RegistryFile {
  path: string;
  content: string;
}

/** What is asked when nothing else is said: Docker's registry has another name than its images. */
const serverOf = ({ host, server }: RegistrySettings): string | undefined =>
  host === '*' ? undefined : (server ?? (host === 'docker.io' ? 'https://registry-1.docker.io' : `https://${host}`));

/** TOML's basic strings are JSON's. */
const quoted = (text: string) => JSON.stringify(text);

/** `hosts.toml` of a registry, and the certificates that it names. */
export function registryFiles(registry: RegistrySettings, folder: string): RegistryFile[] {
  const files: RegistryFile[] = [];
  const trust = ({ ca, skipVerify }: RegistryAccess, name: string): string[] => {
    if (!ca) return skipVerify ? ['skip_verify = true'] : [];
    const path = `${folder}/${name}.crt`;
    files.push({ path, content: ca.endsWith('\n') ? ca : `${ca}\n` });
    return [`ca = ${quoted(path)}`];
  };
  const server = serverOf(registry);
  const lines = server ? [`server = ${quoted(server)}`, ...trust(registry, 'ca')] : [];
  for (const [index, mirror] of (registry.mirrors ?? []).entries()) {
    const own = ['capabilities = ["pull", "resolve"]', ...trust(mirror, `mirror-${index}-ca`)];
    // A path with the version of the protocol in it is the whole path.
    if (/\/v2(\/|$)/.test(new URL(mirror.url).pathname)) own.push('override_path = true');
    lines.push('', `[host.${quoted(mirror.url)}]`, ...own.map((line) => `  ${line}`));
  }
  return [...files, { path: `${folder}/hosts.toml`, content: `${lines.join('\n').trimStart()}\n` }];
}

/** `registry.example.com:5000` is the folder's name too; `_default` stands for every other registry. */
const folderOf = ({ host }: RegistrySettings) => `${containerdPaths.registries}/${host === '*' ? '_default' : host}`;

/** Everyone who is named, once for each host. */
export function registryUsers(registries: readonly RegistrySettings[]): RegistryUser[] {
  const users = new Map<string, RegistryUser>();
  for (const registry of registries) {
    for (const access of [registry, ...(registry.mirrors ?? [])]) {
      const { username, password } = access;
      const host = hostOf(access);
      if (username !== undefined && password !== undefined) users.set(host, { host, username, password });
      // The name of Docker's registry server.
      if (host === 'docker.io' && username !== undefined && password !== undefined)
        users.set('registry-1.docker.io', { host: 'registry-1.docker.io', username, password });
    }
  }
  return [...users.values()];
}

async function readGiven(host: Host, path: string, what: string): Promise<string> {
  const facts = await host.stat(path);
  if (facts?.type !== 'file') {
    throw new KinitError('Validation', `there is no file ${path} with ${what}`, {
      advice: 'put it on this host, or correct the path in registries of the HostConfiguration',
    });
  }
  return ((await readText(host, path)) ?? '').trimEnd();
}

/** @throws KinitError Validation when a file is missing, empty, or others than its owner may read a password */
async function withFiles<T extends RegistryAccess>(host: Host, access: T): Promise<T> {
  const { caFile, passwordFile } = access;
  const read = { ...access };
  if (caFile !== undefined) {
    read.ca = await readGiven(host, caFile, 'the certificate of a registry');
    if (!read.ca.includes('-----BEGIN CERTIFICATE-----'))
      throw new KinitError('Validation', `${caFile} holds no certificate in PEM`);
  }
  if (passwordFile !== undefined) {
    read.password = await readGiven(host, passwordFile, 'the password of a registry');
    if (!read.password) throw new KinitError('Validation', `${passwordFile} is empty`);
    const mode = (await host.stat(passwordFile))?.mode ?? 0;
    if (mode & 0o077) {
      throw new KinitError('Validation', `others than its owner may read the password in ${passwordFile}`, {
        seen: `its mode is ${mode.toString(8).padStart(4, '0')}`,
        advice: `chmod 600 ${passwordFile}`,
      });
    }
  }
  return read;
}

/** The settings with the contents of the files that they name. */
export function readRegistries(host: Host, registries: readonly RegistrySettings[]): Promise<RegistrySettings[]> {
  return Promise.all(
    registries.map(async (registry) => ({
      ...(await withFiles(host, registry)),
      ...(registry.mirrors
        ? { mirrors: await Promise.all(registry.mirrors.map((mirror) => withFiles(host, mirror))) }
        : {}),
    })),
  );
}

/**
 * Writes certs.d and takes away what kinit wrote there for registries that are no longer named. containerd reads it at every pull.
 * @param registries as `readRegistries` answers
 */
export async function writeRegistries(changes: Changes, registries: readonly RegistrySettings[]): Promise<boolean> {
  const { host, journal } = changes;
  const root = containerdPaths.registries;
  if (!registries.length && !journal.has(`folder:${root}`)) return false;
  let changed = await changes.folder(root);
  const wanted = registries.flatMap((registry) => registryFiles(registry, folderOf(registry)));
  for (const { path, content } of wanted) if (await changes.file(path, content)) changed = true;
  const entry = journal.entries.find((known) => known.kind === 'folder' && known.path === root);
  const foreign = entry?.kind === 'folder' ? entry.kept : [];
  const folders = registries.map(folderOf);
  for (const name of await host.list(root)) {
    const folder = `${root}/${name}`;
    if (foreign.includes(name)) continue;
    const stale = folders.includes(folder)
      ? (await host.list(folder))
          .map((file) => `${folder}/${file}`)
          .filter((path) => !wanted.some((file) => file.path === path))
      : [folder];
    for (const path of stale) {
      await host.remove(path);
      changed = true;
    }
  }
  return changed;
}
