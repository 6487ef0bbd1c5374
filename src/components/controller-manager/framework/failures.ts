/** What a failed write means to a controller. */
import { ApiError } from '../../../machinery/client/errors.ts';

/** What the server said, without the request that it answered. */
export const messageOf = (error: unknown): string =>
  error instanceof ApiError ? (error.status.message ?? error.message) : (error as Error).message;

/** The namespace is being deleted: nothing can be created, and nobody needs to be told. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  error instanceof ApiError &&
  (error.status.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false);
