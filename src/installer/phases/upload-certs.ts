/** upload-certs: the shared certificates for control planes that will join. */

import { uploadSharedCertificates } from '../control-plane/shared-certificates.ts';
import { readStored } from '../converge/stored-cluster.ts';
import { assertUploadable, externalAuthorities } from '../pki/external.ts';
import { makeCertificateKey } from '../pki/transfer.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

export const uploadCerts: Phase<InitContext> = {
  name: 'upload-certs',
  title: 'Upload the certificates that control planes share',
  needed: ({ config, host }) => config.uploadCerts && !host.dryRun,
  async run(context) {
    const { admin, config, facts, host, signal } = context;
    const client = await admin();
    // Run alone, the phase does not know where the cluster's etcd is.
    const stored = config.cluster.etcd.external ? undefined : await readStored(client, facts, signal);
    const cluster = stored ? { ...config.cluster, etcd: stored.cluster.etcd } : config.cluster;
    assertUploadable(await externalAuthorities(host, cluster));
    const key = config.certificateKey || makeCertificateKey();
    await uploadSharedCertificates(client, host, cluster, key, { signal });
    context.certificateKey = key;
    return true;
  },
};
