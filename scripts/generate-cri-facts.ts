/**
 * Writes src/machinery/cri/assets/cri.json: messages, fields and numbers of the container runtime interface (CRI v1), as
 * protobufjs reads them, without what only Windows nodes use.
 *
 * `node scripts/generate-cri-facts.ts <folder with protobuf-cri.json>`
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Field {
  type: string;
  id: number;
  rule?: string;
  keyType?: string;
}
interface Entry {
  fields?: Record<string, Field>;
  values?: Record<string, number>;
  nested?: Record<string, unknown>;
  methods?: Record<string, { requestType: string; responseType: string; responseStream?: boolean }>;
}

const source = process.argv[2];
if (!source) throw new Error('usage: generate-cri-facts.ts <folder with protobuf-cri.json>');
const published = JSON.parse(readFileSync(join(source, 'protobuf-cri.json'), 'utf8')) as {
  nested: { runtime: { nested: { v1: { nested: Record<string, Entry> } } } };
};

const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
const nested: Record<string, unknown> = {};
for (const [name, entry] of Object.entries(published.nested.runtime.nested.v1.nested)) {
  if (name.startsWith('Windows')) continue;
  if (entry.methods) {
    nested[name] = {
      methods: Object.fromEntries(
        Object.entries(entry.methods).map(([method, { requestType, responseType, responseStream }]) => [
          method,
          { requestType, responseType, ...(responseStream ? { responseStream } : {}) },
        ]),
      ),
    };
  } else if (entry.values) {
    nested[name] = { values: entry.values };
  } else {
    const fields = Object.entries(entry.fields ?? {}).filter(([, field]) => !field.type.startsWith('Windows'));
    nested[name] = {
      ...(entry.nested ? { nested: entry.nested } : {}),
      fields: Object.fromEntries(
        fields.map(([field, { type, id, rule, keyType }]) => [
          camel(field),
          { ...(rule ? { rule } : {}), ...(keyType ? { keyType } : {}), type, id },
        ]),
      ),
    };
  }
}
const folder = join(import.meta.dirname, '../src/machinery/cri/assets');
mkdirSync(folder, { recursive: true });
const document = { nested: { runtime: { nested: { v1: { nested } } } } };
writeFileSync(join(folder, 'cri.json'), `${JSON.stringify(document)}\n`);
