/** The kinit of a host that listens and tries others: one command over the connection, two questions and two answers. */
import { PassThrough } from 'node:stream';
import { bundlePaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Listening, ListenRequest, Probed, ProbeRequest } from '../probe/types.ts';
import type { Connection } from './connection.ts';

export interface Prober {
  listen(request: ListenRequest): Promise<Listening>;
  probe(request: ProbeRequest): Promise<Probed>;
  /** Ends it on the host; it listens until then, and no more when this resolves. */
  close(): Promise<void>;
}

export function startProber(connection: Connection, signal: AbortSignal): Prober {
  const input = new PassThrough();
  const answers: string[] = [];
  let rest = '';
  let waiting: (() => void) | undefined;
  let ended: KinitError | undefined;
  const onStdout = (piece: Buffer) => {
    const lines = (rest + piece.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    answers.push(...lines);
    waiting?.();
  };
  const stopped = (seen: string) => {
    ended ??= new KinitError('Command', 'kinit probe ended without an answer', { host: connection.host, seen });
    waiting?.();
  };
  const running = connection
    .root(`${bundlePaths.bin}/kinit probe`, { stdin: input, onStdout, signal, timeoutMs: 90_000 })
    .then(
      ({ code, stderr }) => stopped(stderr.trim() || `exit code ${code}`),
      (error: Error) => stopped(error.message),
    );
  const ask = async <T>(request: object): Promise<T> => {
    input.write(`${JSON.stringify(request)}\n`);
    for (;;) {
      const answer = answers.shift();
      if (answer !== undefined) return JSON.parse(answer) as T;
      if (ended) throw ended;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting = resolve;
      await promise;
    }
  };
  return {
    listen: (request) => ask<Listening>(request),
    probe: (request) => ask<Probed>(request),
    close: () => {
      input.end();
      return running;
    },
  };
}
