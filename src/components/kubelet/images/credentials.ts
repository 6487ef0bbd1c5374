/** Registry credentials from the secrets that a pod names in imagePullSecrets. */
import type { Pod } from '../../../machinery/api/types.ts';
import type { AuthConfig } from '../cri/types.ts';
import type { ReferencedObjects } from '../types.ts';
import { parseImage } from './reference.ts';

interface RegistryEntry {
  username?: string;
  password?: string;
  auth?: string;
  identitytoken?: string;
  registrytoken?: string;
}

export function imageCredentials(objects: ReferencedObjects): (pod: Pod, image: string) => Promise<AuthConfig[]> {
  return async (pod, image) => {
    const found: { key: string; auth: AuthConfig }[] = [];
    for (const { name } of pod.spec?.imagePullSecrets ?? []) {
      if (!name) continue;
      // A secret that is missing does not keep images from being pulled without it.
      const secret = await objects.secret(pod.metadata?.namespace ?? '', name).catch(() => undefined);
      const data = secret?.data ?? {};
      const text = data['.dockerconfigjson'] ?? data['.dockercfg'];
      if (text === undefined) continue;
      for (const [key, auth] of registryEntries(Buffer.from(text, 'base64').toString()))
        if (registryMatches(key, image)) found.push({ key, auth });
    }
    // The most specific first.
    return found.sort((a, b) => b.key.length - a.key.length).map(({ auth }) => auth);
  };
}

/** The entries of a `.dockerconfigjson` (below `auths`) or a `.dockercfg`; none of what cannot be read. */
export function registryEntries(text: string): [registry: string, auth: AuthConfig][] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return []; // A broken secret is no credential.
  }
  if (typeof document !== 'object' || document === null) return [];
  const auths = ((document as { auths?: Record<string, RegistryEntry> }).auths ?? document) as Record<
    string,
    RegistryEntry
  >;
  return Object.entries(auths).map(([registry, entry]) => [registry, authOf(entry)]);
}

function authOf(entry: RegistryEntry): AuthConfig {
  const decoded = entry.auth ? Buffer.from(entry.auth, 'base64').toString() : '';
  const colon = decoded.indexOf(':');
  return {
    username: entry.username ?? (colon >= 0 ? decoded.slice(0, colon) : ''),
    password: entry.password ?? (colon >= 0 ? decoded.slice(colon + 1) : ''),
    ...(entry.identitytoken ? { identityToken: entry.identitytoken } : {}),
    ...(entry.registrytoken ? { registryToken: entry.registrytoken } : {}),
  };
}

/** `registry`: host, port and path prefix; the host may have `*` for parts of its name. */
export function registryMatches(registry: string, image: string): boolean {
  const parsed = parseImage(image);
  if (!parsed) return false;
  const plain = registry.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  const [host = '', ...path] = plain.split('/');
  const wanted = host === 'index.docker.io' ? 'docker.io' : host;
  const pattern = wanted.split('.');
  const parts = parsed.domain.split('.');
  const hostMatches =
    pattern.length === parts.length &&
    pattern.every((part, index) =>
      new RegExp(`^${part.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^.:]*')}$`).test(parts[index] ?? ''),
    );
  const prefix = path.join('/');
  return hostMatches && (prefix === '' || parsed.path === prefix || parsed.path.startsWith(`${prefix}/`));
}
