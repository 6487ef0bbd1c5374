/** One host's part: listens, tries the others, and goes on listening until its input ends; never longer than a minute. */
import { createInterface } from 'node:readline';
import { KinitError } from '../errors.ts';
import { activeFirewall } from '../host/firewall.ts';
import type { Host } from '../host/host.ts';
import { listen } from './listeners.ts';
import { probe } from './probes.ts';
import type { Listening, ListenRequest, Probed, ProbeRequest } from './types.ts';

const longestMs = 60_000;

export async function probeSession(
  host: Host,
  input: NodeJS.ReadableStream,
  write: (line: string) => void,
): Promise<void> {
  const lines = createInterface({ input });
  const timer = setTimeout(() => lines.close(), longestMs);
  const reader = lines[Symbol.asyncIterator]();
  try {
    const request = parse<ListenRequest>((await reader.next()).value);
    const [{ listening, occupied, close }, firewall] = await Promise.all([
      listen(request.listen, request.nonce),
      activeFirewall(host),
    ]);
    try {
      write(JSON.stringify({ listening, occupied, ...(firewall ? { firewall } : {}) } satisfies Listening));
      const next = await reader.next();
      if (next.done) return;
      const { targets } = parse<ProbeRequest>(next.value);
      write(JSON.stringify({ failures: await probe(targets, request.nonce) } satisfies Probed));
      // Others may still be trying this host.
      await reader.next();
    } finally {
      close();
    }
  } finally {
    clearTimeout(timer);
    lines.close();
  }
}

function parse<T>(line: string | undefined): T {
  if (line) return JSON.parse(line) as T;
  throw new KinitError('Usage', 'kinit probe reads its requests from standard input', {
    advice: 'it is run by kinit up, init and join with --inventory',
  });
}
