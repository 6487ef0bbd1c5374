/** JSON objects → protobuf messages, byte for byte as upstream's generated marshallers write them. */
import type { FieldSchema, TypeSchema } from '../../../../machinery/api/schema/types.ts';
import { parseDuration } from '../../../../machinery/api/time.ts';
import { type Message, messageOf } from './messages.ts';
import { ReverseWriter, wireType } from './wire.ts';

type Json = Record<string, unknown>;

/** The message of an object of a type, without an envelope. */
export function encodeMessage(schema: TypeSchema, object: object): Buffer {
  const writer = new ReverseWriter();
  writeMessage(writer, schema, object as Json);
  return writer.finish();
}

/** For envelopes: writes the message in front of what the writer holds. */
export function writeMessage(writer: ReverseWriter, schema: TypeSchema, object: Json): void {
  writeFields(writer, messageOf(schema), schema, object);
}

function writeFields(writer: ReverseWriter, message: Message, owner: TypeSchema, object: Json): void {
  const { fields } = message;
  for (let index = fields.length - 1; index >= 0; index--) {
    const { number, name, field, embedded, wrapped } = fields[index]!;
    if (embedded || wrapped) {
      const before = writer.length;
      if (embedded) writeFields(writer, embedded, owner, object);
      else writeField(writer, 1, field, owner, object[name]);
      writer.delimited(number, before);
    } else {
      writeField(writer, number, field, owner, object[name]);
    }
  }
}

/** Values that are not pointers are always written, also when they are zero. */
function writeField(
  writer: ReverseWriter,
  number: number,
  field: FieldSchema,
  owner: TypeSchema,
  value: unknown,
): void {
  if (value === undefined || value === null) {
    if (field.pointer || field.type === 'array' || field.type === 'map' || field.type === 'bytes') return;
    writeZero(writer, number, field, owner);
    return;
  }
  switch (field.type) {
    case 'array': {
      const items = value as unknown[];
      for (let index = items.length - 1; index >= 0; index--) {
        const item = items[index];
        if (item === null || item === undefined) writeZero(writer, number, field.items!, owner);
        else writeValue(writer, number, field.items!, owner, item);
      }
      return;
    }
    case 'map': {
      const keys = Object.keys(value).sort();
      for (let index = keys.length - 1; index >= 0; index--) {
        const before = writer.length;
        writeMapValue(writer, field.items!, owner, (value as Json)[keys[index]!]);
        writeText(writer, 1, keys[index]!);
        writer.delimited(number, before);
      }
      return;
    }
    default:
      writeValue(writer, number, field, owner, value);
  }
}

function writeMapValue(writer: ReverseWriter, items: FieldSchema, owner: TypeSchema, value: unknown): void {
  if (items.type === 'array') {
    // A list in a map travels inside a message (`ExtraValue`).
    const before = writer.length;
    writeField(writer, 1, items, owner, value);
    writer.delimited(2, before);
  } else if (items.type === 'bytes') {
    if (typeof value === 'string' && value !== '') writeValue(writer, 2, items, owner, value);
  } else {
    writeField(writer, 2, items.pointer ? { ...items, pointer: false } : items, owner, value);
  }
}

function writeText(writer: ReverseWriter, number: number, text: string): void {
  const before = writer.length;
  writer.text(text);
  writer.delimited(number, before);
}

function writeInteger(writer: ReverseWriter, number: number, value: number | bigint): void {
  writer.varint(value);
  writer.tag(number, wireType.varint);
}

const zeros: Partial<Record<FieldSchema['type'], unknown>> = {
  string: '',
  integer: 0,
  number: 0,
  boolean: false,
  intOrString: 0,
  quantity: '0',
  duration: '0s',
  object: {},
};

/** Unset times and raw values are empty messages. */
function writeZero(writer: ReverseWriter, number: number, field: FieldSchema, owner: TypeSchema): void {
  const zero = zeros[field.type];
  if (zero === undefined) writeText(writer, number, '');
  else writeValue(writer, number, field, owner, zero);
}

function writeValue(
  writer: ReverseWriter,
  number: number,
  field: FieldSchema,
  owner: TypeSchema,
  value: unknown,
): void {
  const before = writer.length;
  switch (field.type) {
    case 'string':
      writer.text(value as string);
      break;
    case 'integer':
      writeInteger(writer, number, value as number);
      return;
    case 'boolean':
      writeInteger(writer, number, value ? 1 : 0);
      return;
    case 'number':
      writer.double(value as number);
      writer.tag(number, wireType.fixed64);
      return;
    case 'object':
      writeFields(writer, messageOf(field.schema!), field.schema!, value as Json);
      break;
    case 'quantity':
      writeText(writer, 1, String(value));
      break;
    case 'intOrString':
      writeText(writer, 3, typeof value === 'string' ? value : '');
      writeInteger(writer, 2, typeof value === 'number' ? value : 0);
      writeInteger(writer, 1, typeof value === 'string' ? 1 : 0);
      break;
    case 'time':
    case 'microTime':
      writeTime(writer, value as string);
      break;
    case 'duration':
      writeInteger(writer, 1, BigInt(Math.round(parseDuration(value as string) * 1e6)));
      break;
    case 'bytes':
      writer.raw(Buffer.from(value as string, 'base64'));
      break;
    default:
      writeUntyped(writer, field, owner, value);
  }
  writer.delimited(number, before);
}

function writeTime(writer: ReverseWriter, text: string): void {
  const fraction = /\.(\d+)/.exec(text)?.[1];
  writeInteger(writer, 2, fraction === undefined ? 0 : Number(fraction.slice(0, 9).padEnd(9, '0')));
  writeInteger(writer, 1, Math.floor(Date.parse(text) / 1000));
}

function writeUntyped(writer: ReverseWriter, field: FieldSchema, owner: TypeSchema, value: unknown): void {
  const asSchema: FieldSchema = { type: 'object', schema: owner };
  switch (field.format) {
    case 'schemaOrBool':
      if (typeof value !== 'boolean') writeValue(writer, 2, asSchema, owner, value);
      writeInteger(writer, 1, value === false ? 0 : 1);
      return;
    case 'schemaOrArray':
      if (Array.isArray(value)) writeField(writer, 2, { type: 'array', items: asSchema }, owner, value);
      else writeValue(writer, 1, asSchema, owner, value);
      return;
    case 'schemaOrStringArray':
      if (Array.isArray(value)) writeField(writer, 2, { type: 'array', items: { type: 'string' } }, owner, value);
      else writeValue(writer, 1, asSchema, owner, value);
      return;
    default:
      writeText(writer, 1, JSON.stringify(value));
  }
}
