/** Protobuf's wire format: varints, tags and length-delimited fields. */

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Writes back to front, so that lengths of nested messages are known when they are written. */
export class ReverseWriter {
  #buffer: Buffer;
  #start: number;

  constructor(capacity = 1024) {
    this.#buffer = Buffer.allocUnsafe(capacity);
    this.#start = capacity;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#buffer.length - this.#start;
  }

  #reserve(size: number): void {
    if (this.#start >= size) return;
    const used = this.length;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, used + size));
    this.#buffer.copy(grown, grown.length - used, this.#start);
    this.#buffer = grown;
    this.#start = grown.length - used;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#start -= bytes.length;
    this.#buffer.set(bytes, this.#start);
  }

  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.#reserve(size);
    this.#start -= size;
    this.#buffer.write(value, this.#start, size, 'utf8');
  }

  /** Negative numbers take ten bytes, as int32 and int64 do. */
  varint(value: number | bigint): void {
    if (typeof value === 'bigint' || value < 0 || value > Number.MAX_SAFE_INTEGER) {
      this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    this.#reserve(size);
    this.#start -= size;
    let rest = value;
    for (let at = this.#start; at < this.#start + size - 1; at++) {
      this.#buffer[at] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#start + size - 1] = rest;
  }

  #bigVarint(value: bigint): void {
    const bytes: number[] = [];
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    this.raw(Uint8Array.from(bytes));
  }

  double(value: number): void {
    this.#reserve(8);
    this.#start -= 8;
    this.#buffer.writeDoubleLE(value, this.#start);
  }

  tag(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  /** Closes a length-delimited field whose content was written since `lengthBefore`. */
  delimited(field: number, lengthBefore: number): void {
    this.varint(this.length - lengthBefore);
    this.tag(field, wireType.bytes);
  }

  finish(): Buffer {
    return this.#buffer.subarray(this.#start);
  }
}

export class Reader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new Error('unexpected EOF');
    return this.#bytes[this.#at++]!;
  }

  /** As a signed 64-bit number; exact up to 2^53. */
  varint(): number {
    let low = 0;
    let scale = 1;
    for (let count = 0; count < 7; count++) {
      const byte = this.#byte();
      low += (byte & 0x7f) * scale;
      if (byte < 0x80) return low;
      scale *= 0x80;
    }
    let high = 0n;
    for (let shift = 49n; ; shift += 7n) {
      const byte = this.#byte();
      high |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
      if (shift > 63n) throw new Error('proto: integer overflow');
    }
    return Number(BigInt.asIntN(64, high + BigInt(low)));
  }

  /** Field number and wire type of the next field. */
  tag(): { field: number; type: number } {
    const value = this.varint();
    return { field: Math.floor(value / 8), type: value % 8 };
  }

  #slice(): [number, number] {
    const size = this.varint();
    const start = this.#at;
    if (size < 0 || start + size > this.#end) throw new Error('unexpected EOF');
    this.#at = start + size;
    return [start, start + size];
  }

  bytes(): Buffer {
    const [start, end] = this.#slice();
    return this.#bytes.subarray(start, end);
  }

  text(): string {
    const [start, end] = this.#slice();
    return this.#bytes.toString('utf8', start, end);
  }

  message(): Reader {
    const [start, end] = this.#slice();
    return new Reader(this.#bytes, start, end);
  }

  double(): number {
    if (this.#at + 8 > this.#end) throw new Error('unexpected EOF');
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  skip(type: number): void {
    if (type === wireType.varint) this.varint();
    else if (type === wireType.bytes) this.#slice();
    else if (type === wireType.fixed64) this.#at += 8;
    else if (type === wireType.fixed32) this.#at += 4;
    else throw new Error(`proto: illegal wireType ${type}`);
    if (this.#at > this.#end) throw new Error('unexpected EOF');
  }
}
