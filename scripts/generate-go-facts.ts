/**
 * Reads how upstream's Go structs declare their JSON fields (pointer or value, omitempty, omitzero), which the published
 * OpenAPI document does not tell, and writes `scripts/facts/go-fields.json` for generate-api-facts.ts.
 *
 * `node scripts/generate-go-facts.ts <folder holding k8s.io/api and k8s.io/apimachinery>` (Debian: golang-k8s-api-dev,
 * golang-k8s-apimachinery-dev). Fields newer than those sources are told apart by rules in generate-api-facts.ts.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface GoField {
  json: string;
  goType: string;
  flags: string;
}

const structStart = /^type (\w+) struct \{/;
const field = /^\t(\w+)?\s*(\S+)\s+`json:"([^"]*)"/;
const embedded = /^\t([\w.*]+)\s+`json:",inline/;

function structsOf(source: string): Map<string, { fields: GoField[]; inline: string[] }> {
  const structs = new Map<string, { fields: GoField[]; inline: string[] }>();
  let current: { fields: GoField[]; inline: string[] } | undefined;
  for (const line of source.split('\n')) {
    const start = structStart.exec(line);
    if (start) {
      current = { fields: [], inline: [] };
      structs.set(start[1]!, current);
    } else if (line === '}') current = undefined;
    else if (current) {
      const inline = embedded.exec(line);
      if (inline) {
        current.inline.push(inline[1]!);
        continue;
      }
      const match = field.exec(line);
      if (!match) continue;
      const [json = '', ...options] = match[3]!.split(',');
      if (options.includes('inline')) {
        current.inline.push(match[2]!);
        continue;
      }
      if (!json || json === '-') continue;
      const goType = match[2]!;
      const flags = `${goType.startsWith('*') ? 'p' : ''}${options.includes('omitempty') ? 'e' : ''}${options.includes('omitzero') ? 'z' : ''}`;
      current.fields.push({ json, goType, flags });
    }
  }
  return structs;
}

function packages(root: string): { name: string; folder: string }[] {
  const found: { name: string; folder: string }[] = [];
  for (const group of readdirSync(join(root, 'api'))) {
    for (const version of existsSync(join(root, 'api', group, 'v1')) ? readdirSync(join(root, 'api', group)) : []) {
      const folder = join(root, 'api', group, version);
      if (existsSync(join(folder, 'types.go'))) found.push({ name: `io.k8s.api.${group}.${version}`, folder });
    }
  }
  const meta = join(root, 'apimachinery/pkg/apis/meta/v1');
  found.push({ name: 'io.k8s.apimachinery.pkg.apis.meta.v1', folder: meta });
  return found;
}

const root = process.argv[2];
if (!root) throw new Error('usage: generate-go-facts.ts <folder holding k8s.io/api and k8s.io/apimachinery>');
const table: Record<string, Record<string, string>> = {};
for (const { name, folder } of packages(root)) {
  const structs = structsOf(readFileSync(join(folder, 'types.go'), 'utf8'));
  const flatten = (struct: string): GoField[] => {
    const found = structs.get(struct);
    if (!found) return [];
    return [...found.fields, ...found.inline.flatMap((inner) => flatten(inner.replace(/^\*/, '')))];
  };
  for (const struct of structs.keys()) {
    const fields = Object.fromEntries(flatten(struct).map(({ json, flags }) => [json, flags]));
    if (Object.keys(fields).length) table[`${name}.${struct}`] = fields;
  }
}
const lines = Object.entries(table).map(([name, fields]) => `${JSON.stringify(name)}:${JSON.stringify(fields)}`);
writeFileSync(join(import.meta.dirname, 'facts/go-fields.json'), `{\n${lines.join(',\n')}\n}\n`);
