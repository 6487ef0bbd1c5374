/** Hands out blocks of equal size from a CIDR range, and remembers which are taken. IPv4 and IPv6. */
import { isIPv6 } from 'node:net';

export interface Cidr {
  address: bigint;
  prefix: number;
  /** 32 or 128. */
  bits: number;
}

/** Throws when the text is no CIDR. */
export function parseCidr(text: string): Cidr {
  const [host = '', length = ''] = text.split('/');
  const bits = isIPv6(host) ? 128 : 32;
  const prefix = Number(length);
  if (!/^\d+$/.test(length) || prefix > bits) throw new Error(`invalid CIDR address: ${text}`);
  const address = bits === 32 ? parseIpv4(host) : parseIpv6(host);
  const size = BigInt(bits - prefix);
  return { address: (address >> size) << size, prefix, bits };
}

function parseIpv4(text: string): bigint {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part < 256)))
    throw new Error(`invalid IP address: ${text}`);
  return parts.reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function parseIpv6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part ? part.split(':') : []);
  const left = groups(head);
  const right = groups(tail ?? '');
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n);
}

export function formatCidr({ address, prefix, bits }: Cidr): string {
  if (bits === 32) return `${[24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 255n).join('.')}/${prefix}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((address >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // The longest run of zeros is written as `::` (RFC 5952).
  const runs = [...groups.join(':').matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length);
  const text = groups.join(':');
  const run = runs[0];
  const short = run
    ? `${text.slice(0, run.index).replace(/:$/, '')}::${text.slice(run.index + run[0].length).replace(/^:/, '')}`
    : text;
  return `${short}/${prefix}`;
}

export class CidrSet {
  readonly #range: Cidr;
  readonly #prefix: number;
  readonly #used = new Set<number>();
  readonly #count: number;
  #next = 0;

  /** @param prefix the length of each block's prefix, for example 24 */
  constructor(range: string, prefix: number) {
    this.#range = parseCidr(range);
    this.#prefix = prefix;
    const width = prefix - this.#range.prefix;
    if (width < 0 || prefix > this.#range.bits)
      throw new Error(`the node mask size /${prefix} does not fit into the cluster CIDR ${range}`);
    // Upstream's limit too: more than 2^16 nodes' blocks are never needed.
    this.#count = 2 ** Math.min(width, 16);
  }

  get bits(): number {
    return this.#range.bits;
  }

  /** The next free block after the one last handed out, or undefined when all are taken. */
  allocate(): string | undefined {
    for (let i = 0; i < this.#count; i++) {
      const index = (this.#next + i) % this.#count;
      if (this.#used.has(index)) continue;
      this.#used.add(index);
      this.#next = (index + 1) % this.#count;
      return formatCidr({ ...this.#range, address: this.#addressOf(index), prefix: this.#prefix });
    }
    return undefined;
  }

  /** Marks all blocks that overlap `cidr` as taken. */
  occupy(cidr: string): void {
    for (const index of this.#indexesOf(cidr)) this.#used.add(index);
  }

  release(cidr: string): void {
    for (const index of this.#indexesOf(cidr)) this.#used.delete(index);
  }

  #addressOf(index: number): bigint {
    return this.#range.address + (BigInt(index) << BigInt(this.#range.bits - this.#prefix));
  }

  *#indexesOf(text: string): Generator<number> {
    const cidr = parseCidr(text);
    if (cidr.bits !== this.#range.bits) return;
    const block = BigInt(cidr.bits - this.#prefix);
    const last = cidr.address + (1n << BigInt(cidr.bits - cidr.prefix)) - 1n;
    let from = (cidr.address - this.#range.address) >> block;
    let to = (last - this.#range.address) >> block;
    if (from < 0n) from = 0n;
    if (to >= BigInt(this.#count)) to = BigInt(this.#count - 1);
    for (let index = from; index <= to; index++) yield Number(index);
  }
}
