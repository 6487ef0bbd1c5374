/**
 * A SPDY/3.1 connection over a connected socket: many streams, each a Duplex, opened by either side.
 *
 *     const connection = new SpdyConnection(socket, { role: 'server', head });
 *     connection.on('stream', (stream) => stream.accept());
 *     const stdin = await client.openStream({ streamtype: ['stdin'] });
 *
 * Like the implementation that kubectl and the kubelet use, there is no per-stream flow control: TCP's is the only one.
 */
import { EventEmitter, once } from 'node:events';
import { Duplex } from 'node:stream';
import {
  dataFrameHead,
  FrameParser,
  flagFin,
  frameType,
  goAwayFrame,
  headerBlockOffset,
  pingFrame,
  resetStatus,
  rstStreamFrame,
  type SpdyFrame,
  synReplyFrame,
  synStreamFrame,
} from './frames.ts';
import { HeaderDecoder, HeaderEncoder, type SpdyHeaders } from './header-block.ts';

export interface SpdyConnectionOptions {
  role: 'client' | 'server';
  /** What the HTTP parser had already read past the upgrade. */
  head?: Buffer;
}

interface SpdyConnectionEvents {
  /** The other side opened a stream; call `accept()` or `reset()` on it. Without a listener it is refused. */
  stream: [stream: SpdyStream];
  /** The socket has gone; every stream has ended and was read. */
  close: [];
}

const maxChunk = 1 << 20;

export class SpdyStream extends Duplex {
  readonly id: number;
  /** Headers of the SYN_STREAM that opened it, names in lower case. */
  readonly headers: SpdyHeaders;
  private readonly connection: SpdyConnection;
  /** @internal */
  remoteClosed = false;
  /** The connection went away before the other side had ended this stream. */
  cutOff = false;
  private localClosed = false;
  private wasReset = false;

  constructor(connection: SpdyConnection, id: number, headers: SpdyHeaders) {
    super({ allowHalfOpen: true, emitClose: true });
    this.connection = connection;
    this.id = id;
    this.headers = headers;
    // Writes that fail belong to a connection that has gone, which says so itself.
    this.on('error', () => undefined);
  }

  /** First value of a header, or the empty string. */
  header(name: string): string {
    return this.headers[name.toLowerCase()]?.[0] ?? '';
  }

  /** Answers SYN_REPLY: the opener may go on. */
  accept(headers: SpdyHeaders = {}): void {
    this.connection.sendReply(this.id, headers);
  }

  /** Breaks the stream off in both directions. */
  reset(status: number = resetStatus.cancel): void {
    if (!this.wasReset) this.connection.sendReset(this.id, status);
    this.wasReset = true;
    this.destroy();
  }

  /** @internal What has come before the reset (containerd ends its streams with one) can still be read. */
  receiveReset(): void {
    this.wasReset = true;
    this.remoteClosed = true;
    this.push(null);
    this.connection.noteUnread(this);
    this.connection.forget(this);
    if (this.readableEnded) this.destroy();
    else this.once('end', () => this.destroy());
  }

  /** @internal */
  receiveFin(): void {
    if (this.remoteClosed) return;
    this.remoteClosed = true;
    this.push(null);
    this.connection.noteUnread(this);
    this.forgetWhenDone();
  }

  override _read(): void {
    this.connection.resumeReading(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.wasReset) callback();
    else this.connection.sendData(this.id, chunk, false, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.localClosed = true;
    if (this.wasReset) callback();
    else this.connection.sendData(this.id, Buffer.alloc(0), true, callback);
    this.forgetWhenDone();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.wasReset && !(this.localClosed && this.remoteClosed))
      this.connection.sendReset(this.id, resetStatus.cancel);
    this.connection.forget(this);
    callback(error);
  }

  private forgetWhenDone(): void {
    if (this.localClosed && this.remoteClosed) this.connection.forget(this);
  }
}

