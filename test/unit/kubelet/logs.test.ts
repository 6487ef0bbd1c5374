import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { fullTimestamp, isBefore, parseLogLine } from '../../../src/components/kubelet/logs/lines.ts';
import { type LogOptions, readLog } from '../../../src/components/kubelet/logs/read.ts';
import { createLogRotation, rotatedLogs } from '../../../src/components/kubelet/logs/rotation.ts';
import { loggedContainer, logQuery } from '../../../src/components/kubelet/server/container-logs.ts';
import type { ContainerStatus } from '../../../src/machinery/api/types.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'kinit-logs-'));
const at = (second: number) => `2026-01-02T03:04:${String(second).padStart(2, '0')}.5Z`;
const line = (second: number, text: string, stream = 'stdout', tag = 'F') => `${at(second)} ${stream} ${tag} ${text}\n`;

describe('a log line', () => {
  it.each([
    ['2026-01-02T03:04:05.123456789Z stdout F hello there\n', 'hello there\n', false, 'stdout'],
    ['2026-01-02T03:04:05.1+02:00 stderr F \n', '\n', false, 'stderr'],
    ['2026-01-02T03:04:05Z stdout P half\n', 'half', true, 'stdout'],
    ['2026-01-02T03:04:05Z stdout P:x half\n', 'half', true, 'stdout'],
    ['2026-01-02T03:04:05Z stdout F no end', 'no end', false, 'stdout'],
  ])('%j is %j', (raw, content, partial, stream) => {
    const parsed = parseLogLine(Buffer.from(raw));
    expect(parsed && { ...parsed, content: parsed.content.toString() }).toMatchObject({ content, partial, stream });
  });
  it.each(['', 'text\n', 'now stdout F x\n', '2026-01-02T03:04:05Z stdin F x\n'])('%j is none', (raw) => {
    expect(parseLogLine(Buffer.from(raw))).toBeUndefined();
  });
  it('has its time compared to the nanosecond', () => {
    expect(fullTimestamp('2026-01-02T03:04:05.12Z')).toBe('2026-01-02T03:04:05.120000000Z');
    expect(isBefore('2026-01-02T03:04:05.000000001Z', '2026-01-02T03:04:05.000000002Z')).toBe(true);
    expect(isBefore('2026-01-02T03:04:05.000000002Z', '2026-01-02T03:04:05.000000002Z')).toBe(false);
    expect(isBefore('2026-01-02T03:04:05Z', '2026-01-02T05:04:05+02:00')).toBe(false);
  });
});

async function read(path: string, options: LogOptions, running = () => false, signal = new AbortController().signal) {
  let out = '';
  const done = readLog(path, options, {
    write: async (chunk) => {
      out += chunk.toString();
    },
    isRunning: async () => running(),
    signal,
  });
  return { done, text: () => out };
}

describe('reading a log', () => {
  const lines = [line(1, 'one'), line(2, 'tw', 'stdout', 'P'), line(2, 'o'), line(3, 'err', 'stderr'), line(4, 'four')];
  it.each<[string, LogOptions, string]>([
    ['all', {}, 'one\ntwo\nerr\nfour\n'],
    ['the last lines', { tailLines: 2 }, 'err\nfour\n'],
    ['more lines than there are', { tailLines: 99 }, 'one\ntwo\nerr\nfour\n'],
    ['no lines', { tailLines: 0 }, ''],
    ['since a time', { since: at(3) }, 'err\nfour\n'],
    ['a number of bytes', { limitBytes: 6 }, 'one\ntw'],
    ['one stream', { stream: 'stderr' }, 'err\n'],
    [
      'with timestamps',
      { timestamps: true, tailLines: 4 },
      '2026-01-02T03:04:02.500000000Z two\n2026-01-02T03:04:03.500000000Z err\n2026-01-02T03:04:04.500000000Z four\n',
    ],
  ])('answers %s', async (_, options, expected) => {
    const path = join(folder(), '0.log');
    writeFileSync(path, lines.join(''));
    const reading = await read(path, options);
    await reading.done;
    expect(reading.text()).toBe(expected);
  });

  it('finds the last lines of a large file', async () => {
    const path = join(folder(), '0.log');
    writeFileSync(path, Array.from({ length: 20_000 }, (_, i) => line(i % 60, `line ${i}`)).join(''));
    const reading = await read(path, { tailLines: 5_000 });
    await reading.done;
    const all = reading.text().split('\n');
    expect([all.length, all[0], all.at(-2)]).toEqual([5_001, 'line 15000', 'line 19999']);
  });

  it('follows a growing log over a rotation until the container ends', async () => {
    const path = join(folder(), '0.log');
    writeFileSync(path, line(1, 'first'));
    let running = true;
    const reading = await read(path, { follow: true }, () => running);
    const shows = (text: string) =>
      vi.waitFor(() => expect(reading.text()).toBe(text), { timeout: 5000, interval: 10 });
    await shows('first\n');
    appendFileSync(path, line(2, 'second').slice(0, -4));
    appendFileSync(path, line(2, 'second').slice(-4));
    await shows('first\nsecond\n');
    renameSync(path, `${path}.20260102-030405`);
    appendFileSync(`${path}.20260102-030405`, line(3, 'late'));
    writeFileSync(path, line(4, 'new file'));
    await shows('first\nsecond\nlate\nnew file\n');
    running = false;
    appendFileSync(path, line(5, 'last'));
    await reading.done;
    expect(reading.text()).toBe('first\nsecond\nlate\nnew file\nlast\n');
  });

  it('ends with its reader', async () => {
    const path = join(folder(), '0.log');
    writeFileSync(path, line(1, 'x'));
    const stop = new AbortController();
    const reading = await read(path, { follow: true }, () => true, stop.signal);
    stop.abort();
    await reading.done;
  });
});

