/** What each of Kubernetes' signers signs: the rules on subjects, names and usages, in upstream's words. */
import type { Signer } from '../framework/options.ts';
import type { ParsedRequest } from './request.ts';

export const signerNames = {
  'kubelet-serving': 'kubernetes.io/kubelet-serving',
  'kubelet-client': 'kubernetes.io/kube-apiserver-client-kubelet',
  'kube-apiserver-client': 'kubernetes.io/kube-apiserver-client',
  'legacy-unknown': 'kubernetes.io/legacy-unknown',
} as const satisfies Record<Signer, string>;

/** Why the signer refuses the request; undefined when it does not. */
export type SignerRule = (request: ParsedRequest, usages: string[]) => string | undefined;

const isExactly = (usages: string[], ...allowed: string[][]) =>
  allowed.some((list) => list.length === new Set(usages).size && list.every((usage) => usages.includes(usage)));

const isNodeGroup = ({ organizations }: ParsedRequest) =>
  organizations.length === 1 && organizations[0] === 'system:nodes';

export const validateKubeletServing: SignerRule = (request, usages) => {
  if (!isNodeGroup(request)) return 'subject organization is not system:nodes';
  if (request.dnsNames.length + request.ipAddresses.length === 0)
    return 'at least one DNS or IP subjectAltName is required';
  if (request.emailAddresses.length > 0) return 'email subjectAltNames are not allowed';
  if (request.uris.length > 0) return 'URI subjectAltNames are not allowed';
  if (
    !isExactly(usages, ['key encipherment', 'digital signature', 'server auth'], ['digital signature', 'server auth'])
  )
    return 'usages did not match [digital signature key encipherment server auth]';
  if (!request.commonName.startsWith('system:node:')) return 'subject common name does not begin with system:node:';
  return undefined;
};

export const validateKubeletClient: SignerRule = (request, usages) => {
  if (!isNodeGroup(request)) return 'subject organization is not system:nodes';
  if (request.dnsNames.length > 0) return 'DNS subjectAltNames are not allowed';
  if (request.emailAddresses.length > 0) return 'email subjectAltNames are not allowed';
  if (request.ipAddresses.length > 0) return 'IP subjectAltNames are not allowed';
  if (request.uris.length > 0) return 'URI subjectAltNames are not allowed';
  if (!request.commonName.startsWith('system:node:')) return 'subject common name does not begin with system:node:';
  if (
    !isExactly(usages, ['key encipherment', 'digital signature', 'client auth'], ['digital signature', 'client auth'])
  )
    return 'usages did not match [client auth digital signature key encipherment]';
  return undefined;
};

const validateApiServerClient: SignerRule = (_request, usages) => {
  const foreign = usages.find((usage) => !['digital signature', 'key encipherment', 'client auth'].includes(usage));
  if (foreign) return `invalid usage for client certificate: ${foreign}`;
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth';
};

export const signerRules: Record<Signer, SignerRule> = {
  'kubelet-serving': validateKubeletServing,
  'kubelet-client': validateKubeletClient,
  'kube-apiserver-client': validateApiServerClient,
  'legacy-unknown': () => undefined,
};
