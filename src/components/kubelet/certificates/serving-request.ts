/** A serving certificate signed by the cluster (`serverTLSBootstrap`), in `<cert-dir>/kubelet-server-current.pem`, renewed in time. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../../machinery/client/types.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import { requestCertificate } from './csr.ts';
import { signingRequest } from './request.ts';
import { storeCertificate } from './store.ts';

const signer = 'kubernetes.io/kubelet-serving';
const prefix = 'kubelet-server';
const retryMs = 30_000;

export interface ServingRequestOptions {
  client: Client;
  certDir: string;
  nodeName: string;
  hosts: string[];
  /** PEM; of the one that is there, and of each new one. */
  onCertificate(certificate: { cert: string; key: string }): void;
  log: Logger;
  signal: AbortSignal;
}

/** Asks until there is a certificate, again when 80 % of its life are over. Somebody has to approve the requests. */
export async function keepServingCertificate(options: ServingRequestOptions): Promise<void> {
  const { client, certDir, nodeName, hosts, onCertificate, log, signal } = options;
  const path = join(certDir, `${prefix}-current.pem`);
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known) onCertificate({ cert: known, key: known });
  while (!signal.aborted) {
    try {
      const at = await renewalTime(path);
      const left = at - Date.now();
      if (left > 0) {
        await delay(Math.min(left, 3_600_000), undefined, { signal, ref: false });
        continue;
      }
      const names = hosts.filter((host) => isIP(host) !== 6);
      const { csr, key } = signingRequest({
        commonName: `system:node:${nodeName}`,
        organization: 'system:nodes',
        hosts: [...new Set(names)],
      });
      const name = `csr-${randomBytes(5).toString('hex').slice(0, 5)}`;
      const cert = await requestCertificate(client, {
        csr,
        signer,
        usages: ['digital signature', 'server auth'],
        name,
        signal,
      });
      await storeCertificate(certDir, prefix, cert, key);
      onCertificate({ cert, key });
    } catch (error) {
      if (signal.aborted) return;
      log.error(`Failed while requesting a signed serving certificate: ${(error as Error).message}`);
      await delay(retryMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** 0 when there is no certificate yet. */
async function renewalTime(path: string): Promise<number> {
  const pem = await readFile(path, 'utf8').catch(() => undefined);
  if (pem === undefined) return 0;
  const { validFrom, validTo } = new X509Certificate(pem);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return from + (to - from) * 0.8;
}
