/** Tries ports of other hosts, all at once; a packet that a firewall drops is known after three seconds. */
import { createSocket, type Socket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Failure, Target } from './types.ts';

const patienceMs = 3000;
/** When a UDP packet is sent again to those that have not answered. */
const sendAtMs = [0, 300, 900, 1800];
const atOnce = 200;

const reasons: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to host',
  ECONNRESET: 'connection reset',
  EACCES: 'not permitted by this host',
  EPERM: 'not permitted by this host',
  ETIMEDOUT: 'no answer',
};
const reasonOf = ({ code = '', message }: NodeJS.ErrnoException) => reasons[code] ?? message;

/** undefined: reached. */
function tryTcp(address: string, port: number, expected: string | undefined): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let seen = '';
    const end = (why?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => end('no answer'), patienceMs);
    socket.once('connect', () => {
      if (expected === undefined) end();
    });
    socket.on('data', (data) => {
      seen += data.toString('latin1');
      if (seen === expected) end();
      else if (seen.length >= (expected?.length ?? 0)) end('another program answers');
    });
    socket.once('end', () => end('another program answers'));
    socket.once('error', (error) => end(reasonOf(error)));
  });
}

async function tryAllTcp(targets: readonly Target[], nonce: string): Promise<Failure[]> {
  const all = targets.flatMap(({ addresses, port, answers }) =>
    addresses.map((address) => ({ address, port, expected: answers ? nonce : undefined })),
  );
  const failures: Failure[] = [];
  const work = async () => {
    for (let next = all.pop(); next; next = all.pop()) {
      const { address, port, expected } = next;
      const why = await tryTcp(address, port, expected);
      if (why) failures.push({ address, port, protocol: 'tcp', why });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return failures;
}

const plainAddress = (address: string) => address.replace(/^::ffff:/, '').replace(/%.*/, '');

/** One socket for all hosts of a family. */
function tryUdp(type: 'udp4' | 'udp6', targets: readonly Target[], nonce: string): Promise<Failure[]> {
  const waiting = new Map<string, Omit<Failure, 'protocol'>>();
  for (const { addresses, port } of targets) {
    for (const address of addresses) waiting.set(`${address} ${port}`, { address, port, why: 'no answer' });
  }
  if (!waiting.size) return Promise.resolve([]);
  return new Promise((resolve) => {
    const socket: Socket = createSocket(type);
    const timers: NodeJS.Timeout[] = [];
    const end = () => {
      for (const timer of timers) clearTimeout(timer);
      socket.close();
      resolve([...waiting.values()].map((failure) => ({ ...failure, protocol: 'udp' })));
    };
    const send = () => {
      for (const one of waiting.values()) {
        socket.send(nonce, one.port, one.address, (error) => {
          if (error) one.why = reasonOf(error);
        });
      }
    };
    socket.on('error', (error) => {
      for (const one of waiting.values()) one.why = reasonOf(error);
      end();
    });
    socket.on('message', (message, { address, port }) => {
      if (message.toString('latin1') !== nonce) return;
      waiting.delete(`${plainAddress(address)} ${port}`);
      if (!waiting.size) end();
    });
    socket.bind(0, () => {
      for (const ms of sendAtMs) timers.push(setTimeout(send, ms));
      timers.push(setTimeout(end, patienceMs));
    });
  });
}

/** @returns what was not reached */
export async function probe(targets: readonly Target[], nonce: string): Promise<Failure[]> {
  const udp = targets.filter(({ protocol }) => protocol === 'udp');
  const ofFamily = (six: boolean) =>
    udp.map((target) => ({ ...target, addresses: target.addresses.filter((address) => isIPv6(address) === six) }));
  const failures = await Promise.all([
    tryAllTcp(
      targets.filter(({ protocol }) => protocol === 'tcp'),
      nonce,
    ),
    tryUdp('udp4', ofFamily(false), nonce),
    tryUdp('udp6', ofFamily(true), nonce),
  ]);
  return failures.flat();
}
