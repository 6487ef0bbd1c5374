/** Reads the generated table of API types (`types.tsv`): one line per type, parsed when the type is first asked for. */
import type { FieldSchema, TypeSchema } from './types.ts';

export interface TypeTable {
  /** The type of a full name such as `io.k8s.api.core.v1.PodSpec`. */
  type(name: string): TypeSchema | undefined;
  /** The type of a group, version and kind. */
  kind(group: string, version: string, kind: string): TypeSchema | undefined;
}

/** A field as the table writes it; scripts/generate-api-facts.ts explains the letters. */
interface FieldFacts {
  t: string;
  o?: string;
  r?: string;
  i?: FieldFacts;
  q?: 1;
  d?: unknown;
  e?: string[];
  l?: 'atomic' | 'set' | 'map';
  k?: string[];
  m?: 'atomic' | 'granular';
  s?: string;
  g?: string;
  z?: unknown;
  p?: 1;
  n?: number | number[];
}

const typeNames: Record<string, FieldSchema['type']> = {
  s: 'string',
  i: 'integer',
  n: 'number',
  b: 'boolean',
  o: 'object',
  a: 'array',
  m: 'map',
  I: 'intOrString',
  Q: 'quantity',
  T: 'time',
  M: 'microTime',
  D: 'duration',
  B: 'bytes',
  '*': 'any',
};

/** Parses the table's text; cheap, since lines are only cut apart. */
export function createTypeTable(text: string): TypeTable {
  const lines = new Map<string, string>();
  const kinds = new Map<string, string>();
  let start = 0;
  for (let end = text.indexOf('\n'); end >= 0; start = end + 1, end = text.indexOf('\n', start)) {
    const nameEnd = text.indexOf('\t', start);
    const kindEnd = text.indexOf('\t', nameEnd + 1);
    const name = text.slice(start, nameEnd);
    lines.set(name, text.slice(kindEnd + 1, end));
    if (kindEnd > nameEnd + 1) kinds.set(text.slice(nameEnd + 1, kindEnd), name);
  }
  const parsed = new Map<string, TypeSchema>();

  function type(name: string): TypeSchema | undefined {
    const known = parsed.get(name);
    if (known) return known;
    const line = lines.get(name);
    if (line === undefined) return undefined;
    const facts = JSON.parse(line) as { a?: 1; f: Record<string, FieldFacts> };
    const schema: TypeSchema = { name, fields: {} };
    if (facts.a) schema.atomic = true;
    parsed.set(name, schema);
    lines.delete(name);
    for (const [field, value] of Object.entries(facts.f)) schema.fields[field] = fieldSchema(value, name);
    return schema;
  }

  // Every field has the same keys in the same order, so that engines see one shape in hot loops.
  function fieldSchema(facts: FieldFacts, owner: string): FieldSchema {
    return {
      type: typeNames[facts.t] ?? 'any',
      format: facts.o,
      schema: facts.r ? requiredType(facts.r, owner) : undefined,
      items: facts.i ? fieldSchema(facts.i, owner) : undefined,
      required: facts.q === 1,
      default: facts.d,
      enum: facts.e,
      listType: facts.l,
      listMapKeys: facts.k,
      mapType: facts.m,
      patchStrategy: facts.s,
      patchMergeKey: facts.g,
      zero: facts.z,
      pointer: facts.p === 1,
      proto: facts.n,
    };
  }

  function requiredType(reference: string, owner: string): TypeSchema {
    const name = reference.startsWith('.') ? owner.slice(0, owner.lastIndexOf('.')) + reference : reference;
    const found = type(name);
    if (!found) throw new Error(`the API type table has no type ${name}`);
    return found;
  }

  return {
    type,
    kind(group, version, kind) {
      const name = kinds.get(`${group}/${version}/${kind}`);
      return name === undefined ? undefined : type(name);
    },
  };
}
