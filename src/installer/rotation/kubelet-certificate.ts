/** A kubelet's client certificate of the authority that signs now: asked for with the one that it has, as when it renews it. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { isNotFound } from '../../machinery/client/errors.ts';
import { certificateSigningRequests } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { kubeletPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Changes } from '../host/changes.ts';
import { readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { makeKey, privateKeyPem } from '../pki/keys.ts';
import { certificateRequestPem, readCertificates, subjectNames } from '../pki/x509.ts';

const signerName = 'kubernetes.io/kube-apiserver-client-kubelet';
const waitMs = 60_000;

export interface KubeletCertificateOptions {
  changes: Changes;
  /** ca.crt: who signs comes first. */
  caPem: string;
  open(): Promise<Client>;
  signal: AbortSignal;
}

/** @returns whether there is a new one */
export async function renewKubeletCertificate(options: KubeletCertificateOptions): Promise<boolean> {
  const { changes, caPem, open, signal } = options;
  const { host } = changes;
  const [signer] = readCertificates(caPem);
  const present = await readText(host, kubeletPaths.clientCertificate);
  // A kubeconfig with a certificate that the kubelet does not renew is its owner's.
  if (!signer || present === undefined) return false;
  const old = new X509Certificate(present);
  if (old.verify(signer.publicKey)) return false;
  const key = await makeKey('ECDSA-P256');
  const client = await open();
  try {
    const pem = await signed(client, certificateRequestPem(subjectNames(old), key), signal);
    if (!new X509Certificate(pem).verify(signer.publicKey)) {
      throw new KinitError('Api', 'the controller manager signs with another authority than ca.crt names first', {
        advice: 'all control planes have to be through the step issue; run the same command again',
      });
    }
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '-').replace('T', '-');
    const path = `${dirname(kubeletPaths.clientCertificate)}/kubelet-client-${stamp}.pem`;
    await changes.file(path, `${pem.trimEnd()}\n${privateKeyPem(key).trimEnd()}\n`, { mode: 0o600 });
    await host.symlink(kubeletPaths.clientCertificate, path);
  } finally {
    client.close();
  }
  return true;
}

async function signed(client: Client, request: string, signal: AbortSignal): Promise<string> {
  const resource = client.resource(certificateSigningRequests);
  const name = `csr-${randomBytes(4).toString('hex')}`;
  await resource.create(
    {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName,
        usages: ['digital signature', 'client auth'],
      },
    },
    { signal },
  );
  let pem: string | undefined;
  let seen = '';
  await waitUntil(
    async () => {
      const { status } = await resource.get({ name }, { signal }).catch((error: unknown) => {
        if (isNotFound(error)) throw error;
        signal.throwIfAborted();
        seen = error instanceof Error ? error.message : String(error);
        return { status: undefined };
      });
      const refusal = status?.conditions?.find(({ type }) => type === 'Denied' || type === 'Failed');
      if (refusal) {
        throw new KinitError(
          'Api',
          `the request ${name} for the kubelet's certificate is ${refusal.type.toLowerCase()}`,
          {
            seen: [refusal.reason, refusal.message].filter(Boolean).join(': '),
          },
        );
      }
      if (status?.certificate) pem = Buffer.from(status.certificate, 'base64').toString();
      return pem !== undefined;
    },
    {
      timeoutMs: waitMs,
      intervalMs: 200,
      signal,
      failure: () =>
        new KinitError('Timeout', `the request ${name} for the kubelet's certificate was not signed`, {
          seen: seen || `no certificate after ${waitMs / 1000} s`,
          advice: `look at: kubectl get csr ${name}; the controller manager approves and signs such requests`,
        }),
    },
  );
  return pem as string;
}
