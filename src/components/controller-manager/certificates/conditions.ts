/** The state of a certificate signing request by its conditions. */
import type { CertificateSigningRequest } from '../../../machinery/api/types.ts';

const has = ({ status }: CertificateSigningRequest, wanted: string) =>
  status?.conditions?.some(({ type, status: value }) => type === wanted && (value === 'True' || !value)) ?? false;

export const isApproved = (request: CertificateSigningRequest): boolean =>
  has(request, 'Approved') && !has(request, 'Denied');
export const isDenied = (request: CertificateSigningRequest): boolean => has(request, 'Denied');
export const isFailed = (request: CertificateSigningRequest): boolean => has(request, 'Failed');

export const requestText = ({ spec }: CertificateSigningRequest): string =>
  Buffer.from(spec.request, 'base64').toString('utf8');
