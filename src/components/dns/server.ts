/** DNS over UDP and TCP: decodes a question, asks the chain, encodes the answer; one bad packet never ends the server. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import packet from 'dns-packet';
import { type Answer, emptyAnswer, type Next } from './chain.ts';
import { absolute } from './corefile.ts';

const responseCodes: Record<string, number> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

export interface Observation {
  name: string;
  type: string;
  code: string;
  protocol: 'udp' | 'tcp';
  seconds: number;
  client: string;
}

export interface DnsServer {
  close(): Promise<void>;
}

interface DecodedQuery {
  id?: number;
  type?: string;
  flag_rd?: boolean;
  questions?: { name: string; type: string; class?: string }[];
  additionals?: { type: string; udpPayloadSize?: number }[];
}

/** Answers one packet; undefined for what is no query at all. */
export async function respond(
  message: Buffer,
  chain: Next,
  client: string,
  protocol: 'udp' | 'tcp',
  observe: (observation: Observation) => void,
): Promise<Buffer | undefined> {
  const started = performance.now();
  let query: DecodedQuery;
  try {
    query = packet.decode(message) as unknown as DecodedQuery;
  } catch {
    // Undecodable beyond its header: say so to the sender, with its own id.
    return message.length >= 12 && (message.readUInt16BE(2) & 0x8000) === 0
      ? encode(message.readUInt16BE(0), undefined, emptyAnswer('FORMERR'))
      : undefined;
  }
  if (query.type !== 'query') return undefined;
  const question = query.questions?.[0];
  if (!question) return encode(query.id ?? 0, query, emptyAnswer('FORMERR'));
  const name = absolute(question.name);
  let answer: Answer;
  try {
    answer = await chain({ name, type: question.type, client, recursionDesired: query.flag_rd ?? false });
  } catch {
    answer = emptyAnswer('SERVFAIL');
  }
  observe({
    name,
    type: question.type,
    code: answer.code,
    protocol,
    seconds: (performance.now() - started) / 1000,
    client,
  });
  const limit =
    protocol === 'tcp' ? 65535 : Math.max(512, query.additionals?.find((a) => a.type === 'OPT')?.udpPayloadSize ?? 512);
  const full = encode(query.id ?? 0, query, answer);
  if (full.length <= limit) return full;
  const withoutExtra = encode(query.id ?? 0, query, { ...answer, additionals: [] });
  return withoutExtra.length <= limit
    ? withoutExtra
    : encode(query.id ?? 0, query, { ...answer, answers: [], authorities: [], additionals: [] }, true);
}

function encode(id: number, query: DecodedQuery | undefined, answer: Answer, truncated = false): Buffer {
  const flags =
    (answer.authoritative ? packet.AUTHORITATIVE_ANSWER : 0) |
    (truncated ? packet.TRUNCATED_RESPONSE : 0) |
    (query?.flag_rd ? packet.RECURSION_DESIRED : 0) |
    packet.RECURSION_AVAILABLE |
    (responseCodes[answer.code] ?? 2);
  const bare = <T extends { name: string }>(records: T[]) =>
    records.map((record) => ({ ...record, name: record.name.replace(/\.$/, '') }));
  const asksEdns = query?.additionals?.some((a) => a.type === 'OPT');
  const opt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 1232,
    flags: 0,
    options: [],
    extendedRcode: 0,
    ednsVersion: 0,
    flag_do: false,
  };
  return packet.encode({
    type: 'response',
    id,
    flags,
    questions: (query?.questions ?? []).slice(0, 1) as packet.Question[],
    answers: bare(answer.answers) as packet.Answer[],
    authorities: bare(answer.authorities) as packet.Answer[],
    additionals: [...bare(answer.additionals), ...(asksEdns ? [opt] : [])] as packet.Answer[],
  });
}

/** Listens on both protocols. */
export async function listen(
  port: number,
  chain: Next,
  observe: (observation: Observation) => void,
  onError: (error: Error) => void,
): Promise<DnsServer> {
  const udp = createSocket({ type: 'udp6', ipv6Only: false });
  udp.on('message', (message: Buffer, from: RemoteInfo) => {
    respond(message, chain, from.address, 'udp', observe).then((reply) => {
      if (reply) udp.send(reply, from.port, from.address);
    }, onError);
  });
  udp.on('error', onError);
  const tcp = createServer((socket) => serveTcp(socket, chain, observe, onError));
  tcp.on('error', onError);
  await Promise.all([
    new Promise<void>((resolve) => udp.bind(port, '::', resolve)),
    new Promise<void>((resolve) => tcp.listen(port, '::', resolve)),
  ]);
  return {
    close: async () => {
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
    },
  };
}

const idleTcpMs = 10_000;

function serveTcp(
  socket: Socket,
  chain: Next,
  observe: (observation: Observation) => void,
  onError: (error: Error) => void,
): void {
  let received = Buffer.alloc(0);
  socket.setTimeout(idleTcpMs, () => socket.destroy());
  socket.on('error', onError);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const length = received.readUInt16BE(0);
      const message = received.subarray(2, 2 + length);
      received = received.subarray(2 + length);
      respond(message, chain, socket.remoteAddress ?? '', 'tcp', observe).then((reply) => {
        if (!reply || socket.destroyed) return;
        const size = Buffer.alloc(2);
        size.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([size, reply]));
      }, onError);
    }
  });
}
