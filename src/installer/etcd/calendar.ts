/** Schedules as CronJobs have them, as systemd's timers want them; in words that systemd 219 knows. */

interface Field {
  name: string;
  from: number;
  to: number;
  names?: readonly string[];
}

const fields: readonly Field[] = [
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day of the month', from: 1, to: 31 },
  {
    name: 'month',
    from: 1,
    to: 12,
    names: ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'],
  },
  { name: 'day of the week', from: 0, to: 7, names: ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] },
];

const macros: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
};

const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** @returns the values, or undefined for all of them @throws Error with the field's name */
function valuesOf(text: string, { name, from, to, names }: Field): number[] | undefined {
  if (text === '*') return undefined;
  const number = (word: string): number => {
    const named = names?.indexOf(word.toUpperCase()) ?? -1;
    if (named >= 0) return named + from;
    const value = /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN;
    if (!(value >= from && value <= to)) throw new Error(`"${text}" is no ${name} (${from} to ${to})`);
    return value;
  };
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [range = '', step, ...rest] = part.split('/');
    const width = step === undefined ? 1 : Number(step);
    if (rest.length || !Number.isInteger(width) || width < 1) throw new Error(`"${text}" is no ${name}`);
    const [first = '', last] = range === '*' ? [String(from), String(to)] : range.split('-');
    const start = number(first);
    const end = last === undefined ? (step === undefined ? start : to) : number(last);
    if (end < start) throw new Error(`"${text}" is no ${name}: ${end} comes before ${start}`);
    for (let value = start; value <= end; value += width) values.add(value);
  }
  return values.size > to - from ? undefined : [...values].sort((a, b) => a - b);
}

/** What is wrong with a schedule; empty when nothing is. */
export function scheduleMistake(schedule: string): string {
  if (schedule === 'off') return '';
  try {
    onCalendar(schedule);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

export const isSchedule = (schedule: string): boolean => scheduleMistake(schedule) === '';

const two = (value: number) => String(value).padStart(2, '0');
const listed = (values: number[] | undefined) => (values ? values.map(two).join(',') : '*');

/**
 * `30 3 * * 1-5` → `Mon,Tue,Wed,Thu,Fri *-*-* 03:30:00`
 * @throws Error that says which field is wrong
 */
export function onCalendar(schedule: string): string {
  const text = (macros[schedule.trim()] ?? schedule).trim().split(/\s+/);
  if (text.length !== 5) {
    throw new Error(
      `"${schedule}" is no schedule: it takes five fields as a CronJob has them, or one of ${Object.keys(macros).join(', ')}`,
    );
  }
  const [minute, hour, day, month, weekday] = fields.map((field, i) => valuesOf(text[i]!, field));
  if (day && weekday) {
    throw new Error(`"${schedule}" names days of the month and of the week; systemd would want both to be true`);
  }
  const days = weekday ? `${[...new Set(weekday.map((value) => weekdays[value % 7]))].join(',')} ` : '';
  return `${days}*-${listed(month)}-${listed(day)} ${listed(hour)}:${listed(minute)}:00`;
}
