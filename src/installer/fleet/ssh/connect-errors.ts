/** Why no connection came about, in words that help. */
import { KinitError } from '../../errors.ts';
import type { SshTarget } from '../../inventory/types.ts';

export interface LoginAttempts {
  /** Ways to log in, in their order. */
  tried: string[];
  /** Why others were not tried. */
  notes: string[];
}

/** @param tried ways to log in, in their order */
export function connectError(
  error: Error & { level?: string; code?: string },
  { address, port, user }: SshTarget,
  host: string,
  { tried, notes }: LoginAttempts,
  timeoutMs: number,
): KinitError {
  const where = `${address}:${port}`;
  if (error.level === 'client-authentication') {
    return new KinitError('Authentication', `${where} refuses the login as ${user}`, {
      host,
      seen: [
        `tried ${tried.length ? [...new Set(tried)].join(', ') : 'nothing: the server takes none of the given ways'}`,
        ...notes,
      ].join('\n'),
      advice: 'check user, identityFile and passwordFromEnv in the inventory, and authorized_keys on the host',
    });
  }
  const reasons: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there (connection refused)',
    EHOSTUNREACH: 'no route to the host',
    ENETUNREACH: 'the network cannot be reached',
    ETIMEDOUT: 'no answer',
    ENOTFOUND: 'the name does not resolve',
    EAI_AGAIN: 'the name does not resolve',
    ECONNRESET: 'the connection was reset',
  };
  const timeout = error.level === 'client-timeout' || /timed out/i.test(error.message);
  const why = timeout ? `no answer within ${timeoutMs / 1000} s` : (reasons[error.code ?? ''] ?? error.message);
  return new KinitError('Connection', `cannot reach ${where}: ${why}`, {
    host,
    advice: 'check address and port in the inventory, and that the machine is on and runs an SSH server',
    cause: error,
  });
}