export class SpdyConnection extends EventEmitter<SpdyConnectionEvents> {
  private readonly socket: Duplex;
  private readonly parser = new FrameParser();
  private readonly encoder = new HeaderEncoder();
  private readonly decoder = new HeaderDecoder();
  private readonly streams = new Map<number, SpdyStream>();
  private readonly awaitingReply = new Map<number, (error?: Error) => void>();
  private readonly awaitingPong = new Map<number, () => void>();
  private readonly choked = new Set<SpdyStream>();
  /** Streams that the other side has ended and whose data is still to be read. */
  private readonly unread = new Set<SpdyStream>();
  private readonly idParity: 0 | 1;
  private nextStreamId: number;
  private nextPingId: number;
  private lastRemoteStreamId = 0;
  private isClosed = false;
  private closeAnnounced = false;

  constructor(socket: Duplex, options: SpdyConnectionOptions) {
    super();
    this.socket = socket;
    this.idParity = options.role === 'client' ? 1 : 0;
    this.nextStreamId = options.role === 'client' ? 1 : 2;
    this.nextPingId = this.nextStreamId;
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('end', () => this.shutDown());
    socket.on('error', () => this.shutDown());
    socket.on('close', () => this.shutDown());
    const head = options.head;
    // Listeners for `stream` are added after construction.
    if (head?.length) process.nextTick(() => this.receive(head));
  }

  get closed(): boolean {
    return this.isClosed;
  }

  /** Opens a stream and waits until the other side accepts it. Names are sent in lower case. */
  async openStream(headers: SpdyHeaders): Promise<SpdyStream> {
    const stream = this.startStream(headers);
    await new Promise<void>((resolve, reject) => {
      this.awaitingReply.set(stream.id, (error) => (error ? reject(error) : resolve()));
    });
    return stream;
  }

  /** Round trip on the wire; rejects when the connection closes first. */
  async ping(): Promise<void> {
    const id = this.nextPingId;
    this.nextPingId += 2;
    const pong = new Promise<void>((resolve) => this.awaitingPong.set(id, resolve));
    this.socket.write(pingFrame(id));
    await Promise.race([
      pong,
      once(this, 'close').then(() => {
        throw new Error('SPDY connection closed');
      }),
    ]);
  }

  /** Says GOAWAY, ends the socket after what is already written, and destroys it for good after `graceMs`. */
  close(graceMs = 1_000): void {
    if (this.isClosed) return;
    this.socket.end(goAwayFrame(this.lastRemoteStreamId));
    const timer = setTimeout(() => this.socket.destroy(), graceMs);
    timer.unref();
    this.socket.once('close', () => clearTimeout(timer));
  }

  /** @internal */
  sendReply(id: number, headers: SpdyHeaders): void {
    this.send(synReplyFrame(id, this.encoder.encode(headers)));
  }

  /** @internal */
  sendReset(id: number, status: number): void {
    this.send(rstStreamFrame(id, status));
  }

  /** @internal */
  sendData(id: number, chunk: Buffer, fin: boolean, callback: (error?: Error | null) => void): void {
    if (this.isClosed || this.socket.writableEnded) {
      callback(fin ? null : new Error('SPDY connection closed'));
      return;
    }
    for (let at = 0; at < chunk.length - maxChunk; at += maxChunk) {
      this.socket.write(dataFrameHead(id, maxChunk, false));
      this.socket.write(chunk.subarray(at, at + maxChunk));
    }
    const last = chunk.subarray(chunk.length - (chunk.length % maxChunk || Math.min(chunk.length, maxChunk)));
    this.socket.write(dataFrameHead(id, last.length, fin), last.length ? undefined : callback);
    if (last.length) this.socket.write(last, callback);
  }

  /** @internal */
  forget(stream: SpdyStream): void {
    this.streams.delete(stream.id);
    this.resumeReading(stream);
  }

