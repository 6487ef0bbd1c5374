/** Ansible's host patterns: `web[01:10].example`, `db[a:c]`, `n[0:20:5]`, several ranges in one name, and a port behind. */

/** @throws Error for a range that ends before it begins */
export function expandRange(pattern: string): string[] {
  const [, before, from, to, step = '1', after] =
    /^([^[]*)\[([0-9]+|[A-Za-z]?):([0-9]+|[A-Za-z])(?::([0-9]+))?\](.*)$/.exec(pattern) ?? [];
  if (before === undefined || from === undefined || to === undefined || after === undefined) return [pattern];
  const numeric = /^\d+$/.test(to);
  const start = numeric ? Number(from || '0') : (from || 'a').charCodeAt(0);
  const end = numeric ? Number(to) : to.charCodeAt(0);
  const width = numeric && from.length > 1 && from.startsWith('0') ? from.length : 0;
  if (end < start || Number(step) < 1) throw new Error(`the range in ${pattern} ends before it begins`);
  if (end - start > 10_000) throw new Error(`the range in ${pattern} has more than 10000 hosts`);
  const names: string[] = [];
  for (let value = start; value <= end; value += Number(step)) {
    const text = numeric ? String(value).padStart(width, '0') : String.fromCharCode(value);
    for (const rest of expandRange(after)) names.push(`${before}${text}${rest}`);
  }
  return names;
}

/** `host:2222`; IPv6 addresses have a port only in brackets, which no range looks like. */
export function splitPort(name: string): { name: string; port?: number } {
  const [, host, port] = /^\[([0-9A-Fa-f:.]+)\]:(\d+)$/.exec(name) ?? /^([^:]+):(\d+)$/.exec(name) ?? [];
  return host && port ? { name: host, port: Number(port) } : { name };
}
