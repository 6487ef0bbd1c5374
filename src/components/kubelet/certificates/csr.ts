/** Has a certificate signed by the cluster: a CertificateSigningRequest, made and waited for. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CertificateSigningRequest } from '../../../machinery/api/types.ts';
import { certificateSigningRequests } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';

const waitMs = 15 * 60_000;
const pollMs = 200;
const slowPollMs = 2000;

export interface CertificateRequest {
  /** PEM. */
  csr: string;
  signer: string;
  usages: string[];
  name: string;
  signal: AbortSignal;
}

/** @throws when it is denied, fails, or is not signed within 15 minutes */
export async function requestCertificate(client: Client, request: CertificateRequest): Promise<string> {
  const { csr, signer, usages, name, signal } = request;
  const resource = client.resource(certificateSigningRequests);
  const made = await resource.create(
    {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: { request: Buffer.from(csr).toString('base64'), signerName: signer, usages },
    },
    { signal },
  );
  const started = Date.now();
  for (let current = made; ; ) {
    const certificate = current.status?.certificate;
    if (certificate) return Buffer.from(certificate, 'base64').toString();
    const refusal = refusalOf(current);
    if (refusal) throw new Error(refusal);
    const waited = Date.now() - started;
    if (waited > waitMs) throw new Error(`certificate signing request ${name} was not signed within 15 minutes`);
    await delay(waited < 10_000 ? pollMs : slowPollMs, undefined, { signal });
    current = await resource.get({ name }, { signal });
  }
}

function refusalOf({ status, metadata }: CertificateSigningRequest): string | undefined {
  const condition = status?.conditions?.find(({ type }) => type === 'Denied' || type === 'Failed');
  return (
    condition &&
    `certificate signing request ${metadata?.name} is ${condition.type.toLowerCase()}, reason: ${condition.reason}, message: ${condition.message}`
  );
}
