/** Reads YAML documents and remembers where each field stands, so that errors can name file, line and column. */
import { constructFromEvents, EVENT_ID, type Event, parseEvents, YAMLException } from 'js-yaml';
import { KinitError } from '../errors.ts';

export type FieldPath = readonly (string | number)[];

export interface Position {
  /** Both from 1. */
  line: number;
  column: number;
}

export interface YamlDocument {
  value: unknown;
  /** Where a field's key stands (an array item's value); falls back to the nearest enclosing field. */
  position(path: FieldPath): Position;
}

/**
 * Parses a stream of documents; empty ones are left out.
 * @throws KinitError Validation, with `file:line:column`, when the text is not YAML or repeats a key
 */
export function parseYaml(text: string, filename: string): YamlDocument[] {
  try {
    const events = parseEvents(text, { filename });
    const values = constructFromEvents(events, { source: text, filename });
    const positions = locate(events, text);
    if (events.some(({ type }) => type === EVENT_ID.ALIAS)) for (const value of values) assertTree(value, filename);
    return values
      .map((value, index) => ({ value, position: lookup(positions[index] ?? new Map(), text) }))
      .filter(({ value }) => value !== null && value !== undefined);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const at = error.mark ? `${filename}:${error.mark.line + 1}:${error.mark.column + 1}` : filename;
    throw new KinitError('Validation', `${at}: ${error.reason}`, {
      seen: error.mark?.snippet ?? undefined,
      advice: 'correct the YAML at this place; nothing was changed',
    });
  }
}

const mostNodes = 100_000;

/** Aliases can make a value that contains itself, or one that is endless for whoever walks over it. */
function assertTree(value: unknown, filename: string): void {
  let nodes = 0;
  const above = new Set<object>();
  const refuse = (what: string) => {
    throw new KinitError('Validation', `${filename}: ${what}`, { advice: 'write the values out instead of aliases' });
  };
  const walk = (item: unknown): void => {
    if (++nodes > mostNodes) refuse('the aliases stand for too many values');
    if (typeof item !== 'object' || item === null) return;
    if (above.has(item)) refuse('an alias stands inside of what it stands for');
    above.add(item);
    for (const inner of Object.values(item)) walk(inner);
    above.delete(item);
  };
  walk(value);
}

const keyOf = (path: FieldPath) => JSON.stringify(path);

function lookup(offsets: Map<string, number>, text: string): (path: FieldPath) => Position {
  return (path) => {
    for (let length = path.length; length >= 0; length--) {
      const offset = offsets.get(keyOf(path.slice(0, length)));
      if (offset !== undefined) return positionAt(text, offset);
    }
    return { line: 1, column: 1 };
  };
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - lineStart + 1 };
}

interface Level {
  path: FieldPath;
  kind: 'mapping' | 'sequence' | 'document';
  /** The key that waits for its value. */
  key?: string;
  index: number;
}

/** Offsets of every field, one map per document. */
function locate(events: Event[], text: string): Map<string, number>[] {
  const documents: Map<string, number>[] = [];
  const levels: Level[] = [];
  const place = (offset: number): FieldPath => {
    const level = levels.at(-1)!;
    const map = documents.at(-1)!;
    if (level.kind === 'document') {
      map.set(keyOf([]), offset);
      return [];
    }
    if (level.kind === 'sequence') {
      const path = [...level.path, level.index++];
      map.set(keyOf(path), offset);
      return path;
    }
    const path = [...level.path, level.key ?? ''];
    level.key = undefined;
    return path;
  };
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) {
      documents.push(new Map());
      levels.push({ path: [], kind: 'document', index: 0 });
    } else if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) {
      const path = place(event.start);
      levels.push({ path, kind: event.type === EVENT_ID.MAPPING ? 'mapping' : 'sequence', index: 0 });
    } else if (event.type === EVENT_ID.SCALAR) {
      const level = levels.at(-1)!;
      if (level.kind === 'mapping' && level.key === undefined) {
        level.key = text.slice(event.valueStart, event.valueEnd);
        documents.at(-1)!.set(keyOf([...level.path, level.key]), event.valueStart);
      } else place(event.valueStart);
    } else if (event.type === EVENT_ID.ALIAS) {
      const level = levels.at(-1)!;
      if (level.kind === 'mapping' && level.key === undefined) level.key = '';
      else place(event.anchorStart);
    } else levels.pop();
  }
  return documents;
}
