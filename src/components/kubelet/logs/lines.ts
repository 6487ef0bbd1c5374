/** Lines of a container's log file as the runtime writes them (CRI): `2016-10-06T00:17:09.669794202Z stdout F text`. */

export interface LogLine {
  timestamp: string;
  stream: 'stdout' | 'stderr';
  /** A part of a longer line: no line end belongs to it. */
  partial: boolean;
  content: Buffer;
}

const space = 0x20;
const newline = 0x0a;

/** @param raw one line, with or without its line end; undefined for what is no such line */
export function parseLogLine(raw: Buffer): LogLine | undefined {
  const first = raw.indexOf(space);
  const second = raw.indexOf(space, first + 1);
  const third = raw.indexOf(space, second + 1);
  if (first < 0 || second < 0) return undefined;
  const timestamp = raw.toString('latin1', 0, first);
  const stream = raw.toString('latin1', first + 1, second);
  if (Number.isNaN(Date.parse(timestamp)) || (stream !== 'stdout' && stream !== 'stderr')) return undefined;
  const ended = raw.at(-1) === newline;
  const tagEnd = third < 0 ? raw.length - (ended ? 1 : 0) : third;
  const partial = raw.toString('latin1', second + 1, tagEnd).split(':')[0] === 'P';
  const content = third < 0 ? Buffer.from('\n') : raw.subarray(third + 1);
  return { timestamp, stream, partial, content: partial && ended ? content.subarray(0, -1) : content };
}

/** Nine digits of a second, always: so that timestamps line up. */
export function fullTimestamp(timestamp: string): string {
  const match = /^(.+T\d\d:\d\d:\d\d)(?:\.(\d+))?(.*)$/.exec(timestamp);
  return match ? `${match[1]}.${(match[2] ?? '').padEnd(9, '0').slice(0, 9)}${match[3]}` : timestamp;
}

/** Compares at nanoseconds; both as RFC 3339, the second one in any zone. */
export function isBefore(timestamp: string, since: string): boolean {
  const difference = Date.parse(timestamp) - Date.parse(since);
  if (difference !== 0) return difference < 0;
  return fraction(timestamp) < fraction(since);
}

const fraction = (timestamp: string): string => (/\.(\d+)/.exec(timestamp)?.[1] ?? '').padEnd(9, '0');

export interface LogFilter {
  timestamps?: boolean;
  /** RFC 3339. */
  since?: string;
  limitBytes?: number;
  stream?: 'stdout' | 'stderr';
}

/** Turns raw lines into what the reader wants to see. */
export function createLogWriter({ timestamps, since, limitBytes, stream }: LogFilter) {
  let left = limitBytes ?? Number.POSITIVE_INFINITY;
  let atLineStart = true;
  return {
    /** Nothing more will be answered. */
    get full() {
      return left <= 0;
    },
    render(raw: Buffer): Buffer | undefined {
      const line = parseLogLine(raw);
      if (!line || (since && isBefore(line.timestamp, since)) || (stream && line.stream !== stream)) return undefined;
      let out = line.content;
      if (timestamps && atLineStart) out = Buffer.concat([Buffer.from(`${fullTimestamp(line.timestamp)} `), out]);
      atLineStart = out.at(-1) === newline;
      if (out.length > left) out = out.subarray(0, left);
      left -= out.length;
      return out;
    },
  };
}
