/** JSON scalars with a meaning, brought to the form in which upstream writes them. Throw DecodeError with Go's texts. */
import { canonicalQuantity } from '../../../machinery/api/quantity.ts';

/** A value that cannot be read as its field's type. */
export class DecodeError extends Error {}

const canonical = new Map<string, string>();
const maxRemembered = 4096;

/** `1024Mi` → `1Gi`; numbers are accepted. */
export function normalQuantity(value: string | number): string {
  const text = String(value);
  const known = canonical.get(text);
  if (known !== undefined) return known;
  let result: string;
  try {
    result = canonicalQuantity(text);
  } catch (error) {
    throw new DecodeError((error as Error).message);
  }
  if (canonical.size >= maxRemembered) canonical.clear();
  canonical.set(text, result);
  return result;
}

const plainTime = /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const anyTime = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:\d{2})$/;

function parsed(text: string, layout: string): { seconds: number; fraction: string } {
  const match = anyTime.exec(text);
  const milliseconds = match ? Date.parse(`${match[1]}${match[3]}`) : Number.NaN;
  if (!match || Number.isNaN(milliseconds)) {
    throw new DecodeError(
      `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(text)} as "2006"`,
    );
  }
  return { seconds: milliseconds / 1000, fraction: match[2] ?? '' };
}

/** metav1.Time: whole seconds in UTC. */
export function normalTime(text: string): string {
  if (plainTime.test(text)) return text;
  return `${new Date(parsed(text, '2006-01-02T15:04:05Z07:00').seconds * 1000).toISOString().slice(0, 19)}Z`;
}

/** metav1.MicroTime: six digits, UTC. */
export function normalMicroTime(text: string): string {
  const { seconds, fraction } = parsed(text, '2006-01-02T15:04:05.000000Z07:00');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Checks base64; line breaks inside are dropped, as Go's decoder ignores them. */
export function normalBytes(text: string): string {
  const joined = text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, '') : text;
  if (base64.test(joined)) return joined;
  const bad = joined.search(/[^A-Za-z0-9+/]/);
  throw new DecodeError(`illegal base64 data at input byte ${bad < 0 ? joined.length - (joined.length % 4) : bad}`);
}
