/** SSH's way to write data (RFC 4251, section 5): numbers and strings with their length before them. */

export class WireReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get offset(): number {
    return this.#at;
  }

  get ended(): boolean {
    return this.#at >= this.#data.length;
  }

  uint32(): number {
    const value = this.#data.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  uint64(): bigint {
    const value = this.#data.readBigUInt64BE(this.#at);
    this.#at += 8;
    return value;
  }

  /** @throws RangeError when the data ends before the string does */
  bytes(): Buffer {
    const length = this.uint32();
    if (this.#at + length > this.#data.length) throw new RangeError('the data ends within a string');
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  /** What a string holds, string by string. */
  texts(): string[] {
    const inner = new WireReader(this.bytes());
    const found: string[] = [];
    while (!inner.ended) found.push(inner.text());
    return found;
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A number of any size that is not negative, as the bytes of its value. */
export function mpint(value: Buffer): Buffer {
  let start = 0;
  while (start < value.length && value[start] === 0) start++;
  const digits = value.subarray(start);
  return string(digits[0] !== undefined && digits[0] >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}
