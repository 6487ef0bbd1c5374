/** The opaque token that goes on with a paged list: the revision of its first page and the key to go on from. */
import { badRequest } from '../errors.ts';

export interface ContinueToken {
  /** -1: any revision will do (given out with a 410 so that the client may go on inconsistently). */
  revision: number;
  /** The first key that has not been given out, below the resource's prefix. */
  start: string;
}

const tokenVersion = 'meta.k8s.io/v1';

export function encodeContinue({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: tokenVersion, rv: revision, start })).toString('base64url');
}

/** Throws 400 for what is no token of ours. */
export function decodeContinue(text: string): ContinueToken {
  let parsed: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    parsed = JSON.parse(Buffer.from(text, 'base64').toString()) as typeof parsed;
  } catch (error) {
    throw badRequest(`continue key is not valid: ${(error as Error).message}`);
  }
  if (parsed.v !== tokenVersion || typeof parsed.rv !== 'number' || parsed.rv === 0)
    throw badRequest('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (typeof parsed.start !== 'string' || parsed.start === '')
    throw badRequest('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)');
  if (parsed.start.includes('..') || parsed.start.startsWith('/'))
    throw badRequest(`continue key is not valid: ${parsed.start}`);
  return { revision: parsed.rv, start: parsed.start };
}
