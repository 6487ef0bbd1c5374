/** The API server's tables of types and resources, read from its assets when first needed. */
import { readFileSync } from 'node:fs';
import { createTypeTable, type TypeTable } from '../../../machinery/api/schema/type-table.ts';
import { assetPath } from '../../../machinery/assets.ts';

let table: TypeTable | undefined;

/** All built-in types. */
export function typeTable(): TypeTable {
  table ??= createTypeTable(readFileSync(assetPath('apiserver', 'types.tsv'), 'utf8'));
  return table;
}

export interface DiscoveredResource {
  resource: string;
  responseKind: { group?: string; version?: string; kind: string };
  scope: 'Namespaced' | 'Cluster';
  singularResource: string;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: {
    subresource: string;
    responseKind?: { group?: string; version?: string; kind: string };
    verbs: string[];
  }[];
}

/** Groups in upstream's order of discovery; versions with the preferred one first. */
export interface DiscoveredGroup {
  group: string;
  versions: { version: string; resources: DiscoveredResource[] }[];
}

/** What a v1.36 server serves by default. */
export function builtInGroups(): DiscoveredGroup[] {
  return JSON.parse(readFileSync(assetPath('apiserver', 'resources.json'), 'utf8')) as DiscoveredGroup[];
}
