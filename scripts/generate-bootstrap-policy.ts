/**
 * Writes src/components/apiserver/assets/bootstrap-policy.json from the RBAC objects that a fresh kube-apiserver
 * creates: `node scripts/generate-bootstrap-policy.ts <folder with clusterroles.yaml, …>`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';

interface Item {
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  rules?: unknown;
  aggregationRule?: unknown;
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace?: string }[];
}

const folder = process.argv[2];
if (!folder) throw new Error('usage: generate-bootstrap-policy.ts <folder>');

function items(file: string): Item[] {
  return (load(readFileSync(join(folder as string, file), 'utf8')) as { items: Item[] }).items;
}

/** What every bootstrap object has is added when it is created, so it is left out here. */
function compact({ metadata, rules, aggregationRule, roleRef, subjects }: Item): object {
  const { 'kubernetes.io/bootstrapping': bootstrapping, ...labels } = metadata.labels ?? {};
  if (bootstrapping !== 'rbac-defaults') throw new Error(`${metadata.name} is not a bootstrap object`);
  return {
    name: metadata.name,
    ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
    ...(Object.keys(labels).length ? { labels } : {}),
    ...(aggregationRule ? { aggregationRule } : {}),
    ...(rules ? { rules } : {}),
    ...(roleRef ? { roleRef: { kind: roleRef.kind, name: roleRef.name } } : {}),
    ...(subjects
      ? { subjects: subjects.map(({ kind, name, namespace }) => ({ kind, name, ...(namespace ? { namespace } : {}) })) }
      : {}),
  };
}

const policy = {
  clusterroles: items('clusterroles.yaml').map(compact),
  clusterrolebindings: items('clusterrolebindings.yaml').map(compact),
  roles: items('roles.yaml').map(compact),
  rolebindings: items('rolebindings.yaml').map(compact),
};
const lines = Object.entries(policy).map(
  ([resource, list]) => `${JSON.stringify(resource)}: [\n${list.map((item) => JSON.stringify(item)).join(',\n')}\n]`,
);
const target = join(import.meta.dirname, '../src/components/apiserver/assets/bootstrap-policy.json');
writeFileSync(target, `{\n${lines.join(',\n')}\n}\n`);
