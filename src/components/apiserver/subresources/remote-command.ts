/**
 * exec and attach over WebSocket (`v5.channel.k8s.io`, `v4.channel.k8s.io`) translated to SPDY towards the kubelet (upstream's StreamTranslator).
 *
 * WebSocket messages are one byte of channel and data: 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize; 255 followed by a
 * channel says that the channel ends. The SPDY side has a stream for each.
 */
import type { Duplex, Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Status } from '../../../machinery/api/types.ts';
import type { SpdyConnection, SpdyStream } from '../../../machinery/spdy/connection.ts';
import type { StreamOptions } from './pod-location.ts';

/** Best first. Clients of the fourth version cannot close a channel. */
export const remoteCommandProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
/** Offered to the kubelet, best first: those in which the error stream carries a Status. */
export const kubeletProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const normalClosure = 1000;

/** Runs until the command has ended or either side has gone. */
export async function translateRemoteCommand(
  client: WebSocket,
  kubelet: SpdyConnection,
  options: StreamOptions,
): Promise<void> {
  // When the kubelet goes, all its streams end, and what has come before is still read.
  const gone = new Promise<void>((resolve) => client.once('close', () => resolve()));
  // Until all streams are open, what the client already sends must wait.
  client.pause();
  try {
    const open = (streamType: string) => kubelet.openStream({ streamtype: [streamType] });
    const error = await open('error');
    const stdin = options.stdin ? await open('stdin') : undefined;
    const stdout = options.stdout ? await open('stdout') : undefined;
    const stderr = options.stderr && !options.tty ? await open('stderr') : undefined;
    const resize = options.tty ? await open('resize') : undefined;
    // The client sends nothing else on these.
    for (const stream of [error, stdout, stderr]) stream?.end();
    client.on('message', (data: Buffer) => receive(client, data, stdin, resize));
    client.resume();
    const outputs = Promise.all([
      stdout ? forward(stdout, client, channel.stdout) : undefined,
      stderr ? forward(stderr, client, channel.stderr) : undefined,
    ]);
    const status = await Promise.race([readAll(error), gone.then(() => undefined)]);
    await Promise.race([outputs, gone]);
    if (status?.length) await send(client, channel.error, status);
    else if (status && !error.cutOff) await send(client, channel.error, success);
    client.close(normalClosure);
  } finally {
    kubelet.close();
    if (client.readyState !== client.CLOSED && client.readyState !== client.CLOSING) client.close(normalClosure);
  }
}

/** Says why nothing runs, as the last thing on the connection. */
export async function sendFailure(client: WebSocket, status: Status): Promise<void> {
  client.resume();
  await send(client, channel.error, Buffer.from(JSON.stringify(status)));
  client.close(normalClosure);
}

/** An error stream that ends without a word means success. */
const success = Buffer.from('{"metadata":{},"status":"Success"}');

function receive(client: WebSocket, data: Buffer, stdin: SpdyStream | undefined, resize: SpdyStream | undefined): void {
  const target = data[0] === channel.stdin ? stdin : data[0] === channel.resize ? resize : undefined;
  if (data[0] === channel.close) {
    if (data[1] === channel.stdin) stdin?.end();
    if (data[1] === channel.resize) resize?.end();
    return;
  }
  if (!target?.writable || data.length < 2) return;
  if (target.write(data.subarray(1))) return;
  client.pause();
  target.once('drain', () => client.resume());
  target.once('close', () => client.resume());
}

async function forward(from: Readable, client: WebSocket, id: number): Promise<void> {
  for await (const chunk of from) await send(client, id, chunk as Buffer);
}

async function readAll(from: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of from) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function send(client: WebSocket, id: number, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    // A client that has gone ends everything through its close event.
    client.send(Buffer.concat([Buffer.of(id), data]), { binary: true }, () => resolve());
  });
}
