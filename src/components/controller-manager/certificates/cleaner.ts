/** Deletes certificate signing requests that have served: an hour after the decision, a day when nobody decided. */
import { X509Certificate } from 'node:crypto';
import { timeOf } from '../../../machinery/api/time.ts';
import type { CertificateSigningRequest } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { certificateSigningRequests } from '../../../machinery/client/resources.ts';
import type { Controller } from '../framework/controller.ts';
import { runPeriodically } from '../framework/reconciler.ts';

const hourMs = 3_600_000;
const pendingMs = 24 * hourMs;

/** Whether the request may go at `now` (milliseconds since 1970). */
export function isOver(request: CertificateSigningRequest, now: number): boolean {
  const { conditions = [], certificate } = request.status ?? {};
  const since = (...types: string[]) =>
    conditions
      .filter(({ type }) => types.includes(type))
      .some(({ lastUpdateTime }) => lastUpdateTime !== undefined && now - timeOf(lastUpdateTime) > hourMs);
  if (since('Denied', 'Failed')) return true;
  if (certificate) return since('Approved') || hasExpired(certificate, now);
  const decided = conditions.some(({ type }) => type === 'Denied' || type === 'Failed' || type === 'Approved');
  return !decided && now - timeOf(request.metadata?.creationTimestamp, now) > pendingMs;
}

function hasExpired(certificate: string, now: number): boolean {
  try {
    return Date.parse(new X509Certificate(Buffer.from(certificate, 'base64')).validTo) < now;
  } catch {
    // Other signers may have put there what is no certificate; its age decides, above.
    return false;
  }
}

export const certificateCleaner: Controller = {
  name: 'certificatesigningrequest-cleaner-controller',
  serviceAccount: 'certificate-controller',
  async run(context) {
    const informer = context.informers.informer(certificateSigningRequests);
    await informer.synced(context.signal);
    await runPeriodically(context, hourMs, async () => {
      for (const request of informer.store.list()) {
        if (!isOver(request, Date.now())) continue;
        try {
          await context.client.resource(certificateSigningRequests).delete({ name: request.metadata?.name ?? '' });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      }
    });
  },
};
