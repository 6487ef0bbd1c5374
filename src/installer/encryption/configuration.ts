/** The EncryptionConfiguration that kinit writes: secrets with secretbox, and what was there before can be read. */
import { createHash, randomBytes } from 'node:crypto';
import { CORE_SCHEMA, load } from 'js-yaml';
import { isObject } from '../../machinery/api/json.ts';
import { encryptionFile, manifestsDir } from '../config/paths.ts';
import type { ClusterConfiguration } from '../config/types.ts';
import { argumentValue } from '../config/validate.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { exists } from '../host/host.ts';

export interface EncryptionKey {
  /** `key-1`; the number grows with every rotation. */
  name: string;
  /** 32 bytes in base64. */
  secret: string;
}

export const makeEncryptionKey = (number: number): EncryptionKey => ({
  name: `key-${number}`,
  secret: randomBytes(32).toString('base64'),
});

export const numberOf = ({ name }: EncryptionKey): number => Number(/^key-(\d+)$/.exec(name)?.[1] ?? 0);

/** As kube-apiserver names it in its metrics. */
export const configurationHash = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** @param keys the first one writes, all read */
export function formatEncryption(keys: readonly EncryptionKey[]): string {
  const list = keys.map(({ name, secret }) => `      - name: ${name}\n        secret: ${secret}\n`).join('');
  return `# How kube-apiserver encrypts secrets in etcd. All control planes have the same file, and a backup of etcd is of no
# use without it. Keys are changed with: kinit encryption rotate
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources:
  - secrets
  providers:
  - secretbox:
      keys:
${list}  - identity: {}
`;
}

/** @throws KinitError when the file is not one of ours: then nobody but its author knows how it may be changed */
export function parseEncryption(text: string, path: string): EncryptionKey[] {
  const foreign = (cause?: unknown) =>
    new KinitError('Validation', `${path} is not as kinit writes it`, {
      advice: 'change its keys by hand, as the documentation of Kubernetes says',
      ...(cause ? { cause } : {}),
    });
  let keys: unknown;
  try {
    const document = load(text, { schema: CORE_SCHEMA }) as {
      resources: { providers: { secretbox?: { keys: unknown } }[] }[];
    };
    keys = document.resources[0]?.providers[0]?.secretbox?.keys;
  } catch (cause) {
    throw foreign(cause);
  }
  if (!Array.isArray(keys)) throw foreign();
  const found = keys.flatMap((key: unknown): EncryptionKey[] =>
    isObject(key) && typeof key['name'] === 'string' && typeof key['secret'] === 'string'
      ? [{ name: key['name'], secret: key['secret'] }]
      : [],
  );
  if (!found.length || formatEncryption(found) !== text || found.some((key) => !numberOf(key))) throw foreign();
  return found;
}

/**
 * Makes the file for a new cluster. One that is there stays; a control plane that is there already and has none goes on without:
 * its secrets may be read by others that would not have the key.
 */
export async function ensureEncryption({ host, file }: Changes, cluster: ClusterConfiguration): Promise<boolean> {
  const path = encryptionFile(cluster.certificatesDir);
  if (argumentValue(cluster.apiServer.extraArgs, 'encryption-provider-config') !== undefined) return false;
  if (await exists(host, path)) return false;
  if (await exists(host, `${manifestsDir}/kube-apiserver.yaml`)) return false;
  return file(path, formatEncryption([makeEncryptionKey(1)]), { mode: 0o600 });
}
