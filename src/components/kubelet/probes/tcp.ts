/** The tcpSocket probe: a connection that opens is a success. */
import { connect, isIPv6 } from 'node:net';
import { dialError } from './dial.ts';
import type { ProbeOutcome } from './run-probe.ts';

export function tcpProbe(host: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const { promise, resolve } = Promise.withResolvers<ProbeOutcome>();
  const socket = connect({ host, port });
  const timer = setTimeout(() => end({ result: 'failure', message: `dial tcp ${address}: i/o timeout` }), timeoutMs);
  const end = (outcome: ProbeOutcome) => {
    clearTimeout(timer);
    socket.destroy();
    resolve(outcome);
  };
  socket.once('connect', () => end({ result: 'success', message: '' }));
  socket.once('error', (error: Error) => end({ result: 'failure', message: dialError(error, address) }));
  return promise;
}
