/** A way to run commands on a machine: over SSH, or on this one. */
import { type Duplex, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KinitError } from '../errors.ts';
import type { Sudo } from '../inventory/types.ts';

export interface ExecOptions {
  /** What the command reads; nothing without it. */
  stdin?: string | Buffer | Readable;
  /** Called for each piece of standard output; it is not collected then. */
  onStdout?(chunk: Buffer): void;
  signal?: AbortSignal;
  /** Default 60 000; 0 is none. */
  timeoutMs?: number;
  /** The command may be run twice: a connection that can be made again is, when it is lost in the middle. */
  again?: boolean;
}

export interface ExecResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs shell commands as the user who logged in. */
export interface Transport {
  /** Does not throw for a non-zero exit; throws KinitError Connection when the connection is lost. */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** Connects to a port as the host sees it. @throws KinitError Connection when nothing answers there */
  forward(address: string, port: number): Promise<Duplex>;
  /** False once it was closed or is known to be lost. */
  isOpen(): boolean;
  close(): void;
}

export interface Connection extends Transport {
  /** The host's name in the inventory. */
  readonly host: string;
  /** Files are on this machine already. */
  readonly local: boolean;
  /** Like exec, as root. */
  root(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** Like root, but throws KinitError Command when the command fails; answers standard output. */
  must(what: string, command: string, options?: ExecOptions): Promise<string>;
}

/** What went over the connections to a host. */
export interface Traffic {
  /** Commands, each of them a round trip. */
  commands: number;
  /** Bytes of standard input and output, without those of SSH itself. */
  sent: number;
  received: number;
}

/** The same transport, with what it does added to `traffic`. */
export function counted(transport: Transport, traffic: Traffic): Transport {
  const sent = (stdin: Exclude<ExecOptions['stdin'], undefined>) => {
    if (typeof stdin === 'string' || Buffer.isBuffer(stdin)) {
      traffic.sent += Buffer.byteLength(stdin);
      return stdin;
    }
    const counting = passing((bytes) => {
      traffic.sent += bytes;
    });
    // Whoever reads `counting` sees a failure.
    pipeline(stdin, counting).catch(() => undefined);
    return counting;
  };
  return {
    close: transport.close,
    isOpen: transport.isOpen,
    forward: transport.forward,
    async exec(command, options = {}) {
      const { stdin, onStdout } = options;
      traffic.commands++;
      traffic.sent += Buffer.byteLength(command);
      const counting = (chunk: Buffer) => {
        traffic.received += chunk.length;
        onStdout?.(chunk);
      };
      const result = await transport.exec(command, {
        ...options,
        ...(stdin === undefined ? {} : { stdin: sent(stdin) }),
        ...(onStdout ? { onStdout: counting } : {}),
      });
      if (!onStdout) traffic.received += Buffer.byteLength(result.stdout);
      return result;
    },
  };
}

/** A stream that tells how much goes through it. */
export const passing = (seen: (bytes: number) => void): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, next) {
      seen(chunk.length);
      next(null, chunk);
    },
  });

/** Quotes a word for sh. */
export const quote = (word: string): string =>
  /^[A-Za-z0-9_./:@=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

const marker = 'KINIT-STDIN';

/** Wraps a command so that it runs as root, and says what goes before its standard input. */
export function asRoot(
  command: string,
  user: string,
  sudo: Sudo,
  env: NodeJS.ProcessEnv,
): { command: string; preamble?: string } {
  if (user === 'root' || sudo === 'none') return { command };
  if (sudo === 'passwordless') return { command: `sudo -n sh -c ${quote(command)}` };
  // sudo reads the password only if it wants one. What is left of the preamble is skipped up to the marker, so that the
  // command finds its own input. `-k`: a password remembered by sudo must not change what is read.
  const skip = `while IFS= read -r line; do [ "$line" = ${marker} ] && break; done; unset line; `;
  return {
    command: `sudo -k -S -p '' sh -c ${quote(skip + command)}`,
    preamble: `${env[sudo.passwordFromEnv] ?? ''}\n${marker}\n`,
  };
}

export interface Login {
  host: string;
  user: string;
  sudo: Sudo;
  local: boolean;
}

export function connectionOver(transport: Transport, login: Login, env: NodeJS.ProcessEnv = process.env): Connection {
  const { host, user, sudo, local } = login;
  const root: Connection['root'] = async (command, options = {}) => {
    const wrapped = asRoot(command, user, sudo, env);
    const { stdin } = options;
    if (wrapped.preamble === undefined) return transport.exec(wrapped.command, options);
    if (stdin !== undefined && typeof stdin !== 'string' && !Buffer.isBuffer(stdin)) {
      return transport.exec(wrapped.command, { ...options, stdin: prefixed(wrapped.preamble, stdin) });
    }
    return transport.exec(wrapped.command, {
      ...options,
      stdin: Buffer.concat([Buffer.from(wrapped.preamble), Buffer.from(stdin ?? '')]),
    });
  };
  return {
    host,
    local,
    exec: transport.exec,
    forward: transport.forward,
    isOpen: transport.isOpen,
    close: transport.close,
    root,
    async must(what, command, options) {
      const { code, stdout, stderr } = await root(command, options);
      if (code === 0) return stdout;
      throw new KinitError('Command', `${what} failed (exit code ${code})`, {
        host,
        seen: stderr.trim() || stdout.trim(),
      });
    },
  };
}

/** A stream with some text before it. */
function prefixed(text: string, stream: Readable): Readable {
  return Readable.from(
    (async function* () {
      yield Buffer.from(text);
      for await (const chunk of stream) yield chunk;
    })(),
  );
}
