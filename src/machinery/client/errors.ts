/** What an API server answered when it did not do what was asked. */
import type { Status } from '../api/types.ts';

export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly status: Status;
  constructor(status: Status, context?: string) {
    super(
      context ? `${context}: ${status.message ?? status.reason}` : (status.message ?? status.reason ?? 'unknown error'),
    );
    this.name = 'ApiError';
    this.status = status;
    this.code = status.code ?? 0;
    this.reason = status.reason ?? '';
  }
}

const hasCode = (error: unknown, code: number, reason?: string): boolean =>
  error instanceof ApiError && error.code === code && (!reason || error.reason === reason);

export const isNotFound = (error: unknown): boolean => hasCode(error, 404);
export const isConflict = (error: unknown): boolean => hasCode(error, 409, 'Conflict');
export const isAlreadyExists = (error: unknown): boolean => hasCode(error, 409, 'AlreadyExists');
/** 410: a resourceVersion or continue token is too old. */
export const isGone = (error: unknown): boolean => hasCode(error, 410);
export const isForbidden = (error: unknown): boolean => hasCode(error, 403);
export const isUnauthorized = (error: unknown): boolean => hasCode(error, 401);
export const isInvalid = (error: unknown): boolean => hasCode(error, 422);
export const isTooManyRequests = (error: unknown): boolean => hasCode(error, 429);
