/** JSON Patch, RFC 6902. */

/** The patch cannot be read, or one of its operations cannot be applied. */
export class PatchError extends Error {
  /** `malformed`: the patch itself is wrong (400); `failed`: it does not fit the document (422). */
  readonly problem: 'malformed' | 'failed';
  constructor(problem: 'malformed' | 'failed', message: string) {
    super(message);
    this.name = 'PatchError';
    this.problem = problem;
  }
}

/** Applies the operations in order; the given document is not modified. */
export function applyJsonPatch(_document: unknown, _patch: unknown): unknown {
  throw new PatchError('malformed', 'not yet');
}
