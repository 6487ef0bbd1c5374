/** The `hosts` plugin: answers from lines of the form of /etc/hosts, in a file or in the Corefile itself. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { emptyAnswer, type Handler } from '../chain.ts';
import { absolute, type Directive, seconds } from '../corefile.ts';

export async function hostsHandler(directive: Directive): Promise<Handler> {
  const property = (name: string) => directive.properties.find((p) => p.name === name);
  const lines = directive.properties.filter((p) => isIP(p.name)).map((p) => [p.name, ...p.args]);
  const file = directive.args[0]?.startsWith('/') ? directive.args[0] : undefined;
  if (file) {
    for (const line of (await readFile(file, 'utf8')).split('\n')) {
      const words = line.replace(/#.*/, '').trim().split(/\s+/);
      if (isIP(words[0] ?? '')) lines.push(words);
    }
  }
  const addresses = new Map<string, string[]>();
  for (const [ip, ...names] of lines) {
    for (const name of names) addresses.set(absolute(name), [...(addresses.get(absolute(name)) ?? []), ip as string]);
  }
  const ttl = seconds(property('ttl')?.args[0], 3600);
  return async (query, next) => {
    const found = addresses.get(query.name);
    if (!found) return property('fallthrough') ? next(query) : emptyAnswer('NXDOMAIN');
    const family = query.type === 'A' ? 4 : query.type === 'AAAA' ? 6 : 0;
    const answers = found
      .filter((ip) => isIP(ip) === family)
      .map((data) => ({ name: query.name, type: query.type, ttl, data }));
    return { ...emptyAnswer('NOERROR'), answers, authoritative: true };
  };
}
