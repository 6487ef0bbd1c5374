/** Cron schedules as CronJobs write them (`0 3 * * 1-5`, `@hourly`), in any time zone. */
import { parseDuration } from '../../../../machinery/api/time.ts';

export interface Schedule {
  /** The first time after `after`, milliseconds since 1970; undefined when there is none in the next five years. */
  next(after: number): number | undefined;
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: months },
  { min: 0, max: 6, names: days },
] as const;

const shorthands: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const minuteMs = 60_000;

/** @param offsetAt minutes east of UTC, in milliseconds, at a time. Throws with the parser's words for text that is no schedule. */
export function parseSchedule(text: string, offsetAt: (time: number) => number): Schedule {
  const spec = text.trim();
  if (spec === '') throw new Error('empty spec string');
  if (spec.startsWith('@every ')) {
    const every = Math.max(1000, Math.floor(parseDuration(spec.slice(7)) / 1000) * 1000);
    return { next: (after) => Math.floor(after / 1000) * 1000 + every };
  }
  const expanded = shorthands[spec] ?? spec;
  if (expanded.startsWith('@')) throw new Error(`unrecognized descriptor: ${spec}`);
  const parts = expanded.split(/\s+/);
  if (parts.length !== 5) throw new Error(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`);
  const [minute, hour, day, month, weekday] = fields.map((field, index) => parseField(parts[index] ?? '', field)) as [
    Field,
    Field,
    Field,
    Field,
    Field,
  ];
  const dayMatches = (date: Date): boolean => {
    const [inMonth, inWeek] = [day.values.has(date.getUTCDate()), weekday.values.has(date.getUTCDay())];
    // Unless one of them is a star, either suffices.
    return day.isStar || weekday.isStar ? inMonth && inWeek : inMonth || inWeek;
  };
  return {
    next(after) {
      const limit = after + 5 * 366 * 24 * 60 * minuteMs;
      // The wall clock, kept in the UTC fields of a Date.
      let wall = Math.floor(after / minuteMs) * minuteMs + minuteMs + offsetAt(after);
      while (wall < limit) {
        const date = new Date(wall);
        const [year, monthIndex, dayOfMonth] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
        if (!month.values.has(monthIndex + 1)) wall = Date.UTC(year, monthIndex + 1, 1);
        else if (!dayMatches(date)) wall = Date.UTC(year, monthIndex, dayOfMonth + 1);
        else if (!hour.values.has(date.getUTCHours()))
          wall = Date.UTC(year, monthIndex, dayOfMonth, date.getUTCHours() + 1);
        else if (!minute.values.has(date.getUTCMinutes())) wall += minuteMs;
        else {
          const time = wall - offsetAt(wall - offsetAt(wall));
          // A wall time that the clock skips (daylight saving) does not exist; one that it repeats counts once.
          if (time > after && time + offsetAt(time) === wall) return time;
          wall += minuteMs;
        }
      }
      return undefined;
    },
  };
}

interface Field {
  values: Set<number>;
  isStar: boolean;
}

function parseField(text: string, { min, max, names }: { min: number; max: number; names?: readonly string[] }): Field {
  const values = new Set<number>();
  let isStar = false;
  const numberOf = (word: string): number => {
    const named = names?.indexOf(word.toLowerCase()) ?? -1;
    if (named >= 0) return named + min;
    if (!/^\d+$/.test(word))
      throw new Error(`failed to parse int from ${word}: strconv.Atoi: parsing "${word}": invalid syntax`);
    return Number(word);
  };
  for (const part of text.split(',').filter(Boolean)) {
    const [range = '', stepText, ...more] = part.split('/');
    if (more.length > 0) throw new Error(`too many slashes: ${part}`);
    const step = stepText === undefined ? 1 : numberOf(stepText);
    const [low = '', high, ...rest] = range.split('-');
    if (rest.length > 0) throw new Error(`too many hyphens: ${part}`);
    let [start, end] = [min, max];
    if (low === '*' || low === '?') isStar ||= step === 1;
    else {
      start = numberOf(low);
      end = high === undefined ? (stepText === undefined ? start : max) : numberOf(high);
    }
    if (start < min) throw new Error(`beginning of range (${start}) below minimum (${min}): ${part}`);
    if (end > max) throw new Error(`end of range (${end}) above maximum (${max}): ${part}`);
    if (start > end) throw new Error(`beginning of range (${start}) beyond end of range (${end}): ${part}`);
    if (step === 0) throw new Error(`step of range should be a positive number: ${part}`);
    for (let value = start; value <= end; value += step) values.add(value);
  }
  return { values, isStar };
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** How far a zone is from UTC; without one, this process' own. Throws RangeError for a zone that does not exist. */
export function zoneOffset(zone: string | undefined): (time: number) => number {
  if (!zone) return (time) => -new Date(time).getTimezoneOffset() * minuteMs;
  const known = formatters.get(zone);
  const formatter =
    known ??
    new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  formatters.set(zone, formatter);
  return (time) => {
    const part = Object.fromEntries(formatter.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(time / 1000) * 1000;
  };
}
