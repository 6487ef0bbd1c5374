/** Approves the client certificates of kubelets whose requester may have one (nodeclient, selfnodeclient). */
import { formatTime } from '../../../machinery/api/time.ts';
import type { CertificateSigningRequest } from '../../../machinery/api/types.ts';
import { isNotFound } from '../../../machinery/client/errors.ts';
import { certificateSigningRequests, subjectAccessReviews } from '../../../machinery/client/resources.ts';
import { createWorkQueue } from '../../../machinery/workqueue/queue.ts';
import type { Controller } from '../framework/controller.ts';
import { runReconciler } from '../framework/reconciler.ts';
import { isApproved, isDenied, requestText } from './conditions.ts';
import { type ParsedRequest, parseRequest } from './request.ts';
import { signerNames, validateKubeletClient } from './signers.ts';

interface Recognizer {
  /** The subresource of certificatesigningrequests that the requester must be allowed to create. */
  permission: string;
  message: string;
  recognizes(request: CertificateSigningRequest, parsed: ParsedRequest): boolean;
}

const isNodeClient = ({ spec }: CertificateSigningRequest, parsed: ParsedRequest) =>
  spec.signerName === signerNames['kubelet-client'] && validateKubeletClient(parsed, spec.usages ?? []) === undefined;

export const recognizers: Recognizer[] = [
  {
    permission: 'selfnodeclient',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
    recognizes: (request, parsed) => isNodeClient(request, parsed) && request.spec.username === parsed.commonName,
  },
  {
    permission: 'nodeclient',
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
    recognizes: isNodeClient,
  },
];

const isOpen = (request: CertificateSigningRequest) =>
  !request.status?.certificate && !isApproved(request) && !isDenied(request);

export const certificateApproving: Controller = {
  name: 'certificatesigningrequest-approving-controller',
  serviceAccount: 'certificate-controller',
  async run(context) {
    const { client } = context;
    const informer = context.informers.informer(certificateSigningRequests);
    const queue = createWorkQueue<string>({ baseDelayMs: 200, maxDelayMs: 1_000_000 });
    const add = (request: CertificateSigningRequest) => {
      if (isOpen(request)) queue.add(request.metadata?.name ?? '');
    };
    informer.addHandler({ onAdd: add, onUpdate: (_old, request) => add(request) });

    const mayHave = async ({ spec }: CertificateSigningRequest, subresource: string): Promise<boolean> => {
      const review = await client.resource(subjectAccessReviews).create({
        spec: {
          user: spec.username ?? '',
          ...(spec.uid ? { uid: spec.uid } : {}),
          groups: spec.groups ?? [],
          ...(spec.extra ? { extra: spec.extra } : {}),
          resourceAttributes: {
            group: 'certificates.k8s.io',
            resource: 'certificatesigningrequests',
            verb: 'create',
            subresource,
            version: '*',
          },
        },
      });
      return review.status?.allowed === true;
    };

    await runReconciler(context, {
      queue,
      sources: [informer],
      async reconcile(name) {
        const request = informer.store.get(name);
        if (!request || !isOpen(request) || request.spec.signerName !== signerNames['kubelet-client']) return;
        let parsed: ParsedRequest;
        try {
          parsed = parseRequest(requestText(request));
        } catch (error) {
          context.logger.warn({ request: name }, `unable to parse csr: ${(error as Error).message}`);
          return;
        }
        const tried: string[] = [];
        for (const { permission, message, recognizes } of recognizers) {
          if (!recognizes(request, parsed)) continue;
          tried.push(permission);
          if (!(await mayHave(request, permission))) continue;
          const now = formatTime();
          const condition = {
            type: 'Approved',
            status: 'True',
            reason: 'AutoApproved',
            message,
            lastUpdateTime: now,
            lastTransitionTime: now,
          };
          try {
            await client.resource(certificateSigningRequests).update(
              {
                ...request,
                status: { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] },
              },
              { subresource: 'approval' },
            );
          } catch (error) {
            if (!isNotFound(error)) throw error;
          }
          return;
        }
        // The right may still be granted: tried again, ever less often.
        if (tried.length > 0)
          throw new Error(
            `recognized csr "${name}" as [${tried.join(' ')}] but subject access review was not approved`,
          );
      },
    });
  },
};
