/** Upstream's `Status` errors: one function per reason, with the HTTP code and wording that clients match on. */
import type { Status, StatusCause } from '../../machinery/api/types.ts';

/** Thrown anywhere in the API server; the outermost handler writes `status` as the answer. */
export class StatusError extends Error {
  readonly status: Status;
  constructor(status: Status) {
    super(status.message ?? status.reason ?? 'unknown error');
    this.name = 'StatusError';
    this.status = status;
  }
  get code(): number {
    return this.status.code ?? 500;
  }
}

/** One invalid field, as upstream's field.Error. */
export interface FieldError {
  type:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueDuplicate'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueNotFound'
    | 'FieldValueTypeInvalid';
  /** For example `spec.containers[0].name`. */
  field: string;
  /** With the bad value where upstream prints it: `Invalid value: "x": must be …`. */
  message: string;
}

/** `deployments.apps` or `pods`, as errors print a resource. */
export function qualifiedResource(group: string, resource: string): string {
  return group ? `${resource}.${group}` : resource;
}

function failure(code: number, reason: string, message: string, details?: Status['details']): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details ? { details } : {}),
    code,
  });
}

const detailsOf = (group: string, kind: string, name: string) => ({
  ...(name ? { name } : {}),
  ...(group ? { group } : {}),
  kind,
});

export const badRequest = (message: string) => failure(400, 'BadRequest', message);
export const unauthorized = (message = 'Unauthorized') => failure(401, 'Unauthorized', message);
/** `what` is the whole sentence after the colon, for example `User "x" cannot get resource …`. */
export const forbidden = (group: string, resource: string, name: string, what: string) =>
  failure(
    403,
    'Forbidden',
    `${qualifiedResource(group, resource)}${name ? ` "${name}"` : ''} is forbidden: ${what}`,
    detailsOf(group, resource, name),
  );
export const notFound = (group: string, resource: string, name: string) =>
  failure(
    404,
    'NotFound',
    `${qualifiedResource(group, resource)} "${name}" not found`,
    detailsOf(group, resource, name),
  );
export const unknownPath = () => failure(404, 'NotFound', 'the server could not find the requested resource', {});
export const methodNotSupported = (group: string, resource: string, verb: string) =>
  failure(
    405,
    'MethodNotAllowed',
    `${verb} is not supported on resources of kind "${qualifiedResource(group, resource)}"`,
    detailsOf(group, resource, ''),
  );
export const notAcceptable = (message: string) => failure(406, 'NotAcceptable', message);
export const alreadyExists = (group: string, resource: string, name: string) =>
  failure(
    409,
    'AlreadyExists',
    `${qualifiedResource(group, resource)} "${name}" already exists`,
    detailsOf(group, resource, name),
  );
export const conflict = (
  group: string,
  resource: string,
  name: string,
  why = 'the object has been modified; please apply your changes to the latest version and try again',
) =>
  failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(group, resource)} "${name}": ${why}`,
    detailsOf(group, resource, name),
  );
/** Server-side apply found fields owned by other managers. */
export const applyConflict = (message: string, causes: StatusCause[]) => failure(409, 'Conflict', message, { causes });
export const expired = (message = 'The resourceVersion for the provided watch is too old.') =>
  failure(410, 'Expired', message);
export const tooLarge = (message: string) => failure(413, 'RequestEntityTooLarge', message);
export const unsupportedMediaType = (message: string) => failure(415, 'UnsupportedMediaType', message);
export const tooManyRequests = (message: string, retryAfterSeconds: number, causes?: StatusCause[]) =>
  failure(429, 'TooManyRequests', message, {
    ...(causes ? { causes } : {}),
    ...(retryAfterSeconds ? { retryAfterSeconds } : {}),
  });
export const internalError = (message: string) =>
  failure(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
export const serviceUnavailable = (message: string) => failure(503, 'ServiceUnavailable', message);
export const serverTimeout = (group: string, resource: string, verb: string) =>
  failure(504, 'Timeout', `Timeout: ${verb} ${qualifiedResource(group, resource)}`, detailsOf(group, resource, ''));

/** 422 with a cause per field, worded as upstream words it. `kind` is the object's kind, not its resource. */
export function invalid(group: string, kind: string, name: string, errors: FieldError[]): StatusError {
  const lines = errors.map((error) => `${error.field}: ${error.message}`);
  const listed = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return failure(422, 'Invalid', `${group ? `${kind}.${group}` : kind} "${name}" is invalid: ${listed}`, {
    ...detailsOf(group, kind, name),
    causes: errors.map(({ type, message, field }) => ({ reason: type, message, field })),
  });
}
