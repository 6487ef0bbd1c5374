/** Protobuf messages → JSON objects; zero values that Go would leave out of JSON are dropped later, by normalisation. */
import type { FieldSchema, TypeSchema } from '../../../../machinery/api/schema/types.ts';
import { formatDuration } from '../../../../machinery/api/time.ts';
import { type Message, messageOf } from './messages.ts';
import { Reader, wireType } from './wire.ts';

type Json = Record<string, unknown>;

/** The JSON object of a message. Throws when the bytes are no such message. */
export function decodeMessage(schema: TypeSchema, bytes: Uint8Array): Json {
  const object: Json = {};
  readFields(new Reader(bytes), messageOf(schema), schema, object);
  return object;
}

function readFields(reader: Reader, message: Message, owner: TypeSchema, object: Json): void {
  while (!reader.done) {
    const { field: number, type } = reader.tag();
    const entry = message.byNumber.get(number);
    if (!entry) {
      reader.skip(type);
      continue;
    }
    const { name, field, embedded, wrapped } = entry;
    if (embedded) readFields(reader.message(), embedded, owner, object);
    else if (wrapped) readWrapped(reader.message(), field, owner, object, name);
    else readField(reader, type, field, owner, object, name);
  }
}

function readField(
  reader: Reader,
  type: number,
  field: FieldSchema,
  owner: TypeSchema,
  object: Json,
  name: string,
): void {
  if (field.type === 'array') {
    object[name] ??= [];
    readItem(reader, type, field.items!, owner, object[name] as unknown[]);
  } else if (field.type === 'map') {
    object[name] ??= {};
    readEntry(reader.message(), field.items!, owner, object[name] as Json);
  } else {
    const value = readValue(reader, type, field, owner);
    if (value !== undefined) object[name] = value;
  }
}

function readItem(reader: Reader, type: number, items: FieldSchema, owner: TypeSchema, list: unknown[]): void {
  const packed = type === wireType.bytes && (items.type === 'integer' || items.type === 'boolean');
  if (!packed) {
    list.push(readValue(reader, type, items, owner) ?? null);
    return;
  }
  const inner = reader.message();
  while (!inner.done) list.push(readValue(inner, wireType.varint, items, owner));
}

/** A list that has a message around it. */
function readWrapped(reader: Reader, field: FieldSchema, owner: TypeSchema, object: Json, name: string): void {
  object[name] ??= [];
  while (!reader.done) {
    const { field: number, type } = reader.tag();
    if (number === 1) readField(reader, type, field, owner, object, name);
    else reader.skip(type);
  }
}

function readEntry(reader: Reader, items: FieldSchema, owner: TypeSchema, map: Json): void {
  let key = '';
  const holder: Json = {};
  while (!reader.done) {
    const { field: number, type } = reader.tag();
    if (number === 1) key = reader.text();
    else if (number !== 2) reader.skip(type);
    else if (items.type === 'array') readWrapped(reader.message(), items, owner, holder, 'value');
    else holder['value'] = readValue(reader, type, items, owner);
  }
  map[key] = holder['value'] ?? (items.type === 'bytes' || items.type === 'string' ? '' : null);
}

/** undefined: an unset time or raw value. */
function readValue(reader: Reader, type: number, field: FieldSchema, owner: TypeSchema): unknown {
  switch (field.type) {
    case 'string':
      return reader.text();
    case 'integer':
      return reader.varint();
    case 'boolean':
      return reader.varint() !== 0;
    case 'number':
      return type === wireType.fixed64 ? reader.double() : reader.varint();
    case 'object': {
      const object: Json = {};
      readFields(reader.message(), messageOf(field.schema!), field.schema!, object);
      return object;
    }
    case 'bytes':
      return reader.bytes().toString('base64');
    case 'quantity': {
      const { texts } = readScalars(reader.message());
      return texts[1] || '0';
    }
    case 'intOrString': {
      const { numbers, texts } = readScalars(reader.message());
      return numbers[1] === 1 ? (texts[3] ?? '') : (numbers[2] ?? 0);
    }
    case 'time':
      return readTime(reader.message(), 0);
    case 'microTime':
      return readTime(reader.message(), 6);
    case 'duration':
      return formatDuration((readScalars(reader.message()).numbers[1] ?? 0) / 1e6);
    default:
      return readUntyped(reader.message(), field, owner);
  }
}

/** The fields of a small message by number. */
function readScalars(reader: Reader): { numbers: Record<number, number>; texts: Record<number, string> } {
  const numbers: Record<number, number> = {};
  const texts: Record<number, string> = {};
  while (!reader.done) {
    const { field, type } = reader.tag();
    if (type === wireType.varint) numbers[field] = reader.varint();
    else if (type === wireType.bytes) texts[field] = reader.text();
    else reader.skip(type);
  }
  return { numbers, texts };
}

function readTime(reader: Reader, digits: number): string | undefined {
  if (reader.done) return undefined;
  const { numbers } = readScalars(reader);
  const seconds = new Date((numbers[1] ?? 0) * 1000).toISOString().slice(0, 19);
  return digits === 0
    ? `${seconds}Z`
    : `${seconds}.${String(numbers[2] ?? 0)
        .padStart(9, '0')
        .slice(0, digits)}Z`;
}

function readUntyped(reader: Reader, field: FieldSchema, owner: TypeSchema): unknown {
  const format = field.format ?? '';
  if (!format.startsWith('schemaOr')) return readRaw(reader);
  const asSchema: FieldSchema = { type: 'object', schema: owner };
  let value: unknown = format === 'schemaOrBool' ? false : undefined;
  let list: unknown[] | undefined;
  let schema: unknown;
  while (!reader.done) {
    const { field: number, type } = reader.tag();
    if (format === 'schemaOrBool') {
      if (number === 1) value = reader.varint() !== 0;
      else if (number === 2) schema = readValue(reader, type, asSchema, owner);
      else reader.skip(type);
    } else if (number === 1) schema = readValue(reader, type, asSchema, owner);
    else if (number === 2) {
      list ??= [];
      list.push(format === 'schemaOrArray' ? readValue(reader, type, asSchema, owner) : reader.text());
    } else reader.skip(type);
  }
  return schema ?? list ?? value;
}

function readRaw(reader: Reader): unknown {
  let value: unknown;
  while (!reader.done) {
    const { field, type } = reader.tag();
    if (field !== 1) reader.skip(type);
    else {
      const text = reader.text();
      value = text === '' ? undefined : JSON.parse(text);
    }
  }
  return value;
}