describe('rotation', () => {
  it('renames, reopens, compresses and keeps no more than the maximum', async () => {
    const path = join(folder(), '0.log');
    const reopened: string[] = [];
    const rotation = createLogRotation({
      runtime: {
        listContainers: async () => [
          { id: 'c1', state: 'CONTAINER_RUNNING' } as never,
          { id: 'c2', state: 'CONTAINER_EXITED' } as never,
        ],
        containerStatus: async (id) => ({ logPath: id === 'c1' ? path : '/nowhere' }) as never,
        reopenContainerLog: async (id) => {
          reopened.push(id);
          if (!existsSync(path)) writeFileSync(path, '');
          return {} as never;
        },
      },
      maxSizeBytes: 100,
      maxFiles: 3,
      monitorIntervalMs: 1000,
      onError: (message) => expect.fail(message),
    });
    writeFileSync(path, 'small');
    await rotation.rotate();
    expect([reopened, await rotatedLogs(path)]).toEqual([[], []]);

    for (const [index, stamp] of ['20260101-000000', '20260101-000001', '20260101-000002'].entries()) {
      writeFileSync(path, `${index}`.repeat(200));
      await rotation.rotate();
      const [newest] = (await rotatedLogs(path)).filter((name) => !/\.gz$|20260101-/.test(name));
      // Times of rotations differ in reality.
      renameSync(newest ?? '', `${path}.${stamp}`);
    }
    const names = (await rotatedLogs(path)).map((name) => name.slice(path.length));
    expect(names).toEqual(['.20260101-000001.gz', '.20260101-000002']);
    expect(gunzipSync(readFileSync(`${path}.20260101-000001.gz`)).toString()).toBe('1'.repeat(200));
    expect(reopened).toEqual(['c1', 'c1', 'c1']);
    await rotation.clean(path);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  it('gives the file its name back when the runtime does not reopen', async () => {
    const directory = folder();
    mkdirSync(join(directory, 'c'));
    const path = join(directory, 'c/0.log');
    writeFileSync(path, 'x'.repeat(200));
    const errors: string[] = [];
    await createLogRotation({
      runtime: {
        listContainers: async () => [{ id: 'c1', state: 'CONTAINER_RUNNING' } as never],
        containerStatus: async () => ({ logPath: path }) as never,
        reopenContainerLog: async () => {
          throw new Error('no');
        },
      },
      maxSizeBytes: 100,
      maxFiles: 3,
      monitorIntervalMs: 1000,
      onError: (message) => errors.push(message),
    }).rotate();
    expect(errors).toEqual(['Failed to rotate log for container c1: no']);
    expect(readdirSync(join(directory, 'c'))).toEqual(['0.log']);
  });
});

describe('which container is logged', () => {
  const status = (fields: Partial<ContainerStatus>) => ({
    containerStatuses: [
      { name: 'c', image: '', imageID: '', ready: false, restartCount: 0, ...fields } as ContainerStatus,
    ],
  });
  const ended = (id: string) => ({ terminated: { exitCode: 1, containerID: id } });
  it.each<[string, Partial<ContainerStatus>, boolean, string]>([
    ['the running one', { containerID: 'containerd://a', state: { running: {} } }, false, 'a'],
    ['the ended one', { state: ended('containerd://b') }, false, 'b'],
    [
      'the last one while a new one waits',
      { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended('containerd://l') },
      false,
      'l',
    ],
    ['the one before', { state: { running: {} }, lastState: ended('containerd://p') }, true, 'p'],
    ['none before', { state: { running: {} } }, true, 'previous terminated container "c" in pod "p" not found'],
    [
      'none yet',
      { state: { waiting: { reason: 'ContainerCreating' } } },
      false,
      'container "c" in pod "p" is waiting to start: ContainerCreating',
    ],
    [
      'none without image',
      { state: { waiting: { reason: 'ImagePullBackOff' } } },
      false,
      'container "c" in pod "p" is waiting to start: trying and failing to pull image',
    ],
  ])('is %s', (_, fields, previous, expected) => {
    let outcome: string;
    try {
      outcome = loggedContainer('p', status(fields), 'c', previous);
    } catch (error) {
      outcome = (error as Error).message;
    }
    expect(outcome).toBe(expected);
  });
  it('is told by the query', () => {
    const query = (text: string) => logQuery(new URLSearchParams(text), new Date('2026-01-02T03:04:05Z'));
    expect(query('follow=true&tailLines=5&timestamps=1&sinceSeconds=5&limitBytes=7')).toEqual({
      previous: false,
      follow: true,
      timestamps: true,
      tailLines: 5,
      limitBytes: 7,
      since: '2026-01-02T03:04:00.000Z',
    });
    expect(query('tailLines=all&previous=true')).toEqual({ previous: true, follow: false, timestamps: false });
    expect(() => query('tailLines=-1')).toThrow('Invalid request');
    expect(() => query('sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z')).toThrow('Invalid request');
  });
});
