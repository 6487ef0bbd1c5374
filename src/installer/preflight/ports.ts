/** Ports that the components will listen on. */
import { type Host, readText } from '../host/host.ts';
import { type Check, error, type Finding, isControlPlane, isOwnNode } from './check.ts';

/** Inodes of sockets that listen on a port, from /proc/net/tcp and tcp6. */
export function listeners(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === '0A')
    .map((fields) => fields[9] ?? '');
}

/** `nginx (pid 4711)`, when the process can be found. */
async function ownerOf(host: Host, inodes: string[]): Promise<string | undefined> {
  const wanted = new Set(inodes.map((inode) => `socket:[${inode}]`));
  for (const pid of await host.list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await host.list(`/proc/${pid}/fd`).catch(() => [])) {
      const target = (await host.stat(`/proc/${pid}/fd/${fd}`).catch(() => undefined))?.target;
      if (target && wanted.has(target)) return `${(await readText(host, `/proc/${pid}/comm`))?.trim()} (pid ${pid})`;
    }
  }
  return undefined;
}

async function inUse(host: Host, wanted: readonly number[]): Promise<Finding[]> {
  const tables = [(await readText(host, '/proc/net/tcp')) ?? '', (await readText(host, '/proc/net/tcp6')) ?? ''];
  const findings: Finding[] = [];
  for (const port of wanted) {
    const inodes = tables.flatMap((table) => listeners(table, port));
    if (!inodes.length) continue;
    const owner = await ownerOf(host, inodes);
    findings.push(
      error(
        `Port-${port}`,
        `port ${port} is in use${owner ? ` by ${owner}` : ''}`,
        'stop that process, or run kinit reset after an earlier cluster',
      ),
    );
  }
  return findings;
}

export const ports: Check = async (context) => {
  const { host, bindPort } = context;
  if (isOwnNode(context)) return [];
  return inUse(host, isControlPlane(context) ? [bindPort, 10259, 10257, 10250] : [10250]);
};

export const balancerPort: Check = async (context) =>
  context.balancerPort && !isOwnNode(context) ? inUse(context.host, [context.balancerPort]) : [];

export const etcdPorts: Check = async (context) =>
  context.etcdDataDir && !isOwnNode(context) ? inUse(context.host, [2379, 2380]) : [];
