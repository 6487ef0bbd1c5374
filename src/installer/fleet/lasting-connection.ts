/**
 * A connection to a host that outlives the SSH connections under it: one that was lost before a command is made anew, as is one
 * that is lost during a command that may be run twice.
 */
import { KinitError } from '../errors.ts';
import { pause } from '../host/wait.ts';
import type { Connection, ExecOptions } from './connection.ts';

/** How long a lost connection is tried again. */
export const defaultPatienceMs = 300_000;
/** Of a command that may be run twice. */
const attempts = 5;

export interface LastingConnection extends Connection {
  /** Counts the connections that there have been. */
  generation(): number;
  /** A new connection under this one; one try. @param of not when that generation has an open successor already */
  renew(of?: number): Promise<void>;
}

export interface LastingOptions {
  connect(): Promise<Connection>;
  /** Told once for each loss that is mended here. */
  lost(): void;
  /** Ends the tries. */
  signal: AbortSignal;
  patienceMs?: number;
}

export const isLost = (error: unknown): error is KinitError =>
  error instanceof KinitError && error.code === 'Connection';

export const connectionLost = (host: string): KinitError =>
  new KinitError('Connection', 'the connection was lost', {
    host,
    advice: 'check that the host is on and the network, and run the same command again: it goes on from there',
  });

/** What whoever watches is told then. */
export const connectingAgain = `the connection was lost; trying to connect again for ${defaultPatienceMs / 60_000} minutes`;

/** A new connection in place of one that was lost, as soon as there can be one. */
export async function connectAgain<T>(
  reconnect: () => Promise<T>,
  first: KinitError,
  patienceMs: number,
  signal: AbortSignal,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  let last = first;
  for (let waitMs = 500; Date.now() < deadline; waitMs = Math.min(waitMs * 2, 5000)) {
    signal.throwIfAborted();
    try {
      return await reconnect();
    } catch (error) {
      if (!isLost(error)) throw error;
      last = error;
    }
    await pause(waitMs, signal);
  }
  throw new KinitError('Connection', `the connection was lost and did not come back: ${last.message}`, {
    ...last.details,
    advice: 'what has begun on the host goes on there; run the same command again: it waits for that and goes on',
  });
}

export function lastingConnection(first: Connection, options: LastingOptions): LastingConnection {
  const { connect, lost, signal, patienceMs = defaultPatienceMs } = options;
  const { host, local } = first;
  let current = first;
  let generation = 1;
  let ended = false;
  let renewing: Promise<void> | undefined;
  let mending: Promise<void> | undefined;

  /** Whoever wants one meanwhile gets the same. */
  const renew = async (of = generation): Promise<void> => {
    if (of !== generation && current.isOpen()) return;
    renewing ??= (async () => {
      current.close();
      current = await connect();
      generation++;
      if (ended) current.close();
    })().finally(() => {
      renewing = undefined;
    });
    await renewing;
  };
  const mend = (): Promise<void> => {
    mending ??= (async () => {
      lost();
      const of = generation;
      await connectAgain(() => renew(of), connectionLost(host), patienceMs, signal);
    })().finally(() => {
      mending = undefined;
    });
    return mending;
  };

  async function over<T>(work: (connection: Connection) => Promise<T>, call: ExecOptions = {}): Promise<T> {
    for (let tries = 1; ; tries++) {
      if (ended) throw connectionLost(host);
      if (!current.isOpen()) await unlessAborted(mend(), call.signal);
      const used = current;
      try {
        return await work(used);
      } catch (error) {
        // A port that does not answer is no lost connection.
        if (!call.again || tries === attempts || !isLost(error) || used.isOpen()) throw error;
      }
    }
  }

  return {
    host,
    local,
    isOpen: () => !ended,
    exec: (command, call) => over((connection) => connection.exec(command, call), call),
    root: (command, call) => over((connection) => connection.root(command, call), call),
    must: (what, command, call) => over((connection) => connection.must(what, command, call), call),
    forward: (address, port) => over((connection) => connection.forward(address, port)),
    generation: () => generation,
    renew,
    close() {
      ended = true;
      current.close();
    },
  };
}

/** A caller may have waited long enough before the connection is there again. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return work;
  // Others may still wait for it.
  work.catch(() => undefined);
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
