/** Signs approved certificate signing requests of Kubernetes' own signers. */
import { readFile } from 'node:fs/promises';
import { formatTime } from '../../../machinery/api/time.ts';
import type { CertificateSigningRequest } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { certificateSigningRequests } from '../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller } from '../framework/controller.ts';
import type { Signer } from '../framework/options.ts';
import { runReconciler } from '../framework/reconciler.ts';
import { isApproved, isFailed, requestText } from './conditions.ts';
import { issue, loadAuthority, ttlOf } from './issue.ts';
import { parseRequest } from './request.ts';
import { signerNames, signerRules } from './signers.ts';

export const certificateSigning: Controller = {
  name: 'certificatesigningrequest-signing-controller',
  serviceAccount: 'certificate-controller',
  async run(context) {
    const { client, options, logger } = context;
    const signerOf = new Map(
      (Object.keys(signerNames) as Signer[])
        .filter((signer) => options.signing[signer].certFile && options.signing[signer].keyFile)
        .map((signer) => [signerNames[signer] as string, signer]),
    );
    const informer = context.informers.informer(certificateSigningRequests);
    const queue = createWorkQueue<string>({ baseDelayMs: 200, maxDelayMs: 1_000_000 });
    const isDue = (request: CertificateSigningRequest) =>
      isApproved(request) &&
      !isFailed(request) &&
      !request.status?.certificate &&
      signerOf.has(request.spec.signerName);
    const add = (request: CertificateSigningRequest) => {
      if (isDue(request)) queue.add(request.metadata?.name ?? '');
    };
    informer.addHandler({ onAdd: add, onUpdate: (_old, request) => add(request) });
    const api = client.resource(certificateSigningRequests);

    const fail = async (request: CertificateSigningRequest, message: string) => {
      const now = formatTime();
      const condition = {
        type: 'Failed',
        status: 'True',
        reason: 'SignerValidationFailure',
        message,
        lastUpdateTime: now,
        lastTransitionTime: now,
      };
      const conditions = [...(request.status?.conditions ?? []), condition];
      await api.updateStatus({ ...request, status: { ...request.status, conditions } });
    };

    await runReconciler(context, {
      queue,
      sources: [informer],
      async reconcile(name) {
        const request = informer.store.get(name);
        const signer = request && signerOf.get(request.spec.signerName);
        if (!request || !signer || !isDue(request)) return;
        const { spec } = request;
        const parsed = parseRequest(requestText(request));
        try {
          const refusal = signerRules[signer](parsed, spec.usages ?? []);
          if (refusal !== undefined) {
            await fail(request, refusal);
            return;
          }
          // Read each time: a renewed authority counts at once.
          const { certFile, keyFile } = options.signing[signer];
          const authority = loadAuthority(await readFile(certFile, 'utf8'), await readFile(keyFile, 'utf8'));
          const certificate = issue(parsed, authority, {
            usages: spec.usages ?? [],
            ttlMs: ttlOf(spec.expirationSeconds, options.clusterSigningDuration),
            now: new Date(),
          });
          const encoded = Buffer.from(certificate).toString('base64');
          await api.updateStatus({ ...request, status: { ...request.status, certificate: encoded } });
          logger.info({ request: name, signer: spec.signerName, user: spec.username }, 'signed');
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      },
    });
  },
};
