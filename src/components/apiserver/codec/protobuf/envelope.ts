/** The `k8s\0` envelope around protobuf objects (runtime.Unknown), and the frames of protobuf watches. */
import type { TypeSchema } from '../../../../machinery/api/schema/types.ts';
import { decodeMessage } from './decode.ts';
import { writeMessage } from './encode.ts';
import { Reader, ReverseWriter } from './wire.ts';

const magic = Buffer.from('k8s\0');

export interface Envelope {
  apiVersion: string;
  kind: string;
  decode(schema: TypeSchema): Record<string, unknown>;
}

/** Opens an envelope. Throws with upstream's words when it is none. */
export function decodeProtobuf(bytes: Uint8Array): Envelope {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, magic.length).equals(magic)) {
    throw new Error(
      `provided data does not appear to be a protobuf message, expected prefix [${[...magic].join(' ')}]`,
    );
  }
  const envelope: { apiVersion: string; kind: string; raw: Uint8Array } = {
    apiVersion: '',
    kind: '',
    raw: magic.subarray(4),
  };
  const reader = new Reader(buffer, magic.length);
  while (!reader.done) {
    const { field, type } = reader.tag();
    if (field === 1) readTypeMeta(reader.message(), envelope);
    else if (field === 2) envelope.raw = reader.bytes();
    else reader.skip(type);
  }
  const { apiVersion, kind, raw } = envelope;
  return { apiVersion, kind, decode: (schema) => decodeMessage(schema, raw) };
}

function readTypeMeta(reader: Reader, into: { apiVersion: string; kind: string }): void {
  while (!reader.done) {
    const { field, type } = reader.tag();
    if (field === 1) into.apiVersion = reader.text();
    else if (field === 2) into.kind = reader.text();
    else reader.skip(type);
  }
}

function writeText(writer: ReverseWriter, field: number, text: string): void {
  const before = writer.length;
  writer.text(text);
  writer.delimited(field, before);
}

/** The object in an envelope of its apiVersion and kind. */
export function encodeProtobuf(schema: TypeSchema, object: { apiVersion?: string; kind?: string }): Buffer {
  const writer = new ReverseWriter(2048);
  // contentType and contentEncoding are empty for protobuf.
  writeText(writer, 4, '');
  writeText(writer, 3, '');
  let before = writer.length;
  writeMessage(writer, schema, object as Record<string, unknown>);
  writer.delimited(2, before);
  before = writer.length;
  writeText(writer, 2, object.kind ?? '');
  writeText(writer, 1, object.apiVersion ?? '');
  writer.delimited(1, before);
  writer.raw(magic);
  return writer.finish();
}

/** A length-delimited meta.k8s.io/v1 WatchEvent around an encoded object. */
export function watchFrame(type: string, encodedObject: Uint8Array): Buffer {
  const writer = new ReverseWriter(encodedObject.length + type.length + 32);
  let before = writer.length;
  writer.raw(encodedObject);
  writer.delimited(1, before);
  writer.delimited(2, before);
  before = writer.length;
  writeText(writer, 1, type);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(writer.length);
  writer.raw(size);
  return writer.finish();
}
