/** The node's name resolves on the node itself: an entry in /etc/hosts when nothing else answers. */
import type { Changes } from './changes.ts';
import { type Host, readText } from './host.ts';

const hostsPath = '/etc/hosts';

export function hasEntry(hosts: string, name: string): boolean {
  return hosts
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
    .some(([address, ...names]) => address !== undefined && names.includes(name));
}

async function resolves(host: Host, name: string): Promise<boolean> {
  return (await host.run('getent', ['ahosts', name], { observe: true, timeoutMs: 5000 })).exitCode === 0;
}

export async function ensureNameResolves(changes: Changes, name: string, address: string): Promise<boolean> {
  const hosts = (await readText(changes.host, hostsPath)) ?? '';
  if (hasEntry(hosts, name) || (await resolves(changes.host, name))) return false;
  const facts = await changes.host.stat(hostsPath);
  const { mode = 0o644, uid, gid } = facts ?? {};
  const separator = hosts === '' || hosts.endsWith('\n') ? '' : '\n';
  return changes.file(hostsPath, `${hosts}${separator}${address} ${name}\n`, { mode, uid, gid });
}
