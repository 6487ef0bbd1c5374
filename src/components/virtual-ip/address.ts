/** The virtual address in the kernel of this host: looked for, held for a while, let go, and told to the neighbours. */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { promisify } from 'node:util';
import { pause } from '../../machinery/process/pause.ts';

const run = promisify(execFile);

async function ip(...args: string[]): Promise<string> {
  return (await run('ip', args, { timeout: 5_000 })).stdout;
}

const ipJson = async <T>(...args: string[]): Promise<T[]> => JSON.parse((await ip('-4', '-j', ...args)) || '[]') as T[];

interface Link {
  ifname: string;
  addr_info: { local: string; prefixlen: number; valid_life_time?: number }[];
}

/** The interface whose network the address is of. @throws Error when there is none */
export async function interfaceFor(address: string): Promise<string> {
  const number = numberOf(address);
  const mask = (bits: number) => (bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0);
  for (const { ifname, addr_info } of await ipJson<Link>('address', 'show', 'scope', 'global')) {
    const fits = addr_info.some(
      ({ local, prefixlen }) =>
        prefixlen < 32 && (numberOf(local) & mask(prefixlen)) >>> 0 === (number & mask(prefixlen)) >>> 0,
    );
    if (fits) return ifname;
  }
  throw new Error(`no interface of this host is in the network of ${address}; name one with --interface`);
}

function numberOf(address: string): number {
  return address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);
}

/** The interfaces that have the address now. */
export async function holdersOf(address: string): Promise<string[]> {
  const links = await ipJson<Link>('address', 'show', 'to', `${address}/32`);
  return links.filter(({ addr_info }) => addr_info?.some(({ local }) => local === address)).map(({ ifname }) => ifname);
}

/** Has the address from now on for so many seconds; then the kernel takes it away, whatever has become of this process. */
export async function hold(address: string, device: string, seconds: number): Promise<void> {
  const life = ['valid_lft', String(seconds), 'preferred_lft', String(seconds)];
  await ip('address', 'replace', `${address}/32`, 'dev', device, 'noprefixroute', ...life);
}

/** @returns whether it was there */
export async function letGo(address: string): Promise<boolean> {
  const devices = await holdersOf(address);
  for (const device of devices) {
    try {
      await ip('address', 'delete', `${address}/32`, 'dev', device);
    } catch (error) {
      // Its time may have been up meanwhile.
      if ((await holdersOf(address)).includes(device)) throw error;
    }
  }
  return devices.length > 0;
}

/**
 * Makes the kernel ask for a neighbour in the name of the address. Everybody in the network hears the question, and whoever
 * knows the address learns from it where it is now (RFC 826): what a gratuitous ARP does, without a socket for raw packets.
 */
export async function announce(address: string, device: string, signal: AbortSignal): Promise<void> {
  const target = await neighbourOf(address, device);
  for (const waitMs of [0, 1_000, 2_000]) {
    await pause(waitMs, signal);
    if (signal.aborted) return;
    // Of a neighbour whose address is known nobody asks.
    await ip('neigh', 'delete', target, 'dev', device).catch(() => undefined);
    await sendFrom(address, target);
  }
}

/** The router, or the network's first address, whether anybody has it or not. */
async function neighbourOf(address: string, device: string): Promise<string> {
  const routes = await ipJson<{ gateway?: string }>('route', 'show', 'default', 'dev', device);
  const gateway = routes.find((route) => route.gateway)?.gateway;
  if (gateway) return gateway;
  const [link] = await ipJson<Link>('address', 'show', 'dev', device, 'scope', 'global');
  const own = link?.addr_info.find(({ local, prefixlen }) => local !== address && prefixlen < 31);
  if (!own) throw new Error(`${device} has no network of its own in which ${address} could be announced`);
  const size = 2 ** (32 - own.prefixlen);
  const first = Math.floor(numberOf(own.local) / size) * size + 1;
  const chosen = first === numberOf(own.local) ? first + 1 : first;
  return [24, 16, 8, 0].map((bits) => Math.floor(chosen / 2 ** bits) % 256).join('.');
}

const discardPort = 9;

function sendFrom(address: string, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const end = (error?: Error | null) => {
      socket.close();
      if (error) reject(error);
      else resolve();
    };
    socket.once('error', end);
    socket.bind({ address, port: 0 }, () => socket.send(Buffer.alloc(1), discardPort, target, end));
  });
}
