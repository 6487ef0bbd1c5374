/** How the fields of a type lie in its protobuf message, made once per type from the field numbers of its schema. */
import type { FieldSchema, TypeSchema } from '../../../../machinery/api/schema/types.ts';

/** One field of a message: a JSON field, or a message that Go embeds and whose fields lie on the same JSON object. */
export interface MessageField {
  number: number;
  name: string;
  field: FieldSchema;
  embedded: Message | undefined;
  /** A list that travels inside a message of its own (`Verbs`). */
  wrapped: boolean;
}

export interface Message {
  /** Ascending by number, which is the order on the wire. */
  fields: MessageField[];
  byNumber: Map<number, MessageField>;
}

const noField: FieldSchema = { type: 'any' };
const messages = new WeakMap<TypeSchema, Message>();

export function messageOf(schema: TypeSchema): Message {
  let message = messages.get(schema);
  if (!message) {
    message = { fields: [], byNumber: new Map() };
    messages.set(schema, message);
    const isWrapped = schema.name.endsWith('.meta.v1.APIResource');
    for (const [name, field] of Object.entries(schema.fields)) {
      if (field.proto === undefined) continue;
      const path = typeof field.proto === 'number' ? [field.proto] : field.proto;
      place(message, path, name, field, isWrapped && name === 'verbs');
    }
    sortFields(message);
  }
  return message;
}

function place(message: Message, path: number[], name: string, field: FieldSchema, wrapped: boolean): void {
  const [number, ...rest] = path as [number, ...number[]];
  let entry = message.byNumber.get(number);
  if (!entry) {
    const embedded = rest.length > 0 ? { fields: [], byNumber: new Map<number, MessageField>() } : undefined;
    entry = { number, name, field: embedded ? noField : field, embedded, wrapped };
    message.byNumber.set(number, entry);
    message.fields.push(entry);
  }
  if (entry.embedded) place(entry.embedded, rest, name, field, wrapped);
}

function sortFields(message: Message): void {
  message.fields.sort((a, b) => a.number - b.number);
  for (const { embedded } of message.fields) if (embedded) sortFields(embedded);
}
