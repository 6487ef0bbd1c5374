/** Exec, port-forward and logs through the API server's handlers, against a server that speaks SPDY as a kubelet does. */
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { AdmissionChain } from '../../../src/components/apiserver/admission/chain.ts';
import type { StatusError } from '../../../src/components/apiserver/errors.ts';
import { createRegistry } from '../../../src/components/apiserver/registry/registry.ts';
import type { ConnectDeps } from '../../../src/components/apiserver/subresources/connect.ts';
import { podLog } from '../../../src/components/apiserver/subresources/pod-log.ts';
import { podStreams } from '../../../src/components/apiserver/subresources/pod-streams.ts';
import type { LoopbackClient, RequestContext, ResourceDescriptor } from '../../../src/components/apiserver/types.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { SpdyConnection, type SpdyStream } from '../../../src/machinery/spdy/connection.ts';
import { acceptSpdy, connectSpdy } from '../../../src/machinery/spdy/upgrade.ts';

const pod: UnknownObject = {
  metadata: { name: 'web', namespace: 'shop' },
  spec: { nodeName: 'w1', containers: [{ name: 'a' }] },
};

/** `cat` to stdout with an exit code of 3, a log, and a port that answers in upper case. */
function startKubelet(): Server {
  const server = createServer((req, res) => {
    if (!req.url?.startsWith('/containerLogs/')) return void res.writeHead(404).end();
    if (req.url.includes('previous'))
      return void res.writeHead(400).end('previous terminated container "a" in pod "web" not found');
    res.writeHead(200, { 'content-type': 'text/plain' });
    res.write('first\n');
    setImmediate(() => res.end('last\n'));
  });
  server.on('upgrade', (req, socket, head) => {
    if (req.url?.startsWith('/portForward/')) {
      const upgraded = acceptSpdy(req, socket, head, ['portforward.k8s.io']);
      upgraded?.connection.on('stream', (stream) => {
        stream.accept();
        if (stream.header('streamtype') === 'data')
          stream.on('data', (data: Buffer) => stream.end(data.toString().toUpperCase()));
        else stream.end();
        stream.on('error', () => undefined);
      });
      return;
    }
    if (req.url?.includes('refuse')) {
      const text = 'container not found ("a")';
      socket.end(
        `HTTP/1.1 500 Internal Server Error\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
      );
      return;
    }
    const upgraded = acceptSpdy(req, socket, head, ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
    const streams = new Map<string, SpdyStream>();
    upgraded?.connection.on('stream', (stream) => {
      stream.accept();
      streams.set(stream.header('streamtype'), stream);
      const [stdin, stdout, error] = ['stdin', 'stdout', 'error'].map((name) => streams.get(name));
      if (!stdin || !stdout || !error) return;
      stdin.pipe(stdout);
      stdin.once('end', () => {
        const causes = [{ reason: 'ExitCode', message: '3' }];
        error.end(JSON.stringify({ metadata: {}, status: 'Failure', reason: 'NonZeroExitCode', details: { causes } }));
      });
    });
  });
  return server;
}

const listen = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

describe('streams of a pod', () => {
  let kubelet: Server;
  let api: Server;
  let base = '';

  beforeAll(async () => {
    kubelet = startKubelet();
    const kubeletUrl = await listen(kubelet);
    const registry = createRegistry();
    registry.add({ group: '', version: 'v1', resource: 'pods', subresources: [] } as unknown as ResourceDescriptor);
    const deps: ConnectDeps = {
      registry,
      cache: { get: () => pod, list: () => [], onChange: () => () => undefined, ready: async () => undefined },
      loopback: {} as LoopbackClient,
      admission: { admit: async () => undefined, validate: async () => undefined } satisfies AdmissionChain,
      kubelet: { baseUrl: () => kubeletUrl, tls: () => ({ rejectUnauthorized: false }), timeoutMs: 5_000 },
    };
    const handlers = [podLog(deps), ...podStreams(deps)];
    const contextOf = (req: RequestContext['req'], parts: Partial<RequestContext>): RequestContext => {
      const url = new URL(req.url ?? '/', 'https://localhost');
      const subresource = url.pathname.split('/').at(-1) ?? '';
      const info = {
        isResourceRequest: true,
        path: url.pathname,
        verb: 'create',
        apiGroup: '',
        apiVersion: 'v1',
        namespace: 'shop',
        resource: 'pods',
        subresource,
        name: 'web',
        rest: [],
      };
      return {
        req,
        url,
        info,
        user: { name: 'me', groups: [] },
        signal: new AbortController().signal,
        warn: () => undefined,
        auditId: '',
        ...parts,
      };
    };
    const handle = (ctx: RequestContext) =>
      handlers.find(({ subresource }) => subresource === ctx.info.subresource)?.handle(ctx);
    api = createServer((req, res) => {
      handle(contextOf(req, { res }))?.catch((error: StatusError) => res.writeHead(error.code).end(error.message));
    });
    api.on('upgrade', (req, socket, head) => {
      handle(contextOf(req, { socket, head }))?.catch((error: Error) => socket.destroy(error));
    });
    base = await listen(api);
  });

  afterAll(() => {
    api.closeAllConnections();
    kubelet.closeAllConnections();
    api.close();
    kubelet.close();
  });

  const path = (rest: string) => `/api/v1/namespaces/shop/pods/web/${rest}`;

  it('a log comes through, and so do the kubelet’s refusals', async () => {
    expect(await (await fetch(base + path('log'))).text()).toBe('first\nlast\n');
    const refused = await fetch(base + path('log?previous=true'));
    expect([refused.status, await refused.text()]).toEqual([
      400,
      'previous terminated container "a" in pod "web" not found',
    ]);
    const plain = await fetch(base + path('exec?command=cat&stdout=true'), { method: 'POST' });
    expect([plain.status, await plain.text()]).toEqual([400, 'Upgrade request required']);
  });

  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])('exec over WebSocket with %s', async (protocol) => {
    const url = base.replace('http', 'ws') + path('exec?command=cat&stdin=true&stdout=true');
    const client = new WebSocket(url, [protocol]);
    const received: Record<number, string> = {};
    client.on('message', (data: Buffer) => {
      received[data[0] as number] = (received[data[0] as number] ?? '') + data.subarray(1).toString();
      if (protocol.startsWith('v4') && received[1] === 'hello') client.close();
    });
    client.once('open', () => {
      client.send(Buffer.concat([Buffer.of(0), Buffer.from('hello')]));
      if (protocol.startsWith('v5')) client.send(Buffer.of(255, 0));
    });
    await new Promise<void>((resolve, reject) => {
      client.once('close', () => resolve());
      client.once('error', reject);
    });
    expect(received[1]).toBe('hello');
    if (protocol.startsWith('v5')) expect(JSON.parse(received[3] ?? '{}').reason).toBe('NonZeroExitCode');
  });

  it('a command that the kubelet refuses is told through the error channel', async () => {
    const client = new WebSocket(base.replace('http', 'ws') + path('exec?command=refuse&stdout=true'), [
      'v5.channel.k8s.io',
    ]);
    const [data] = (await once(client, 'message')) as [Buffer];
    expect(data[0]).toBe(3);
    expect(JSON.parse(data.subarray(1).toString())).toMatchObject({
      status: 'Failure',
      code: 500,
      message: 'Internal error occurred: unable to upgrade connection: container not found ("a")',
    });
    await once(client, 'close');
  });

  it('exec over SPDY goes through byte by byte', async () => {
    const { connection, protocol } = await connectSpdy(
      new URL(base + path('exec?command=cat&stdin=true&stdout=true')),
      ['v4.channel.k8s.io'],
      {},
    );
    expect(protocol).toBe('v4.channel.k8s.io');
    const error = await connection.openStream({ streamtype: ['error'] });
    const stdin = await connection.openStream({ streamtype: ['stdin'] });
    const stdout = await connection.openStream({ streamtype: ['stdout'] });
    stdin.end('over spdy');
    const text = async (stream: SpdyStream) => Buffer.concat(await stream.toArray()).toString();
    expect(await text(stdout)).toBe('over spdy');
    expect(JSON.parse(await text(error)).details.causes[0].message).toBe('3');
    connection.close();
  });

  it('port-forward is tunnelled through a WebSocket', async () => {
    // Written by hand: the library's client refuses the slash in the protocol's name.
    const { socket, head, protocol } = await upgradeByHand(
      new URL(base + path('portforward')),
      'SPDY/3.1+portforward.k8s.io',
    );
    expect(protocol).toBe('SPDY/3.1+portforward.k8s.io');
    const bytes = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => socket.write(clientFrame(chunk), done),
    });
    const receive = serverFrames((data) => bytes.push(data));
    receive(head);
    socket.on('data', receive);
    const connection = new SpdyConnection(bytes, { role: 'client' });
    await connection.openStream({ streamtype: ['error'], port: ['80'], requestid: ['0'] });
    const data = await connection.openStream({ streamtype: ['data'], port: ['80'], requestid: ['0'] });
    data.write('shout');
    expect(Buffer.concat(await data.toArray()).toString()).toBe('SHOUT');
    socket.destroy();
  });
});

function upgradeByHand(url: URL, wanted: string): Promise<{ socket: Duplex; head: Buffer; protocol: string }> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': Buffer.alloc(16, 1).toString('base64'),
    'Sec-WebSocket-Protocol': wanted,
  };
  return new Promise((resolve, reject) => {
    const req = request(url, { headers });
    req.once('upgrade', (res, socket, head) =>
      resolve({ socket, head, protocol: `${res.headers['sec-websocket-protocol']}` }),
    );
    req.once('response', (res) => reject(new Error(`answered ${res.statusCode}`)));
    req.once('error', reject);
    req.end();
  });
}

/** A binary message with a mask of zeros. */
function clientFrame(data: Buffer): Buffer {
  const frameHead = Buffer.from([0x82, 0x80 | 126, 0, 0, 0, 0, 0, 0]);
  frameHead.writeUInt16BE(data.length, 2);
  return Buffer.concat([frameHead, data]);
}

/** Takes a server's frames apart, all of them short and unmasked. */
function serverFrames(onMessage: (data: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4) {
      const long = rest.readUInt8(1) === 126;
      const start = long ? 4 : 2;
      const end = start + (long ? rest.readUInt16BE(2) : rest.readUInt8(1));
      if (rest.length < end) return;
      onMessage(rest.subarray(start, end));
      rest = rest.subarray(end);
    }
  };
}
