/** What a host is asked to do in a step. It travels as the configuration file of the job, since it may hold a key. */
import { z } from 'zod';
import { KinitError } from '../errors.ts';
import { badCertificateKey, isCertificateKey } from '../pki/transfer.ts';
import { rotatedNames, rotationSteps } from './authorities.ts';

/**
 * `begin`: the control plane that makes the new keys changes what all control planes share, takes it up, and uploads it.
 * `follow`: another control plane downloads that, and takes it up.
 * `cluster`: what of it stands in the cluster's objects, once all control planes have it.
 * `kubelet`: a node believes the bundle, and its kubelet has a certificate of the authority that signs.
 * `pods`: the pods of the node have what they need for the next step.
 * `end`: the step is through on all hosts.
 */
const parts = ['begin', 'follow', 'cluster', 'kubelet', 'pods', 'end'] as const;
export type RotationPart = (typeof parts)[number];

const orderSchema = z.object({
  part: z.enum(parts),
  step: z.enum(rotationSteps),
  names: z.array(z.enum(rotatedNames)).min(1),
  /** Of the uploaded files. */
  certificateKey: z.string().refine(isCertificateKey, badCertificateKey).optional(),
  /** ca.crt, for nodes that are no control planes. */
  trusted: z.string().optional(),
  /** `kid` of the tokens that the pods shall have. */
  tokenKey: z.string().optional(),
  /** The new authority, signed by the old one: what knows only the old one believes what the new one has signed. */
  crossed: z.string().optional(),
});

export type RotationOrder = z.infer<typeof orderSchema>;

export const formatOrder = (order: RotationOrder): string => JSON.stringify(order);

/** @throws KinitError; nothing of the file stands in it */
export function parseOrder(text: string, path: string): RotationOrder {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const read = orderSchema.safeParse(value);
  if (read.success) return read.data;
  throw new KinitError('Validation', `${path} is no order of a rotation`, {
    seen: read.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('\n'),
    advice: 'kinit certs rotate-ca writes it',
  });
}
