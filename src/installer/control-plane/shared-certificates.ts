/** The Secret kubeadm-certs: how a control plane hands the cluster's authorities to one that joins. */
import type { Secret } from '../../machinery/api/types.ts';
import { isForbidden, isNotFound } from '../../machinery/client/errors.ts';
import type { CallOptions, Client, ResourceType } from '../../machinery/client/types.ts';
import { applyObjects } from '../addons/apply.ts';
import { bootstrapGroup } from '../addons/objects.ts';
import { renderObjects } from '../config/templates.ts';
import type { ClusterConfiguration } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import { externalEtcdFiles } from '../etcd/external.ts';
import type { Changes } from '../host/changes.ts';
import type { Host } from '../host/host.ts';
import { modeFor } from '../pki/ensure.ts';
import { decryptShared, encryptShared, optionalFile, secretField, sharedFiles } from '../pki/transfer.ts';
import { generateToken } from '../tokens/format.ts';
import { buildTokenSecret, tokenNamespace } from '../tokens/secret.ts';

const secrets: ResourceType<Secret> = {
  group: '',
  version: 'v1',
  resource: 'secrets',
  kind: 'Secret',
  namespaced: true,
};

const name = 'kubeadm-certs';
const namespace = tokenNamespace;

/** The Secret goes when the token that owns it is cleaned up. */
const lifetime = '2h0m0s';

const uploadAgain = 'on a control plane, run: kinit init phase upload-certs --upload-certs';

type SharingCluster = Pick<ClusterConfiguration, 'certificatesDir' | 'etcd'>;

/** Name in the Secret → path, below the certificates folder or absolute. An etcd that is elsewhere has files of its own. */
export function sharedPlaces({ etcd }: Pick<SharingCluster, 'etcd'>): Map<string, string> {
  const own = sharedFiles.filter((file) => etcd.external === undefined || !file.startsWith('etcd/'));
  const places = new Map<string, string>(own.map((file) => [secretField(file), file]));
  if (etcd.external) for (const [field, path] of externalEtcdFiles(etcd.external)) places.set(field, path);
  return places;
}

export const placeOf = (certificatesDir: string, file: string): string =>
  file.startsWith('/') ? file : `${certificatesDir}/${file}`;

/** Uploads the encrypted files; they live for two hours. */
export async function uploadSharedCertificates(
  client: Client,
  host: Host,
  cluster: SharingCluster,
  certificateKey: string,
  call: CallOptions = {},
): Promise<void> {
  const data: Record<string, string> = {};
  for (const [field, file] of sharedPlaces(cluster)) {
    // A key that is not on this host (an authority that is elsewhere) is uploaded empty.
    const content = await host.readFile(placeOf(cluster.certificatesDir, file));
    data[field] = content ? encryptShared(content, certificateKey).toString('base64') : '';
  }
  const owner = await client.resource(secrets).create(
    buildTokenSecret({
      token: generateToken(),
      description: 'Proxy for managing TTL for the kubeadm-certs secret',
      ttl: lifetime,
      usages: [],
      groups: [],
    }),
    call,
  );
  const secret: Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace,
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Secret',
          name: owner.metadata?.name ?? '',
          uid: owner.metadata?.uid ?? '',
          blockOwnerDeletion: true,
          controller: true,
        },
      ],
    },
    data,
  };
  const found = await client.resource(secrets).find({ name, namespace }, call);
  if (found) {
    const metadata = { ...secret.metadata, resourceVersion: found.metadata?.resourceVersion };
    await client.resource(secrets).update({ ...secret, metadata }, call);
    await removeOwner(client, found, call);
  } else await client.resource(secrets).create(secret, call);
  await applyObjects(client, renderObjects('cluster/kubeadm-certs-rbac.yaml', { bootstrapGroup }), call);
}

/** The token of an earlier upload has nothing to own any more. */
async function removeOwner(client: Client, secret: Secret, call: CallOptions): Promise<void> {
  const before = secret.metadata?.ownerReferences?.find(({ kind }) => kind === 'Secret')?.name;
  if (!before) return;
  await client
    .resource(secrets)
    .delete({ name: before, namespace }, call)
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
}

/**
 * The shared files by name; those that were uploaded empty are left out.
 * @throws KinitError when they are not there, or the key is another one
 */
export async function fetchSharedCertificates(
  client: Client,
  certificateKey: string,
  places: ReadonlyMap<string, string>,
  call: CallOptions = {},
): Promise<Map<string, Buffer>> {
  const secret = await client
    .resource(secrets)
    .get({ name, namespace }, call)
    .catch((error: unknown) => {
      if (!isNotFound(error) && !isForbidden(error)) throw error;
      throw new KinitError('Api', 'the certificates of the control plane are not there to be downloaded', {
        seen: error instanceof Error ? error.message : String(error),
        advice: `they are kept for two hours; ${uploadAgain}`,
        cause: error,
      });
    });
  const found = new Map<string, Buffer>();
  for (const [field, file] of places) {
    const text = secret.data?.[field];
    if (text === undefined && file === optionalFile) continue;
    if (text === undefined) {
      throw new KinitError('Validation', `the Secret ${name} does not hold ${file}`, { advice: uploadAgain });
    }
    if (text !== '') found.set(file, decryptShared(Buffer.from(text, 'base64'), certificateKey));
  }
  return found;
}

/** @returns whether any file was missing or different */
export async function writeSharedCertificates(
  changes: Changes,
  certificatesDir: string,
  files: ReadonlyMap<string, Buffer>,
): Promise<boolean> {
  let changed = false;
  for (const [file, content] of files) {
    const path = placeOf(certificatesDir, file);
    if (await changes.file(path, content, { mode: await modeFor(changes.host, path) })) changed = true;
  }
  return changed;
}
