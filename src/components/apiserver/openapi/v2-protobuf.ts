/** The document of version 2 as protobuf: messages of `openapi.v2`, the form that older clients ask for. */
import { isObject } from '../../../machinery/api/json.ts';
import type { Json } from './schemas.ts';

/** Field numbers of a message, by JSON member; the letter tells how the member is written. */
type Message = Record<string, [number, Writer]>;
type Writer = (out: Out, field: number, value: unknown) => void;

/** One growing buffer: a nested message is written in its place, and moved when its length needs more than a byte. */
class Out {
  private buffer = Buffer.allocUnsafe(1 << 16);
  private size = 0;

  private reserve(count: number): void {
    if (this.size + count <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.size + count));
    this.buffer.copy(grown, 0, 0, this.size);
    this.buffer = grown;
  }

  private varint(value: number): void {
    this.reserve(10);
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.buffer[this.size++] = (rest % 128) | 128;
    this.buffer[this.size++] = rest;
  }

  text(field: number, text: string): void {
    this.nested(field, () => {
      this.reserve(text.length * 3);
      this.size += this.buffer.write(text, this.size);
    });
  }

  flag(field: number, value: boolean): void {
    if (value) this.int(field, 1);
  }

  int(field: number, value: number): void {
    this.varint(field * 8);
    this.varint(value);
  }

  double(field: number, value: number): void {
    this.varint(field * 8 + 1);
    this.reserve(8);
    this.size = this.buffer.writeDoubleLE(value, this.size);
  }

  nested(field: number, write: (inner: Out) => void): void {
    this.varint(field * 8 + 2);
    this.reserve(5);
    const start = ++this.size;
    write(this);
    const length = this.size - start;
    const more = length < 1 << 7 ? 0 : length < 1 << 14 ? 1 : length < 1 << 21 ? 2 : 3;
    if (more) {
      this.reserve(more);
      this.buffer.copyWithin(start + more, start, this.size);
    }
    this.size = start - 1;
    this.varint(length);
    this.size += length;
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.size);
  }
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

const text: Writer = (out, field, value) => out.text(field, String(value));
const texts: Writer = (out, field, value) => {
  for (const item of listOf(value)) out.text(field, String(item));
};
const flag: Writer = (out, field, value) => out.flag(field, value === true);
const int: Writer = (out, field, value) => out.int(field, Number(value));
const double: Writer = (out, field, value) => out.double(field, Number(value));
/** `Any` with the value as YAML, of which JSON is a part. */
const any: Writer = (out, field, value) => out.nested(field, (inner) => inner.text(2, JSON.stringify(value)));
const anys: Writer = (out, field, value) => {
  for (const item of listOf(value)) any(out, field, item);
};

function message(fields: () => Message, extensions?: number): Writer {
  return (out, field, value) => out.nested(field, (inner) => writeMessage(inner, value, fields(), extensions));
}

function writeMessage(out: Out, value: unknown, fields: Message, extensions?: number): void {
  if (!isObject(value)) return;
  for (const [name, member] of Object.entries(value)) {
    const known = fields[name];
    if (known) known[1](out, known[0], member);
    else if (extensions && name.startsWith('x-')) {
      out.nested(extensions, (inner) => {
        inner.text(1, name);
        any(inner, 2, member);
      });
    }
  }
}

/** A map written as repeated messages of a name and a value. */
const named =
  (item: Writer, entries: number): Writer =>
  (out, field, value) =>
    out.nested(field, (inner) => writeNamed(inner, entries, item, value));

function writeNamed(out: Out, field: number, item: Writer, value: unknown): void {
  if (!isObject(value)) return;
  for (const [name, member] of Object.entries(value)) {
    out.nested(field, (inner) => {
      inner.text(1, name);
      item(inner, 2, member);
    });
  }
}

