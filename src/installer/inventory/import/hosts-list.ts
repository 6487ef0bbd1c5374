/** Plain lists: lines of /etc/hosts (`address name…`), or one `[user@]name-or-address[:port]` per line. */
import { isIP } from 'node:net';
import { parseJump } from '../ssh-target.ts';
import { type Imported, type ImportedHost, type ImportFile, unreadable } from './types.ts';

const standardNames = /^(localhost|ip6-|broadcasthost)/;

export function importHosts(files: readonly ImportFile[]): Imported {
  const hosts = files.flatMap(({ name: file, text }) =>
    text.split(/\r?\n/).flatMap((line, index): ImportedHost[] => {
      const words = line.replace(/#.*/, '').trim().split(/\s+/).filter(Boolean);
      const [first, name] = words;
      if (!first) return [];
      if (isIP(first) && name) {
        return standardNames.test(name) || /^(127\.|::1|f[ef])/.test(first)
          ? []
          : [{ name, groups: [], address: first }];
      }
      if (words.length > 1)
        throw unreadable(`${file}:${index + 1}`, `"${line.trim()}" is neither "address name" nor one host`);
      const { address, ...login } = parseJump(first);
      return [{ name: address, groups: [], ...(isIP(address) ? { address } : {}), ...login }];
    }),
  );
  if (!hosts.length) throw unreadable(files[0]?.name ?? '', 'names no host');
  return { source: 'list of hosts', hosts, notes: [] };
}