  /** @internal */
  noteUnread(stream: SpdyStream): void {
    if (stream.readableLength === 0) return;
    this.unread.add(stream);
    const done = () => {
      this.unread.delete(stream);
      if (this.isClosed) this.announceClose();
    };
    stream.once('end', done);
    stream.once('close', done);
  }

  /** @internal */
  resumeReading(stream: SpdyStream): void {
    if (this.choked.delete(stream) && this.choked.size === 0) this.socket.resume();
  }

  private startStream(headers: SpdyHeaders): SpdyStream {
    if (this.isClosed) throw new Error('SPDY connection closed');
    const id = this.nextStreamId;
    this.nextStreamId += 2;
    const stream = new SpdyStream(this, id, headers);
    this.streams.set(id, stream);
    this.send(synStreamFrame(id, this.encoder.encode(headers)));
    return stream;
  }

  private send(frame: Buffer): void {
    if (!this.isClosed && !this.socket.writableEnded) this.socket.write(frame);
  }

  private receive(chunk: Buffer): void {
    try {
      for (const frame of this.parser.push(chunk)) this.handle(frame);
    } catch (error) {
      this.socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private handle(frame: SpdyFrame): void {
    if (frame.kind === 'data') {
      const stream = this.streams.get(frame.streamId);
      if (!stream || stream.remoteClosed) return;
      if (frame.data.length && !stream.push(frame.data) && stream.readableLength > maxChunk) {
        this.choked.add(stream);
        this.socket.pause();
      }
      if (frame.flags & flagFin) stream.receiveFin();
      return;
    }
    const { type, flags, payload } = frame;
    const offset = headerBlockOffset[type];
    // Each block must go through the decoder, wanted or not: the blocks are one compressed stream.
    const headers = offset === undefined ? {} : this.decoder.decode(payload.subarray(offset));
    const word = payload.length >= 4 ? payload.readUInt32BE(0) : 0;
    const id = word & 0x7fffffff;
    if (type === frameType.synStream) this.receiveStream(id, headers, flags);
    else if (type === frameType.synReply) this.receiveReply(id, flags);
    else if (type === frameType.rstStream) this.receiveReset(id, payload.readUInt32BE(4));
    else if (type === frameType.ping) this.receivePing(word);
  }

  private receiveStream(id: number, headers: SpdyHeaders, flags: number): void {
    if (id % 2 === this.idParity || this.streams.has(id)) {
      this.sendReset(id, resetStatus.protocolError);
      return;
    }
    this.lastRemoteStreamId = id;
    const stream = new SpdyStream(this, id, headers);
    this.streams.set(id, stream);
    if (flags & flagFin) stream.receiveFin();
    if (!this.emit('stream', stream)) stream.reset(resetStatus.refusedStream);
  }

  private receiveReply(id: number, flags: number): void {
    this.awaitingReply.get(id)?.();
    this.awaitingReply.delete(id);
    if (flags & flagFin) this.streams.get(id)?.receiveFin();
  }

  private receiveReset(id: number, status: number): void {
    this.awaitingReply.get(id)?.(new Error(`SPDY stream ${id} was refused with status ${status}`));
    this.awaitingReply.delete(id);
    this.streams.get(id)?.receiveReset();
  }

  private receivePing(id: number): void {
    if (id % 2 !== this.idParity) {
      this.send(pingFrame(id));
      return;
    }
    this.awaitingPong.get(id)?.();
    this.awaitingPong.delete(id);
  }

  private shutDown(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const settle of this.awaitingReply.values()) settle(new Error('SPDY connection closed'));
    this.awaitingReply.clear();
    for (const stream of this.streams.values()) {
      stream.cutOff = !stream.remoteClosed;
      stream.receiveReset();
    }
    this.streams.clear();
    this.socket.destroy();
    this.announceClose();
  }

  /** Not before all that came has been read: the last words of a command often come with the end of the connection. */
  private announceClose(): void {
    if (this.unread.size > 0 || this.closeAnnounced) return;
    this.closeAnnounced = true;
    setImmediate(() => this.emit('close'));
  }
}