const schema: Writer = message(() => schemaFields, 31);
const schemaFields: Message = {
  $ref: [1, text],
  format: [2, text],
  title: [3, text],
  description: [4, text],
  default: [5, any],
  multipleOf: [6, double],
  maximum: [7, double],
  exclusiveMaximum: [8, flag],
  minimum: [9, double],
  exclusiveMinimum: [10, flag],
  maxLength: [11, int],
  minLength: [12, int],
  pattern: [13, text],
  maxItems: [14, int],
  minItems: [15, int],
  uniqueItems: [16, flag],
  maxProperties: [17, int],
  minProperties: [18, int],
  required: [19, texts],
  enum: [20, anys],
  additionalProperties: [
    21,
    (out, field, value) =>
      out.nested(field, (inner) => (isObject(value) ? schema(inner, 1, value) : flag(inner, 2, value))),
  ],
  type: [22, (out, field, value) => out.nested(field, (inner) => texts(inner, 1, value))],
  items: [23, (out, field, value) => out.nested(field, (inner) => schema(inner, 1, value))],
  allOf: [
    24,
    (out, field, value) => {
      for (const item of listOf(value)) schema(out, field, item);
    },
  ],
  properties: [25, named(schema, 1)],
  readOnly: [27, flag],
  example: [30, any],
};

const bodyParameter: Message = {
  description: [1, text],
  name: [2, text],
  in: [3, text],
  required: [4, flag],
  schema: [5, schema],
};
const queryParameter: Message = {
  required: [1, flag],
  in: [2, text],
  description: [3, text],
  name: [4, text],
  type: [6, text],
  format: [7, text],
  uniqueItems: [20, flag],
};
const pathParameter: Message = {
  required: [1, flag],
  in: [2, text],
  description: [3, text],
  name: [4, text],
  type: [5, text],
  format: [6, text],
  uniqueItems: [19, flag],
};

/** ParametersItem → Parameter → body, or non-body → query or path. */
const parameters: Writer = (out, field, value) => {
  for (const parameter of listOf(value)) {
    if (!isObject(parameter)) continue;
    const place = parameter['in'];
    out.nested(field, (item) =>
      item.nested(1, (either) => {
        if (place === 'body') either.nested(1, (inner) => writeMessage(inner, parameter, bodyParameter, 6));
        else {
          const [number, fields] = place === 'path' ? [4, pathParameter] : [3, queryParameter];
          either.nested(2, (kind) =>
            kind.nested(number as number, (inner) => writeMessage(inner, parameter, fields as Message)),
          );
        }
      }),
    );
  }
};

const response: Writer = (out, field, value) =>
  out.nested(field, (either) =>
    either.nested(1, (inner) =>
      writeMessage(inner, value, {
        description: [1, text],
        schema: [2, (item, number, used) => item.nested(number, (choice) => schema(choice, 1, used))],
      }),
    ),
  );

const operation: Writer = message(
  () => ({
    tags: [1, texts],
    description: [3, text],
    operationId: [5, text],
    produces: [6, texts],
    consumes: [7, texts],
    parameters: [8, parameters],
    responses: [9, (out, field, value) => out.nested(field, (inner) => writeNamed(inner, 1, response, value))],
    schemes: [10, texts],
  }),
  13,
);

const pathItem: Writer = message(() => ({
  get: [2, operation],
  put: [3, operation],
  post: [4, operation],
  delete: [5, operation],
  options: [6, operation],
  head: [7, operation],
  patch: [8, operation],
  parameters: [9, parameters],
}));

const securityDefinition: Writer = (out, field, value) =>
  out.nested(field, (either) =>
    either.nested(2, (inner) => writeMessage(inner, value, { type: [1, text], name: [2, text], in: [3, text] })),
  );

const security: Writer = (out, field, value) => {
  for (const requirement of listOf(value)) {
    out.nested(field, (inner) =>
      writeNamed(
        inner,
        1,
        (item, number, scopes) => item.nested(number, (list) => texts(list, 1, scopes)),
        requirement,
      ),
    );
  }
};

const document: Message = {
  swagger: [1, text],
  info: [2, message(() => ({ title: [1, text], version: [2, text] }))],
  paths: [8, named(pathItem, 2)],
  definitions: [9, named(schema, 1)],
  security: [12, security],
  securityDefinitions: [13, named(securityDefinition, 1)],
};

export function encodeV2(spec: Json): Buffer {
  const out = new Out();
  writeMessage(out, spec, document, 16);
  return out.finish();
}
