/** What encrypts the cluster's secrets, as the file, the API servers and etcd itself have it. */
import type { Client } from '../../machinery/client/types.ts';
import { manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { etcdAccess, manifestArgument, targetOf } from '../etcd/access.ts';
import { withEtcd } from '../etcd/connection.ts';
import { type Host, readText } from '../host/host.ts';
import { configurationHash } from './configuration.ts';
import { askServers, type ServerState } from './servers.ts';

export interface EncryptionStatus {
  /** Absent: this host's API server encrypts nothing. */
  file?: string;
  hash?: string;
  servers: ServerState[];
  /** How many secrets in etcd begin with what: `k8s:enc:secretbox:v1:key-1`, or `plain`. */
  secrets: Record<string, number>;
}

/** @throws KinitError when this is no control plane */
export async function encryptionFileOf(host: Host): Promise<string | undefined> {
  const path = `${manifestsDir}/kube-apiserver.yaml`;
  const manifest = await readText(host, path);
  if (manifest === undefined) {
    throw new KinitError('Validation', `${path} is missing: this host is no control plane`, {
      advice: 'run this as root on a control plane',
    });
  }
  return manifestArgument(manifest, 'encryption-provider-config');
}

export async function encryptionStatus(host: Host, client: Client, signal: AbortSignal): Promise<EncryptionStatus> {
  const file = await encryptionFileOf(host);
  const text = file ? await readText(host, file) : undefined;
  return {
    ...(file ? { file } : {}),
    ...(text === undefined ? {} : { hash: configurationHash(text) }),
    servers: await askServers(client, signal),
    secrets: await countSecrets(host),
  };
}

const prefix = '/registry/secrets/';
const pageSize = 500;

async function countSecrets(host: Host): Promise<Record<string, number>> {
  const access = await etcdAccess(host);
  const counts: Record<string, number> = {};
  await withEtcd(targetOf(access, access.endpoints[0]!), async ({ kv }) => {
    let key = Buffer.from(prefix);
    const range_end = Buffer.from(`${prefix.slice(0, -1)}0`);
    for (;;) {
      const page = await kv.range({ key, range_end, limit: pageSize }, { deadline: Date.now() + 10_000 });
      for (const { value } of page.kvs) {
        const by = sealedBy(value);
        counts[by] = (counts[by] ?? 0) + 1;
      }
      const last = page.kvs.at(-1);
      if (!page.more || !last) return;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  });
  return counts;
}

/** Everything up to the name of the key; the rest is cipher text. */
export const sealedBy = (value: Buffer): string =>
  /^k8s:enc:[^:]+:v\d+:[^:]+/.exec(value.subarray(0, 300).toString('latin1'))?.[0] ?? 'plain';
