/** API times (RFC 3339) and Go durations (`1m30s`). */

/** A metav1.Time: whole seconds, UTC. */
export const formatTime = (date: Date = new Date()): string => `${date.toISOString().slice(0, 19)}Z`;

/** A metav1.MicroTime: six digits after the point. */
export const formatMicroTime = (date: Date = new Date()): string => `${date.toISOString().slice(0, 23)}000Z`;

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970. Throws when the text is no RFC 3339 time. */
export function parseTime(text: string): number {
  const value = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(value)) throw new Error(`${JSON.stringify(text)} is not an RFC 3339 time`);
  return value;
}

/** Milliseconds since 1970; `absent` (default 0) for a field that is not set or no time. */
export function timeOf(text: string | undefined, absent = 0): number {
  const value = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(value) ? absent : value;
}

const unitMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration: `300ms`, `1h15m`, `-1.5s`, `0`. Throws like Go's time.ParseDuration. */
export function parseDuration(text: string): number {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (!match) {
    const missing = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text);
    throw new Error(`time: ${missing ? 'missing unit in' : 'invalid'} duration ${JSON.stringify(text)}`);
  }
  let ms = 0;
  for (const [, number, unit] of (match[2] as string).matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    ms += Number(number) * (unitMs[unit as string] as number);
  return match[1] === '-' ? -ms : ms;
}

/** As Go prints a duration: `1h0m0s`, `1m30s`, `1.5s`, `300ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  const sign = ms < 0 ? '-' : '';
  const size = Math.abs(ms);
  if (size < 1) return size < 1e-3 ? `${sign}${Math.round(size * 1e6)}ns` : `${sign}${trimmed(size * 1e3, 3)}µs`;
  if (size < 1000) return `${sign}${trimmed(size, 6)}ms`;
  const hours = Math.floor(size / 3_600_000);
  const minutes = Math.floor((size % 3_600_000) / 60_000);
  const seconds = trimmed((size % 60_000) / 1000, 9);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

const trimmed = (value: number, digits: number): string => String(Number(value.toFixed(digits)));
