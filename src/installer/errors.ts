/**
 * Errors of the installer: each has a code from one table, and says where it happened, what was seen, and what to do.
 *
 * Exit codes 1 to 3 are kubeadm's (general, preflight, validation); the others tell a script which kind of trouble it was.
 */
import { ApiError } from '../machinery/client/errors.ts';

export const errorTable = {
  /** Anything without a better code. */
  Internal: 1,
  Preflight: 2,
  Validation: 3,
  Usage: 3,
  /** A host or a server cannot be reached. */
  Connection: 4,
  /** A host refuses the login, or is not the one that was meant. */
  Authentication: 5,
  /** The cluster to join was not found, or is not the one that was meant. */
  Discovery: 6,
  /** Something did not become ready in time. */
  Timeout: 7,
  /** A command on the host failed. */
  Command: 8,
  /** The API server refused or failed a request. */
  Api: 9,
  /** A file of the bundle is missing or damaged. */
  Bundle: 10,
  /** Another kinit works on this host at the moment. */
  Locked: 11,
  Interrupted: 130,
} as const;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorDetails {
  /** Name of the host. */
  host?: string;
  phase?: string;
  /** What was observed: output of the command, the answer of the server. */
  seen?: string;
  /** What the user can do about it. */
  advice?: string;
  cause?: unknown;
}

export class KinitError extends Error {
  override readonly name = 'KinitError';
  readonly code: ErrorCode;
  details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.details = details;
  }

  get exitCode(): number {
    return errorTable[this.code];
  }
}

const unreachable = /\b(ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)\b/;
const unreachableAdvice = 'check that what is named there runs and can be reached, and run the same command again';

/** Whether it is, or was caused by, a connection that could not be made or was lost: Node's code says so, not always its words. */
function isUnreachable(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return unreachable.test(String(thrown));
  const { code, message, cause } = thrown as NodeJS.ErrnoException;
  return unreachable.test(`${code} ${message}`) || (cause !== undefined && isUnreachable(cause));
}

const passingAdvice =
  'the API server cannot answer at the moment: run the same command again; if that does not help, see kinit status and kinit doctor';
const isPassing = ({ code }: ApiError): boolean => code === 429 || code >= 500;

/** Of several addresses tried in vain, the error has no words of its own. */
const wordsOf = (error: Error): string =>
  error instanceof AggregateError && !error.message
    ? error.errors.map((each: unknown) => (each instanceof Error ? each.message : String(each))).join('; ')
    : error.message;

/** Any thrown value as a KinitError; adds details that it does not carry yet. */
export function asKinitError(thrown: unknown, details: ErrorDetails = {}): KinitError {
  if (thrown instanceof KinitError) {
    thrown.details = { ...details, ...thrown.details };
    return thrown;
  }
  const message = thrown instanceof Error ? wordsOf(thrown) : String(thrown);
  if (thrown instanceof ApiError) {
    const advice = isPassing(thrown) ? { advice: passingAdvice } : {};
    return new KinitError('Api', message, { ...advice, ...details, cause: thrown });
  }
  if (isUnreachable(thrown))
    return new KinitError('Connection', message, { advice: unreachableAdvice, ...details, cause: thrown });
  return new KinitError('Internal', message, { ...details, cause: thrown });
}

/** The error as lines for a terminal: one that says it all, then what was seen and what to do. */
export function describeError(error: KinitError): string {
  const { host, phase, seen, advice } = error.details;
  const where = [host && `host ${host}`, phase && `phase ${phase}`].filter(Boolean).join(', ');
  const lines = [`error${where ? ` (${where})` : ''}: ${error.message}`];
  if (seen?.trim())
    lines.push(
      ...seen
        .trimEnd()
        .split('\n')
        .map((line) => `  seen: ${line}`),
    );
  if (advice) lines.push(`  what to do: ${advice}`);
  return lines.join('\n');
}
