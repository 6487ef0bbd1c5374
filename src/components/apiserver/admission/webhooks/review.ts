/** The AdmissionReview that a webhook is sent, and what its answer means. */
import { randomUUID } from 'node:crypto';
import type { Status, UnknownObject } from '../../../../machinery/api/types.ts';
import { toServed, toStored } from '../../conversion/conversion.ts';
import { StatusError } from '../../errors.ts';
import type { AdmissionAttributes, ResourceDescriptor } from '../../types.ts';

export interface ReviewRequest extends Record<string, unknown> {
  uid: string;
}

/** The object in the version that the webhook knows. */
export function inVersion(
  object: UnknownObject | undefined,
  from: ResourceDescriptor,
  to: ResourceDescriptor,
): UnknownObject | undefined {
  if (!object || from === to) return object;
  return toServed(to, toStored(from, object));
}

const kindOf = (attributes: AdmissionAttributes, { group, version, kind }: ResourceDescriptor) => {
  const { object, subresource } = attributes;
  if (!subresource || !object?.kind || !object.apiVersion) return { group, version, kind };
  const parts = object.apiVersion.split('/');
  return { group: parts.length > 1 ? parts[0] : '', version: parts.at(-1), kind: object.kind };
};

const resourceOf = ({ group, version, resource }: ResourceDescriptor) => ({ group, version, resource });

/** `wanted` is the version that the webhook's rules name. */
export function reviewRequest(attributes: AdmissionAttributes, wanted: ResourceDescriptor): ReviewRequest {
  const { descriptor, subresource, user, operation, object, oldObject } = attributes;
  const isNamespace = descriptor.group === '' && descriptor.resource === 'namespaces';
  const namespace = isNamespace ? attributes.name || object?.metadata?.name : attributes.namespace;
  return {
    uid: randomUUID(),
    kind: kindOf(attributes, wanted),
    resource: resourceOf(wanted),
    ...(subresource ? { subResource: subresource } : {}),
    requestKind: kindOf(attributes, descriptor),
    requestResource: resourceOf(descriptor),
    ...(subresource ? { requestSubResource: subresource } : {}),
    ...(attributes.name || object?.metadata?.name ? { name: attributes.name || object?.metadata?.name } : {}),
    ...(namespace ? { namespace } : {}),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid ? { uid: user.uid } : {}),
      ...(user.groups.length ? { groups: user.groups } : {}),
      ...(user.extra ? { extra: user.extra } : {}),
    },
    object: inVersion(object, descriptor, wanted) ?? null,
    oldObject: inVersion(oldObject, descriptor, wanted) ?? null,
    dryRun: attributes.dryRun,
    options: Object.keys(attributes.options).length ? attributes.options : null,
  };
}

export interface Verdict {
  allowed: boolean;
  status?: Status;
  warnings: string[];
  /** A JSON patch. */
  patch?: unknown;
}

interface ReviewResponse {
  uid?: string;
  allowed?: boolean;
  status?: Status;
  patch?: string;
  patchType?: string;
  warnings?: string[];
}

/** Throws an Error for an answer that is none. */
export function readReview(body: string, version: string, uid: string): Verdict {
  const review = JSON.parse(body) as { apiVersion?: string; kind?: string; response?: ReviewResponse };
  const expected = `admission.k8s.io/${version}`;
  const { response } = review;
  if (version === 'v1' || review.apiVersion || review.kind) {
    if (review.apiVersion !== expected || review.kind !== 'AdmissionReview')
      throw new Error(
        `expected webhook response of ${expected}, Kind=AdmissionReview, got ${review.apiVersion ?? ''}, Kind=${review.kind ?? ''}`,
      );
  }
  if (!response) throw new Error('webhook response was absent');
  if (version === 'v1' && response.uid !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  if (response.patch && version === 'v1' && response.patchType !== 'JSONPatch')
    throw new Error(
      response.patchType
        ? `webhook returned invalid response.patchType of ${JSON.stringify(response.patchType)}`
        : 'webhook returned response.patch but not response.patchType',
    );
  return {
    allowed: response.allowed === true,
    warnings: response.warnings ?? [],
    ...(response.status ? { status: response.status } : {}),
    ...(response.patch ? { patch: JSON.parse(Buffer.from(response.patch, 'base64').toString()) as unknown } : {}),
  };
}

/** What the client is told when a webhook says no. */
export function denial(webhook: string, given: Status | undefined): StatusError {
  const by = `admission webhook ${JSON.stringify(webhook)} denied the request`;
  const { message, reason } = given ?? {};
  return new StatusError({
    ...given,
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: message ? `${by}: ${message}` : reason ? `${by}: ${reason}` : `${by} without explanation`,
    code: Math.max(given?.code ?? 0, 400),
  });
}
