/**
 * kinit as a detached job on a host: it goes on when the connection breaks off, writes its events to a file, and is
 * followed from where the last connection ended.
 */

import { randomBytes } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import { KinitError } from '../errors.ts';
import { type EventSink, type PhaseEvent, parseEvent, type SessionCommand } from '../phases/events.ts';
import { type Connection, quote } from './connection.ts';
import { connectAgain, defaultPatienceMs, isLost, type LastingConnection } from './lasting-connection.ts';

export type EndedEvent = Extract<PhaseEvent, { type: 'ended' }>;

export interface JobSpec {
  command: SessionCommand;
  /** Path of another kinit than that of the bundle in use. */
  program?: string;
  /** Without secrets: they are visible in the process list. */
  arguments: string[];
  /** Text of the configuration file; it may hold secrets, and is removed when the job has ended. */
  config?: string;
}

export interface FollowOptions {
  signal: AbortSignal;
  events: EventSink;
  /** Told when the connection was lost; it is made anew. */
  lost(): void;
  /** How long to try that. */
  patienceMs?: number;
}

const kinit = '/opt/kinit/current/bin/kinit';

const jobsFolder = '/var/lib/kinit/jobs';
/** Logs of this many jobs are kept. */
const kept = 10;

/** reset removes what kinit has written, and a dry run writes nothing there: their jobs lie elsewhere and are forgotten. */
export const isPassing = ({ command, arguments: words }: JobSpec): boolean =>
  command === 'reset' || words.includes('--dry-run');

export interface Job {
  readonly folder: string;
  readonly spec: JobSpec;
}

/** Whether process $1 began at $2: after a restart of the host another one may have its number. */
const isAlive = `is_alive() { [ -n "$2" ] && [ "$(cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null)" = "$2" ]; }`;

/** What jobs leave behind that nobody could follow to their end: secrets, and folders that are no more than passing. */
const tidy = `for old in ${jobsFolder}/* /var/tmp/kinit-job-*; do
  is_alive "$(cat "$old/pid" 2>/dev/null)" "$(cat "$old/began" 2>/dev/null)" || rm -f "$old/config.yaml"
done
find /var/tmp -maxdepth 1 -name 'kinit-job-*' -mmin +60 -exec rm -rf {} +`;

const tidyLogs = `ls -d ${jobsFolder}/* 2>/dev/null | head -n -${kept - 1} | while read -r old; do rm -rf "$old"; done`;

/** Starts the job; it has begun when this resolves. An interruption comes after that: half a start could not be stopped. */
export async function startJob(connection: Connection, spec: JobSpec): Promise<Job> {
  const id = `${new Date().toISOString().replace(/[-:]|\..*/g, '')}-${spec.command.replace(' ', '-')}-${randomBytes(3).toString('hex')}`;
  const folder = isPassing(spec) ? `/var/tmp/kinit-job-${id}` : `${jobsFolder}/${id}`;
  const words = [spec.program ?? kinit, ...spec.command.split(' '), ...spec.arguments, '--output', 'json'];
  if (spec.config !== undefined) words.push('--config', `${folder}/config.yaml`);
  const script = `cd ${quote(folder)}
${words.map(quote).join(' ')} > events.jsonl 2> errors.txt < /dev/null &
echo $! > kinit.pid
wait $!
echo $? > exit.draft
rm -f config.yaml
mv exit.draft exit
`;
  const bytes = Buffer.byteLength(spec.config ?? '');
  // A connection that breaks off must not leave half a configuration to work with.
  const start = `umask 077
${isAlive}
${tidy}
${isPassing(spec) ? '' : tidyLogs}
mkdir -p ${quote(folder)} && cd ${quote(folder)} || exit 1
give_up() { rm -rf ${quote(folder)}; exit 1; }
cat > config.yaml && printf %s ${quote(script)} > job.sh && : > events.jsonl || give_up
[ "$(wc -c < config.yaml)" -eq ${bytes} ] || { echo 'the configuration did not arrive whole' >&2; give_up; }
setsid sh job.sh > /dev/null 2>&1 < /dev/null &
cut -d' ' -f22 "/proc/$!/stat" > began
echo $! > pid`;
  await connection.must('starting kinit', start, { stdin: spec.config ?? '' });
  return { folder, spec };
}

/** Hands on the job's events until it has ended; answers the last one. */
export async function followJob(connection: LastingConnection, job: Job, options: FollowOptions): Promise<EndedEvent> {
  const { signal, lost, patienceMs = defaultPatienceMs } = options;
  const reader = eventReader(options.events);
  for (;;) {
    const generation = connection.generation();
    try {
      await followOnce(connection, job, reader, signal);
      break;
    } catch (error) {
      if (signal.aborted) {
        await interrupt(connection, job, reader);
        break;
      }
      if (!isLost(error)) throw error;
      lost();
      await connectAgain(() => connection.renew(generation), error, patienceMs, signal);
    }
  }
  if (reader.ended()) return reader.ended() as EndedEvent;
  throw await withoutEnd(connection, job);
}

