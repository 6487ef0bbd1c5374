/** certs/…: one phase per certificate, as in kubeadm. */
import { defaultCertificatesDir, kubernetesDir } from '../config/paths.ts';
import { settled } from '../control-plane/owners.ts';
import { ensureEncryption } from '../encryption/configuration.ts';
import { authorities, isUsed, leafCertificates } from '../pki/catalog.ts';
import { ensureAuthority, ensureLeaf, ensureServiceAccountKey } from '../pki/ensure.ts';
import type { InitContext } from './context.ts';
import type { Phase } from './engine.ts';

/** Names of phases have no further slash: etcd/server is certs/etcd-server. */
const phaseName = (certificate: string) => `certs/${certificate.replace('/', '-')}`;

export const certificatePhases: Phase<InitContext>[] = [
  ...authorities.map(
    (authority): Phase<InitContext> => ({
      name: phaseName(authority.name),
      title: `Make ${authority.title}`,
      needed: ({ config }) => isUsed(authority.name, config.cluster),
      async run({ changes, config }) {
        await changes.folder(kubernetesDir);
        if (config.cluster.certificatesDir !== defaultCertificatesDir)
          await changes.folder(config.cluster.certificatesDir);
        return settled(changes, ensureAuthority(changes, config.cluster, authority));
      },
    }),
  ),
  ...leafCertificates.map(
    (leaf): Phase<InitContext> => ({
      name: phaseName(leaf.name),
      title: `Make ${leaf.title}`,
      background: true,
      needed: ({ config }) => isUsed(leaf.authority, config.cluster),
      run: ({ changes, config, prune }) => settled(changes, ensureLeaf(changes, config, leaf, prune)),
    }),
  ),
  {
    name: 'certs/sa',
    title: 'Make the key pair of service accounts',
    background: true,
    run: ({ changes, config }) => settled(changes, ensureServiceAccountKey(changes, config.cluster)),
  },
  {
    name: 'certs/encryption',
    title: 'Make the key that encrypts secrets in etcd',
    background: true,
    run: ({ changes, config }) => ensureEncryption(changes, config.cluster),
  },
];

/** Everything that static pods read must be there before they start. */
export const certificateNames = certificatePhases.filter(({ background }) => background).map(({ name }) => name);
