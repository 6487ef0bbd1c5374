/**
 * What the tools of accounts (shadow-utils) leave when they are killed: drafts and locks in /etc, and an account that is in one of
 * the files only. Nobody else tidies that up.
 */
import { exists, type Host, readText } from './host.ts';
import type { Journal, JournalEntry } from './journal.ts';

const files = 'passwd|group|shadow|gshadow|subuid|subgid';
/** `passwd.123` of process 123, which becomes `passwd.lock`; `passwd+`, which becomes `passwd`. */
const leftover = new RegExp(`^(${files})(?:[.](\\d+|lock)|[+])$`);
const keep = (name: string) => `keep /etc/${name}`;
const isAccount = ({ kind }: JournalEntry) => kind === 'user' || kind === 'group';

/** Records what was there before kinit runs any of the tools. */
export async function noteLeftovers(host: Host, journal: Journal): Promise<void> {
  if (journal.entries.some(isAccount)) return;
  for (const name of await host.list('/etc'))
    if (leftover.test(name)) await journal.record({ kind: 'note', what: keep(name) });
}

async function isHeld(host: Host, file: string): Promise<boolean> {
  const pid = (await readText(host, `/etc/${file}.lock`))?.replace('\0', '').trim();
  return pid !== undefined && pid !== '' && (await exists(host, `/proc/${pid}`));
}

/** @param entries of the journal: nothing is removed on a host where kinit has not made accounts */
export async function removeLeftovers(host: Host, entries: readonly JournalEntry[]): Promise<void> {
  if (!entries.some(isAccount)) return;
  const kept = new Set(entries.flatMap((entry) => (entry.kind === 'note' ? [entry.what] : [])));
  for (const name of await host.list('/etc')) {
    const [, file = '', writer] = leftover.exec(name) ?? [];
    if (!file || kept.has(keep(name))) continue;
    const lives = writer && writer !== 'lock' ? exists(host, `/proc/${writer}`) : isHeld(host, file);
    if (!(await lives)) await host.remove(`/etc/${name}`);
  }
}

/** The line that a killed tool has left of an account in the file of its password. */
export async function removeShadow(host: Host, kind: 'user' | 'group', name: string): Promise<void> {
  const path = kind === 'user' ? '/etc/shadow' : '/etc/gshadow';
  const lines = (await readText(host, path))?.split('\n') ?? [];
  const others = lines.filter((line) => !line.startsWith(`${name}:`));
  const { mode = 0o600 } = (await host.stat(path)) ?? {};
  if (others.length < lines.length) await host.writeFile(path, others.join('\n'), { mode });
}
