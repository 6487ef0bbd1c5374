/**
 * The journal of what kinit changed on a host: each entry is written to disk before the change is made and holds what
 * was there before. `kinit reset` plays it back, newest first. Entries say absolute states, so that playing them twice does no harm.
 *
 * One JSON object per line; a torn last line belongs to a change that was never begun.
 */
import { dirname } from 'node:path';
import type { RuntimeChoice } from '../config/types.ts';
import type { RuntimeProgram } from '../runtime/existing.ts';
import { type Host, readText } from './host.ts';
import type { PackageManager } from './packages.ts';

export const stateFolder = '/var/lib/kinit';
export const journalPath = `${stateFolder}/journal.jsonl`;

/** What was at a path before. */
export type PreviousPath =
  | { type: 'missing' }
  | { type: 'file'; content: string; mode: number; uid: number; gid: number }
  | { type: 'symlink'; target: string };

export type JournalEntry =
  | { kind: 'path'; path: string; previous: PreviousPath }
  /** A folder that kinit fills: all goes away again but the names that were there; the folder too when kinit made it. */
  | { kind: 'folder'; path: string; existed: boolean; kept: string[]; mode?: number }
  /** A folder made only so that something could lie in it: removed when empty. */
  | { kind: 'parent'; path: string }
  | { kind: 'sysctl'; key: string; previous: string }
  | { kind: 'module'; name: string }
  | { kind: 'swap'; device: string; priority: number }
  | { kind: 'selinux'; previous: 'Enforcing' | 'Permissive' }
  | { kind: 'unit'; unit: string; enablement: string; active: boolean }
  | { kind: 'firewalld'; zone: string; rule: string; permanent: boolean }
  | { kind: 'ufw'; rule: string[] }
  /** Accounts that were made. */
  | { kind: 'user' | 'group'; name: string }
  /** What was there before, and has got another owner. */
  | { kind: 'owner'; path: string; uid: number; gid: number; mode: number }
  /** Packages that were installed. */
  | { kind: 'packages'; manager: PackageManager; names: string[] }
  /** The container runtime, as the run began. */
  | { kind: 'runtime'; runtime: RuntimeChoice; socket: string; program: RuntimeProgram; kept: boolean }
  /** An image in a runtime that stays. */
  | { kind: 'image'; reference: string }
  /** What a later run has to know: that something was begun which reset ends by its own means. `what` is for the reader. */
  | { kind: 'note'; what: string };

/** Two entries of the same key describe the same thing; the older one holds the original state. */
export function entryKey(entry: JournalEntry): string {
  switch (entry.kind) {
    case 'path':
    case 'folder':
    case 'parent':
    case 'owner':
      return `${entry.kind}:${entry.path}`;
    case 'user':
    case 'group':
      return `${entry.kind}:${entry.name}`;
    case 'sysctl':
      return `sysctl:${entry.key}`;
    case 'module':
      return `module:${entry.name}`;
    case 'swap':
      return `swap:${entry.device}`;
    case 'selinux':
      return 'selinux';
    case 'unit':
      return `unit:${entry.unit}`;
    case 'firewalld':
      return `firewalld:${entry.zone}:${entry.rule}:${entry.permanent}`;
    case 'ufw':
      return `ufw:${entry.rule.join(' ')}`;
    case 'packages':
    case 'runtime':
      return entry.kind;
    case 'image':
      return `image:${entry.reference}`;
    case 'note':
      return `note:${entry.what}`;
  }
}

export interface Journal {
  /** Oldest first. */
  readonly entries: readonly JournalEntry[];
  has(key: string): boolean;
  /** Puts the entry on disk, unless one of its key is there; resolves when it is safe to act. */
  record(entry: JournalEntry): Promise<void>;
}

/** Complete lines of a journal; a torn last line is left out. */
export function parseJournal(text: string): JournalEntry[] {
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  return complete
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalEntry);
}

/** Opens the host's journal; the file is made by the first record. */
export async function openJournal(host: Host): Promise<Journal> {
  const text = (await readText(host, journalPath)) ?? '';
  const entries = parseJournal(text);
  const keys = new Set(entries.map(entryKey));
  let torn = text !== '' && !text.endsWith('\n');
  let last: Promise<void> = Promise.resolve();
  const append = async (entry: JournalEntry) => {
    await host.makeDirectory(dirname(journalPath), 0o700);
    if (torn) {
      await host.writeFile(journalPath, entries.map((e) => `${JSON.stringify(e)}\n`).join(''), { mode: 0o600 });
      torn = false;
    }
    await host.appendFile(journalPath, `${JSON.stringify(entry)}\n`, 0o600);
    entries.push(entry);
  };
  return {
    entries,
    has: (key) => keys.has(key),
    record(entry) {
      const key = entryKey(entry);
      if (keys.has(key)) return last;
      keys.add(key);
      last = last.then(() => append(entry));
      return last;
    },
  };
}
