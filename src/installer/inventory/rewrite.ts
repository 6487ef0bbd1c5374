/** Changes one host in the file of an inventory; comments, order and everything else stay as they are. */
import { readFile, stat } from 'node:fs/promises';
import { EVENT_ID, parseEvents } from 'js-yaml';
import { writeFileAtomic } from '../../machinery/atomic-file.ts';
import { KinitError } from '../errors.ts';

export interface HostEdit {
  /** Its name in the file. */
  name: string;
  /** Absent: the host is taken out. */
  fields?: Readonly<Record<string, string | number>>;
  /** Fields that go. */
  drop?: readonly string[];
}

/** Where a value stands: quotes are part of it. */
interface Placed {
  start: number;
  /** Of a scalar. */
  end: number;
  text: string;
  flow: boolean;
  entries: { key: Placed; value: Placed }[];
  items: Placed[];
}

const flowStyle = 2;

function place(text: string): Placed {
  const make = (start: number, flow = false): Placed => ({ start, end: start, text: '', flow, entries: [], items: [] });
  const root = make(0);
  const open: { value: Placed; mapping: boolean; key?: Placed }[] = [{ value: root, mapping: false }];
  const add = (placed: Placed) => {
    const level = open.at(-1)!;
    if (!level.mapping) level.value.items.push(placed);
    else if (!level.key) level.key = placed;
    else {
      level.value.entries.push({ key: level.key, value: placed });
      delete level.key;
    }
  };
  for (const event of parseEvents(text, {})) {
    if (event.type === EVENT_ID.SCALAR) {
      const quoted =
        /["']/.test(text[event.valueStart - 1] ?? '') && text[event.valueStart - 1] === text[event.valueEnd];
      const [start, end] = quoted ? [event.valueStart - 1, event.valueEnd + 1] : [event.valueStart, event.valueEnd];
      add({ ...make(start), end, text: text.slice(event.valueStart, event.valueEnd) });
    } else if (event.type === EVENT_ID.ALIAS) add(make(event.anchorStart));
    else if (event.type === EVENT_ID.DOCUMENT) open.push({ value: root, mapping: false });
    else if (event.type === EVENT_ID.POP) open.pop();
    else {
      const value = make(event.start, event.style === flowStyle);
      add(value);
      open.push({ value, mapping: event.type === EVENT_ID.MAPPING });
    }
  }
  return root;
}

const fieldOf = ({ entries }: Placed, name: string) => entries.find(({ key }) => key.text === name);

/** All lists in which a host can stand. */
function hostLists(document: Placed): Placed[] {
  const groups = fieldOf(document, 'groups')?.value.entries ?? [];
  return [document, ...groups.map(({ value }) => value)]
    .map((holder) => fieldOf(holder, 'hosts')?.value)
    .filter((list) => list !== undefined);
}

interface Splice {
  start: number;
  end: number;
  text: string;
}

/** @throws KinitError when the file has no such host, or is written in a way that only its owner should change */
export function editHost(text: string, path: string, { name, fields, drop = [] }: HostEdit): string {
  const byHand = (why: string) =>
    new KinitError('Usage', `${path}: ${why}`, { advice: 'leave --write-inventory away and edit the file' });
  const splices: Splice[] = [];
  let found = false;
  for (const list of hostLists(place(text).items[0] ?? place(''))) {
    for (const item of list.items) {
      const isHost = fieldOf(item, 'name')?.value.text === name;
      if (!isHost && !(item.text === name && !item.entries.length)) continue;
      found ||= isHost;
      if (!fields) splices.push(removal(text, list, item, byHand));
      else if (isHost) splices.push(...changes(text, item, fields, drop, byHand));
      else splices.push({ start: item.start, end: item.end, text: String(fields['name'] ?? name) });
    }
  }
  if (!found) throw byHand(`there is no host "${name}" in the file`);
  let edited = text;
  for (const { start, end, text: words } of splices.sort((a, b) => b.start - a.start)) {
    edited = edited.slice(0, start) + words + edited.slice(end);
  }
  return edited;
}

const lineStart = (text: string, at: number) => text.lastIndexOf('\n', at - 1) + 1;
const lineEnd = (text: string, at: number) => (text.indexOf('\n', at) + 1 || text.length + 1) - 1;

/** The end of what stands at this place and deeper: the next line that is not indented further. */
function blockEnd(text: string, at: number, indent: number): number {
  let end = Math.min(lineEnd(text, at) + 1, text.length);
  let kept = end;
  while (end < text.length) {
    const line = text.slice(end, lineEnd(text, end));
    const next = Math.min(lineEnd(text, end) + 1, text.length);
    if (line.trim() !== '' && line.search(/\S/) <= indent) break;
    if (line.trim() !== '') kept = next;
    end = next;
  }
  return kept;
}

function removal(text: string, list: Placed, item: Placed, byHand: (why: string) => KinitError): Splice {
  if (list.flow) {
    if (item.entries.length) throw byHand('its hosts stand in one list of brackets');
    const before = /,\s*$/.exec(text.slice(0, item.start));
    const after = /^\s*,\s*/.exec(text.slice(item.end));
    if (before) return { start: item.start - before[0].length, end: item.end, text: '' };
    return { start: item.start, end: item.end + (after?.[0].length ?? 0), text: '' };
  }
  if (list.items.length === 1) throw byHand('its list of hosts would be empty');
  const start = lineStart(text, item.start);
  return { start, end: blockEnd(text, item.start, text.slice(start).search(/\S/)), text: '' };
}

function changes(
  text: string,
  host: Placed,
  fields: Readonly<Record<string, string | number>>,
  drop: readonly string[],
  byHand: (why: string) => KinitError,
): Splice[] {
  const added: string[] = [];
  const splices: Splice[] = [];
  for (const [field, value] of Object.entries(fields)) {
    const words = /^[\w.@-]+$/.test(String(value)) ? String(value) : JSON.stringify(value);
    const there = fieldOf(host, field)?.value;
    if (there) splices.push({ start: there.start, end: there.end, text: words });
    else added.push(`${field}: ${words}`);
  }
  for (const field of drop) {
    const key = fieldOf(host, field)?.key;
    if (!key) continue;
    const start = lineStart(text, key.start);
    const indent = key.start - start;
    if (host.flow || text.slice(start, key.start).includes('-')) throw byHand(`take ${field} out of the host yourself`);
    splices.push({ start, end: blockEnd(text, key.start, indent), text: '' });
  }
  if (added.length) {
    const { key, value } = fieldOf(host, 'name')!;
    const indent = ' '.repeat(key.start - lineStart(text, key.start));
    const at = host.flow ? value.end : lineEnd(text, value.end);
    splices.push({
      start: at,
      end: at,
      text: added.map((words) => (host.flow ? `, ${words}` : `\n${indent}${words}`)).join(''),
    });
  }
  return splices;
}

/** @returns what writes the change; it is known before that it can be made */
export async function inventoryRewrite(path: string, edit: HostEdit): Promise<() => Promise<void>> {
  const edited = async () => editHost(await readFile(path, 'utf8'), path, edit);
  await edited();
  return async () => {
    const { mode } = await stat(path);
    await writeFileAtomic(path, await edited(), mode & 0o777);
  };
}