/** Follows the file until the job has ended or the connection is lost. */
async function followOnce(connection: Connection, job: Job, reader: EventReader, signal: AbortSignal): Promise<void> {
  const folder = quote(job.folder);
  const follow = (offset: number) => `cd ${folder} || exit 9
${isAlive}
tail -c +${offset + 1} -f events.jsonl 2>/dev/null & t=$!
pid=$(cat pid) began=$(cat began)
while [ ! -e exit ] && is_alive "$pid" "$began"; do sleep 0.2; done
kill $t; wait $t 2>/dev/null; true`;
  const onStdout = (chunk: Buffer) => reader.take(chunk);
  await connection.root(follow(reader.restart()), { onStdout, signal, timeoutMs: 0 });
  // What was written after tail looked last.
  await connection.root(`cd ${folder} && tail -c +${reader.restart() + 1} events.jsonl`, { onStdout, signal });
}

/** Asks the job to stop and waits a little for its last event. */
async function interrupt(connection: Connection, job: Job, reader: EventReader): Promise<void> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Error('the job did not stop in time')), 20_000);
  try {
    const stopIt = `cd ${quote(job.folder)}
${isAlive}
for try in 1 2 3 4 5 6 7 8 9 10; do [ -s kinit.pid ] && break; sleep 0.2; done
is_alive "$(cat pid)" "$(cat began)" && kill -TERM $(cat kinit.pid) 2>/dev/null; true`;
    await connection.root(stopIt, { timeoutMs: 10_000 });
    await followOnce(connection, job, reader, stop.signal);
  } catch (error) {
    throw new KinitError('Interrupted', 'interrupted; kinit may still be at work on the host', {
      host: connection.host,
      seen: (error as Error).message,
    });
  } finally {
    clearTimeout(timer);
  }
}

async function withoutEnd(connection: Connection, job: Job): Promise<KinitError> {
  const folder = quote(job.folder);
  const { stdout } = await connection.root(`cd ${folder} && { cat exit || echo gone; cat errors.txt; } 2>/dev/null`);
  const [code = '', ...lines] = stdout.split('\n');
  const killed = code === '137' ? 'was killed' : 'was killed, or the host was restarted';
  const ended = /^\d+$/.test(code) && code !== '137' ? `ended with exit code ${code} without a last event` : killed;
  return new KinitError('Command', `kinit ${job.spec.command} ${ended}`, {
    host: connection.host,
    seen: lines.join('\n').trim(),
    advice: 'run the same command again; it goes on from there',
  });
}

/** What stopped a job, as an error of its host. */
export function failureOf({ error }: EndedEvent & { ok: false }, host: string): KinitError {
  const { code, message, phase, seen, advice } = error;
  const details = { ...(phase ? { phase } : {}), ...(seen ? { seen } : {}), ...(advice ? { advice } : {}) };
  return new KinitError(code, message, { host, ...details });
}

/** Removes a job's folder. */
export async function forgetJob(connection: Connection, job: Job): Promise<void> {
  await connection.root(`rm -rf ${quote(job.folder)}`);
}

/** Removes what runs that were cut off have left of passing jobs: those that have ended, and those that never began. */
export async function forgetEndedJobs(connection: Connection): Promise<void> {
  await connection.root(`${isAlive}
for old in /var/tmp/kinit-job-*; do
  is_alive "$(cat "$old/pid" 2>/dev/null)" "$(cat "$old/began" 2>/dev/null)" || rm -rf "$old"
done`);
}

interface EventReader {
  take(chunk: Buffer): void;
  /** Forgets a torn line; answers how many bytes made whole lines: where to go on. */
  restart(): number;
  ended(): EndedEvent | undefined;
}

/** A torn line at the end of a broken connection is read again, whole. */
export function eventReader(events: EventSink): EventReader {
  let bytes = 0;
  let rest: Buffer = Buffer.alloc(0);
  let ended: EndedEvent | undefined;
  return {
    restart() {
      rest = Buffer.alloc(0);
      return bytes;
    },
    ended: () => ended,
    take(chunk) {
      rest = rest.length ? Buffer.concat([rest, chunk]) : chunk;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const line = new StringDecoder('utf8').end(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
        bytes += end + 1;
        const event = parseEvent(line);
        if (!event) continue;
        if (event.type === 'ended') ended = event;
        events(event);
      }
    },
  };
}
