/** The `forward` plugin: asks upstream servers, by UDP and, for truncated answers, by TCP; unhealthy ones are left out for a while. */

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import packet from 'dns-packet';
import { type Answer, type DnsRecord, emptyAnswer, type Handler, type Query, type ResponseCode } from '../chain.ts';
import type { Directive } from '../corefile.ts';

const timeoutMs = 2000;
/** A server that failed this often in a row is asked last. */
const maxFailures = 2;

export interface Upstream {
  address: string;
  port: number;
  failures: number;
}

/** Servers of a `forward` directive; a file is read as resolv.conf. */
export async function upstreamsOf(directive: Directive): Promise<Upstream[]> {
  const targets = directive.args.slice(1);
  const found: Upstream[] = [];
  for (const target of targets) {
    if (target.startsWith('/')) {
      const text = await readFile(target, 'utf8');
      for (const [, address] of text.matchAll(/^\s*nameserver\s+(\S+)/gm)) {
        if (address && isIP(address)) found.push({ address, port: 53, failures: 0 });
      }
      continue;
    }
    const match = /^(?:dns:\/\/)?(\[[^\]]+\]|[^:]+|[0-9a-f:]+)(?::(\d+))?$/i.exec(target);
    const address = match?.[1]?.replace(/^\[|\]$/g, '') ?? '';
    if (!isIP(address)) throw new Error(`Corefile:${directive.line}: forward: "${target}" is not an address`);
    found.push({ address, port: Number(match?.[2] ?? 53), failures: 0 });
  }
  return found;
}

interface Decoded {
  id?: number;
  rcode?: string;
  flag_tc?: boolean;
  flag_aa?: boolean;
  answers?: DnsRecord[];
  authorities?: DnsRecord[];
  additionals?: DnsRecord[];
}

const encode = (query: Query, id: number): Buffer =>
  packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type: query.type as 'A', name: query.name.replace(/\.$/, '') }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        flags: 0,
        options: [],
        extendedRcode: 0,
        ednsVersion: 0,
        flag_do: false,
      },
    ],
  });

function overUdp(server: Upstream, query: Query): Promise<Decoded> {
  const id = randomInt(65536);
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(server.address) === 6 ? 'udp6' : 'udp4');
    const end = (act: () => void) => {
      clearTimeout(timer);
      socket.close();
      act();
    };
    const timer = setTimeout(
      () => end(() => reject(new Error(`no answer from ${server.address}:${server.port} in ${timeoutMs} ms`))),
      timeoutMs,
    );
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (message) => {
      let decoded: Decoded;
      try {
        decoded = packet.decode(message) as unknown as Decoded;
      } catch (error) {
        end(() => reject(error as Error));
        return;
      }
      if (decoded.id === id) end(() => resolve(decoded));
    });
    // A connected socket takes answers from that server only, and reports a refused port at once.
    socket.connect(server.port, server.address, () => socket.send(encode(query, id)));
  });
}

function overTcp(server: Upstream, query: Query): Promise<Decoded> {
  const id = randomInt(65536);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.address, port: server.port, timeout: timeoutMs });
    let received = Buffer.alloc(0);
    socket.on('timeout', () =>
      socket.destroy(new Error(`no answer from ${server.address}:${server.port} over TCP in ${timeoutMs} ms`)),
    );
    socket.on('error', reject);
    socket.on('connect', () => {
      const body = encode(query, id);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(body.length);
      socket.write(Buffer.concat([length, body]));
    });
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      socket.end();
      try {
        resolve(packet.decode(received.subarray(2, 2 + received.readUInt16BE(0))) as unknown as Decoded);
      } catch (error) {
        reject(error as Error);
      }
    });
    socket.on('close', () => reject(new Error(`${server.address}:${server.port} closed the connection`)));
  });
}

/** Asks the servers in turn, healthy ones first, until one answers. */
export function forwardHandler(zone: string, upstreams: Upstream[], onError: (message: string) => void): Handler {
  return async (query, next) => {
    if (zone !== '.' && query.name !== zone && !query.name.endsWith(`.${zone}`)) return next(query);
    const order = [...upstreams].sort(
      (a, b) => Number(a.failures > maxFailures) - Number(b.failures > maxFailures) || Math.random() - 0.5,
    );
    for (const server of order) {
      try {
        let decoded = await overUdp(server, query);
        if (decoded.flag_tc) decoded = await overTcp(server, query);
        server.failures = 0;
        return toAnswer(decoded);
      } catch (error) {
        server.failures++;
        onError(`${query.name} ${query.type}: ${(error as Error).message}`);
      }
    }
    return emptyAnswer('SERVFAIL');
  };
}

function toAnswer(decoded: Decoded): Answer {
  return {
    code: (decoded.rcode ?? 'NOERROR') as ResponseCode,
    answers: decoded.answers ?? [],
    authorities: decoded.authorities ?? [],
    additionals: (decoded.additionals ?? []).filter((record) => record.type !== 'OPT'),
    authoritative: decoded.flag_aa ?? false,
  };
}
