import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { constants, createDeflate } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import type { SpdyConnection } from '../../../src/machinery/spdy/connection.ts';
import { FrameParser, pingFrame, rstStreamFrame } from '../../../src/machinery/spdy/frames.ts';
import {
  HeaderDecoder,
  HeaderEncoder,
  headerDictionary,
  type SpdyHeaders,
} from '../../../src/machinery/spdy/header-block.ts';
import { acceptSpdy, connectSpdy } from '../../../src/machinery/spdy/upgrade.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function connectedPair(): Promise<{ client: SpdyConnection; server: SpdyConnection; protocol: string }> {
  const http = createServer();
  servers.push(http);
  const accepted = new Promise<SpdyConnection>((resolve, reject) => {
    http.on('upgrade', (req, socket, head) => {
      const upgraded = acceptSpdy(req, socket, head, ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
      if (upgraded) resolve(upgraded.connection);
      else reject(new Error('not upgraded'));
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = new URL(`http://127.0.0.1:${(http.address() as AddressInfo).port}/exec`);
  const { connection, protocol } = await connectSpdy(url, ['v4.channel.k8s.io', 'v3.channel.k8s.io'], {});
  return { client: connection, server: await accepted, protocol };
}

test('the header dictionary has the checksum that every SPDY/3 stream begins with', () => {
  let a = 1;
  let b = 0;
  for (const byte of headerDictionary()) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  expect(((b << 16) | a) >>> 0).toBe(0xe3c6a7c2);
});

test('header blocks survive a round trip, several on one connection', () => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder();
  const blocks: SpdyHeaders[] = [{ streamtype: ['stdin'] }, { streamtype: ['error'], port: ['80', '81'] }, {}];
  for (const headers of blocks) expect(decoder.decode(encoder.encode(headers))).toEqual(headers);
});

test('header blocks that zlib compressed with the dictionary are read, one after the other', async () => {
  const deflate = createDeflate({ dictionary: headerDictionary(), flush: constants.Z_SYNC_FLUSH });
  const decoder = new HeaderDecoder();
  const plain = (name: string, value: string) => {
    const out = Buffer.alloc(12 + name.length + value.length);
    out.writeUInt32BE(1);
    out.writeUInt32BE(name.length, 4);
    out.write(name, 8);
    out.writeUInt32BE(value.length, 8 + name.length);
    out.write(value, 12 + name.length);
    return out;
  };
  for (const value of ['error', 'stdout', 'stdout', 'resize', 'content-length']) {
    const block = await new Promise<Buffer>((resolve) => {
      deflate.write(plain('streamtype', value), () => resolve(deflate.read() as Buffer));
    });
    expect(decoder.decode(block)).toEqual({ streamtype: [value] });
  }
  deflate.close();
});

test('frames are found wherever the bytes are cut', () => {
  const bytes = Buffer.concat([pingFrame(1), rstStreamFrame(3, 5), pingFrame(7)]);
  for (let size = 1; size <= bytes.length; size++) {
    const parser = new FrameParser();
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += size)
      for (const frame of parser.push(bytes.subarray(at, at + size)))
        types.push(frame.kind === 'control' ? frame.type : 0);
    expect(types).toEqual([6, 3, 6]);
  }
});

test('the client order decides between protocols that both sides know', async () => {
  const { client, protocol } = await connectedPair();
  expect(protocol).toBe('v4.channel.k8s.io');
  client.close();
});

test('a stream carries data both ways and ends in each direction by itself', async () => {
  const { client, server } = await connectedPair();
  server.on('stream', (stream) => {
    stream.accept();
    stream.on('data', (chunk: Buffer) => stream.write(chunk.toString().toUpperCase()));
    stream.on('end', () => stream.end('.'));
  });
  const stream = await client.openStream({ streamType: ['stdout'] });
  stream.write('hello ');
  stream.end('world');
  expect(await text(stream)).toBe('HELLO WORLD.');
  client.close();
});

test('three megabytes arrive whole while another stream stays usable', async () => {
  const { client, server } = await connectedPair();
  const seen: string[] = [];
  server.on('stream', (stream) => {
    seen.push(stream.header('streamType'));
    stream.accept();
    if (stream.header('streamType') === 'big') stream.end(Buffer.alloc(3_000_001, 120));
    else stream.end('small');
  });
  const big = await client.openStream({ streamType: ['big'] });
  const whole = text(big);
  const small = await client.openStream({ streamType: ['small'] });
  expect((await whole).length).toBe(3_000_001);
  expect(await text(small)).toBe('small');
  expect(seen).toEqual(['big', 'small']);
  client.close();
});

test('a refused stream rejects, and ping answers', async () => {
  const { client } = await connectedPair();
  await expect(client.openStream({})).rejects.toThrow('refused');
  await client.ping();
  client.close();
});

test('when the connection closes all its streams end', async () => {
  const { client, server } = await connectedPair();
  server.on('stream', (stream) => {
    stream.accept();
    server.close();
  });
  const stream = await client.openStream({});
  expect(await text(stream)).toBe('');
  if (!client.closed) await once(client, 'close');
});

test('what came before a reset and the end of the connection is read, and only then the connection counts as closed', async () => {
  const { client, server } = await connectedPair();
  server.on('stream', (stream) => {
    stream.accept();
    stream.write('last words', () => {
      stream.reset();
      server.close(0);
    });
  });
  const stream = await client.openStream({ streamtype: ['error'] });
  const order: string[] = [];
  const closed = once(client, 'close').then(() => order.push('closed'));
  await expect.poll(() => client.closed).toBe(true);
  order.push(await text(stream));
  await closed;
  expect(order).toEqual(['last words', 'closed']);
});
