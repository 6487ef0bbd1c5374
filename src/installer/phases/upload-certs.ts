/** upload-certs: the shared certificates for control planes that will join. */
import { uploadSharedCertificates } from '../control-plane/shared-certificates.ts';
import { assertUploadable, externalAuthorities } from '../pki/external.ts';
import { makeCertificateKey } from '../pki/transfer.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

export const uploadCerts: Phase<InitContext> = {
  name: 'upload-certs',
  title: 'Upload the certificates that control planes share',
  needed: ({ config, host }) => config.uploadCerts && !host.dryRun,
  async run(context) {
    const { admin, config, host, signal } = context;
    assertUploadable(await externalAuthorities(host, config.cluster));
    const key = config.certificateKey || makeCertificateKey();
    await uploadSharedCertificates(await admin(), host, config.cluster, key, { signal });
    context.certificateKey = key;
    return true;
  },
};
