/** JSON lines on standard error, one logger per component. Secrets never reach it: what looks like one is replaced. */
import pino, { type Logger } from 'pino';

export type { Logger };

/** Field names whose values are never written. */
const secretFields = ['token', 'password', 'key', 'keyData', 'authorization', 'bearerToken', 'tokenSecret'];

/**
 * @param component for example `kube-scheduler`
 * @param verbosity as `-v`: 0 to 1 is info, 2 to 4 debug, more is trace
 */
export function createLogger(component: string, verbosity = 0): Logger {
  return pino(
    {
      name: component,
      level: verbosity >= 5 ? 'trace' : verbosity >= 4 ? 'debug' : 'info',
      base: { component },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '[redacted]' },
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
