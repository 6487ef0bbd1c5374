/** Who may approve and sign certificate requests, and which subject the API server's client signer never signs. */
import type { CertificateSigningRequest } from '../../../../machinery/api/types.ts';
import type { AdmissionAttributes, Authorizer } from '../../types.ts';
import { isFor, onOperations, type PluginFactory, refuse } from '../plugin.ts';
import { organizationsOfRequest } from './certificate-request.ts';

const group = 'certificates.k8s.io';
const resource = 'certificatesigningrequests';

/** By the signer's own name or by its domain: `example.com/*`. */
async function maySigner(
  authorizer: Authorizer,
  { user }: AdmissionAttributes,
  verb: 'approve' | 'sign',
  signerName: string,
): Promise<boolean> {
  for (const name of [signerName, `${signerName.split('/')[0]}/*`]) {
    const answer = await authorizer.authorize({
      user,
      verb,
      resourceRequest: true,
      path: '',
      apiGroup: group,
      apiVersion: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
    });
    if (answer.decision === 'allow') return true;
  }
  return false;
}

export const certificateApproval: PluginFactory = ({ authorizer }) => ({
  name: 'CertificateApproval',
  handles: onOperations('UPDATE'),
  async validate(attributes) {
    if (!isFor(attributes, group, resource, 'approval')) return;
    const { signerName } = (attributes.oldObject as unknown as CertificateSigningRequest).spec;
    if (!(await maySigner(authorizer, attributes, 'approve', signerName)))
      throw refuse(attributes, `user not permitted to approve requests with signerName ${JSON.stringify(signerName)}`);
  },
});

export const certificateSigning: PluginFactory = ({ authorizer }) => ({
  name: 'CertificateSigning',
  handles: onOperations('UPDATE'),
  async validate(attributes) {
    if (!isFor(attributes, group, resource, 'status')) return;
    const old = attributes.oldObject as unknown as CertificateSigningRequest;
    const next = attributes.object as unknown as CertificateSigningRequest;
    const failed = ({ status }: CertificateSigningRequest) =>
      JSON.stringify((status?.conditions ?? []).filter(({ type }) => type === 'Failed'));
    if ((old.status?.certificate ?? '') === (next.status?.certificate ?? '') && failed(old) === failed(next)) return;
    const { signerName } = old.spec;
    if (!(await maySigner(authorizer, attributes, 'sign', signerName)))
      throw refuse(attributes, `user not permitted to sign requests with signerName ${JSON.stringify(signerName)}`);
  },
});

export const certificateSubjectRestriction: PluginFactory = () => ({
  name: 'CertificateSubjectRestriction',
  handles: onOperations('CREATE'),
  validate(attributes) {
    if (!isFor(attributes, group, resource)) return;
    const { signerName, request } = (attributes.object as unknown as CertificateSigningRequest).spec;
    if (signerName !== 'kubernetes.io/kube-apiserver-client') return;
    if (organizationsOfRequest(request).includes('system:masters'))
      throw refuse(
        attributes,
        'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
      );
  },
});
