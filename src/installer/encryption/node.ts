/** One part of a rotation over an inventory on this control plane: from an order to phases. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Client } from '../../machinery/client/types.ts';
import { kubeconfigPaths } from '../config/paths.ts';
import {
  fetchSharedCertificates,
  sharedPlaces,
  uploadSharedCertificates,
  writeSharedCertificates,
} from '../control-plane/shared-certificates.ts';
import { KinitError } from '../errors.ts';
import { readText } from '../host/host.ts';
import type { Phase, PhaseContext } from '../phases/engine.ts';
import { clientFromFile } from '../phases/run.ts';
import { runSession, type SessionOptions, type SessionResult } from '../phases/session.ts';
import { badCertificateKey, isCertificateKey, optionalFile } from '../pki/transfer.ts';
import { readStoredCluster, yamlFields } from '../upgrade/configuration.ts';
import { configurationHash } from './configuration.ts';
import { advance, describe } from './rotate.ts';
import { untilAllUse } from './servers.ts';
import { encryptionFileOf } from './status.ts';

const orderSchema = z.object({
  /** `advance`: the next step is made in the file here; `share`: it is uploaded; `take`: it is downloaded; `settle`: all use it. */
  part: z.enum(['advance', 'share', 'take', 'settle']),
  certificateKey: z.string().refine(isCertificateKey, badCertificateKey).optional(),
});

export type EncryptionOrder = z.infer<typeof orderSchema>;

interface EncryptionContext extends PhaseContext {
  path: string;
  certificateKey: string;
  client: Client;
  cluster: { certificatesDir: string; etcd: Parameters<typeof sharedPlaces>[0]['etcd'] };
}

type EncryptionPhase = Phase<EncryptionContext>;

const phases: Record<EncryptionOrder['part'], EncryptionPhase> = {
  advance: {
    name: 'encryption/advance',
    title: 'Make the next step with the keys',
    async run({ host, client, path, signal, warn }) {
      const made = await advance({ host, client, path, signal });
      if (made.step === 'rewrite') for (const line of describe(made, path)) warn(line);
      return true;
    },
  },
  share: {
    name: 'encryption/share',
    title: 'Upload the files that control planes share',
    async run({ host, client, cluster, certificateKey, signal }) {
      await uploadSharedCertificates(client, host, cluster, certificateKey, { signal });
      return true;
    },
  },
  take: {
    name: 'encryption/take',
    title: 'Take the keys of the other control plane',
    async run({ changes, client, cluster, certificateKey, signal }) {
      const places = sharedPlaces(cluster);
      const files = await fetchSharedCertificates(client, certificateKey, places, { signal });
      const keys = files.get(optionalFile);
      if (!keys) throw new KinitError('Validation', `the uploaded files have no ${optionalFile}`);
      return writeSharedCertificates(changes, cluster.certificatesDir, new Map([[optionalFile, keys]]));
    },
  },
  settle: {
    name: 'encryption/settle',
    title: 'Wait until every API server uses the keys',
    async run({ host, client, path, signal }) {
      await untilAllUse(client, configurationHash((await readText(host, path)) ?? ''), path, signal);
      return false;
    },
  },
};

async function readOrder(path: string): Promise<EncryptionOrder> {
  const read = orderSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (read.success) return read.data;
  throw new KinitError('Validation', `${path} is no order of kinit encryption rotate`, {
    seen: read.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('\n'),
  });
}

/** @param orderPath what kinit encryption rotate --inventory asks of this host */
export async function runEncryption(orderPath: string, options: SessionOptions): Promise<SessionResult> {
  return runSession<EncryptionContext>('encryption rotate-node', options, async (base) => {
    const { host, signal } = base;
    const { part, certificateKey = '' } = await readOrder(orderPath);
    const path = await encryptionFileOf(host);
    if (!path) {
      throw new KinitError('Validation', 'the API server of this host encrypts nothing', {
        advice: 'see: Turning it on for a cluster that has none, in docs/hardening.md',
      });
    }
    const client = await clientFromFile(host, kubeconfigPaths.admin);
    const { clusterConfiguration } = await readStoredCluster(client, signal);
    const { certificatesDir, etcd } = yamlFields(clusterConfiguration);
    const cluster = {
      certificatesDir: typeof certificatesDir === 'string' ? certificatesDir : path.slice(0, path.lastIndexOf('/')),
      etcd: etcd as EncryptionContext['cluster']['etcd'],
    };
    const context: EncryptionContext = { ...base, path, certificateKey, client, cluster };
    return { phases: [phases[part]], context, skip: [], close: () => client.close() };
  });
}
