/** Reads and changes links, routes, neighbours and iptables rules by the real tools (iproute2, iptables). */
import { must } from '../../machinery/process/run.ts';

async function ipJson<T>(args: string[]): Promise<T[]> {
  const text = (await must('ip', ['-j', ...args])).trim();
  return text ? (JSON.parse(text) as T[]) : [];
}

export interface LinkInfo {
  ifname: string;
  mtu: number;
  address?: string;
  operstate?: string;
  flags?: string[];
  linkinfo?: {
    info_kind?: string;
    info_data?: { id?: number; port?: number; local?: string; link?: string; learning?: boolean };
  };
  addr_info?: { family: string; local: string; prefixlen: number }[];
}

export interface RouteInfo {
  dst: string;
  gateway?: string;
  dev: string;
  flags?: string[];
  protocol?: string;
}

export interface NeighbourInfo {
  dst: string;
  lladdr?: string;
  state?: string[];
}

export interface ForwardingEntry {
  mac: string;
  dst?: string;
}

export const links = () => ipJson<LinkInfo>(['-d', 'address', 'show']);
export const routes = () => ipJson<RouteInfo>(['-4', 'route', 'show']);
export const neighbours = (device: string) => ipJson<NeighbourInfo>(['-4', 'neigh', 'show', 'dev', device]);

/** Static forwarding entries of a VXLAN device. */
export async function forwarding(device: string): Promise<ForwardingEntry[]> {
  const text = await must('bridge', ['-j', 'fdb', 'show', 'dev', device]);
  return text.trim() ? (JSON.parse(text) as ForwardingEntry[]) : [];
}

/** Runs many `ip` commands at once; stops at the first that fails. */
export async function ipBatch(commands: string[]): Promise<void> {
  if (commands.length) await must('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}

export async function bridgeBatch(commands: string[]): Promise<void> {
  if (commands.length) await must('bridge', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
}
