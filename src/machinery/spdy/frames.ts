/** SPDY/3.1 frames: cutting a byte stream into them, and writing them. Header blocks stay compressed here. */

export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const flagFin = 0x01;
export const flagUnidirectional = 0x02;

/** Status codes of RST_STREAM. */
export const resetStatus = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
} as const;

export type SpdyFrame =
  | { kind: 'data'; streamId: number; flags: number; data: Buffer }
  | { kind: 'control'; version: number; type: number; flags: number; payload: Buffer };

const headLength = 8;
const versionThree = 3;

/** Feed it what arrives; it returns the frames that are complete. */
export class FrameParser {
  private pending: Buffer[] = [];
  private pendingLength = 0;

  push(chunk: Buffer): SpdyFrame[] {
    this.pending.push(chunk);
    this.pendingLength += chunk.length;
    const frames: SpdyFrame[] = [];
    for (let frame = this.next(); frame; frame = this.next()) frames.push(frame);
    return frames;
  }

  private next(): SpdyFrame | undefined {
    if (this.pendingLength < headLength) return undefined;
    const needed = this.frameLength();
    if (this.pendingLength < needed) return undefined;
    const whole = this.joined();
    this.pending = whole.length > needed ? [whole.subarray(needed)] : [];
    this.pendingLength -= needed;
    return readFrame(whole.subarray(0, needed));
  }

  private frameLength(): number {
    const first = this.pending[0];
    const head = first && first.length >= headLength ? first : this.joined();
    return headLength + head.readUIntBE(5, 3);
  }

  private joined(): Buffer {
    if (this.pending.length > 1) this.pending = [Buffer.concat(this.pending, this.pendingLength)];
    return this.pending[0] as Buffer;
  }
}

function readFrame(bytes: Buffer): SpdyFrame {
  const first = bytes.readUInt32BE(0);
  const flags = bytes.readUInt8(4);
  const rest = bytes.subarray(headLength);
  if (first & 0x80000000)
    return { kind: 'control', version: (first >>> 16) & 0x7fff, type: first & 0xffff, flags, payload: rest };
  return { kind: 'data', streamId: first & 0x7fffffff, flags, data: rest };
}

export function dataFrameHead(streamId: number, length: number, fin: boolean): Buffer {
  const head = Buffer.alloc(headLength);
  head.writeUInt32BE(streamId & 0x7fffffff);
  head.writeUInt8(fin ? flagFin : 0, 4);
  head.writeUIntBE(length, 5, 3);
  return head;
}

function controlFrame(type: number, flags: number, ...parts: Buffer[]): Buffer {
  const payload = Buffer.concat(parts);
  const head = Buffer.alloc(headLength);
  head.writeUInt16BE(0x8000 | versionThree);
  head.writeUInt16BE(type, 2);
  head.writeUInt8(flags, 4);
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

function words(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) out.writeUInt32BE(value >>> 0, index * 4);
  return out;
}

export const synStreamFrame = (streamId: number, headerBlock: Buffer, fin = false) =>
  controlFrame(frameType.synStream, fin ? flagFin : 0, words(streamId, 0), Buffer.alloc(2), headerBlock);
export const synReplyFrame = (streamId: number, headerBlock: Buffer, fin = false) =>
  controlFrame(frameType.synReply, fin ? flagFin : 0, words(streamId), headerBlock);
export const rstStreamFrame = (streamId: number, status: number) =>
  controlFrame(frameType.rstStream, 0, words(streamId, status));
export const pingFrame = (id: number) => controlFrame(frameType.ping, 0, words(id));
export const goAwayFrame = (lastStreamId: number, status = 0) =>
  controlFrame(frameType.goAway, 0, words(lastStreamId, status));

/** Where the header block begins in the payload of each frame that has one. */
export const headerBlockOffset: Partial<Record<number, number>> = {
  [frameType.synStream]: 10,
  [frameType.synReply]: 4,
  [frameType.headers]: 4,
};
