/** The roles and bindings a fresh cluster starts with, created or brought up to date when the server starts. */
import { readFile } from 'node:fs/promises';
import type { ClusterRole, ObjectMeta, PolicyRule, RoleBinding, UnknownObject } from '../../../machinery/api/types.ts';
import { assetPath } from '../../../machinery/assets.ts';
import { StatusError } from '../errors.ts';
import type { CacheReader, LoopbackClient } from '../types.ts';
import { rbacGroup, rbacResource } from './rbac/role-index.ts';
import { uncoveredRules } from './rbac/rules.ts';

export interface BootstrapRbacDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
}

type RbacKind = 'clusterroles' | 'clusterrolebindings' | 'roles' | 'rolebindings';

interface PolicyItem {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  rules?: PolicyRule[];
  aggregationRule?: ClusterRole['aggregationRule'];
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace?: string }[];
}

export type BootstrapPolicy = Record<RbacKind, PolicyItem[]>;

const autoupdate = 'rbac.authorization.kubernetes.io/autoupdate';
const kinds: Record<RbacKind, string> = {
  clusterroles: 'ClusterRole',
  clusterrolebindings: 'ClusterRoleBinding',
  roles: 'Role',
  rolebindings: 'RoleBinding',
};

export async function readBootstrapPolicy(): Promise<BootstrapPolicy> {
  return JSON.parse(await readFile(assetPath('apiserver', 'bootstrap-policy.json'), 'utf8')) as BootstrapPolicy;
}

/**
 * Idempotent. Adds what is missing (roles, rules, subjects, labels), keeps what was added by hand, and leaves objects
 * annotated `rbac.authorization.kubernetes.io/autoupdate: "false"` alone. The namespaces kube-system and kube-public must exist.
 */
export async function bootstrapRbac({ cache, loopback }: BootstrapRbacDeps): Promise<void> {
  const [policy] = await Promise.all([
    readBootstrapPolicy(),
    ...(Object.keys(kinds) as RbacKind[]).map((kind) => cache.ready(rbacResource(kind))),
  ]);
  // Roles before bindings: nobody is bound to a role that does not exist yet.
  for (const stage of [
    ['clusterroles', 'roles'],
    ['clusterrolebindings', 'rolebindings'],
  ] satisfies RbacKind[][])
    await Promise.all(
      stage.flatMap((kind) =>
        policy[kind].map((item) => reconcile(kind, bootstrapObject(kind, item), cache, loopback)),
      ),
    );
}

export function bootstrapObject(kind: RbacKind, item: PolicyItem): UnknownObject {
  return {
    apiVersion: `${rbacGroup}/v1`,
    kind: kinds[kind],
    metadata: {
      name: item.name,
      ...(item.namespace ? { namespace: item.namespace } : {}),
      annotations: { [autoupdate]: 'true' },
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...item.labels },
    },
    ...(item.aggregationRule ? { aggregationRule: item.aggregationRule } : {}),
    ...(kind.endsWith('roles') ? { rules: item.rules ?? null } : {}),
    ...(item.roleRef ? { roleRef: { apiGroup: rbacGroup, ...item.roleRef } } : {}),
    ...(item.subjects ? { subjects: item.subjects.map(withApiGroup) } : {}),
  };
}

const withApiGroup = (subject: { kind: string; name: string; namespace?: string }) =>
  subject.kind === 'ServiceAccount' ? subject : { apiGroup: rbacGroup, ...subject };

async function reconcile(
  kind: RbacKind,
  wanted: UnknownObject,
  cache: CacheReader,
  loopback: LoopbackClient,
): Promise<void> {
  const { name = '', namespace = '' } = wanted.metadata ?? {};
  const existing = cache.get(rbacResource(kind), namespace, name);
  if (existing && !reconciled(existing, wanted)) return;
  try {
    if (!existing) await loopback.create(rbacResource(kind), wanted);
    else if (differentRole(existing, wanted)) {
      // roleRef cannot be changed in place.
      await loopback.delete(rbacResource(kind), namespace, name);
      await loopback.create(rbacResource(kind), wanted);
    } else await loopback.update(rbacResource(kind), namespace, name, (current) => reconciled(current, wanted));
  } catch (error) {
    // Another API server of the same cluster was faster.
    if (!(error instanceof StatusError) || (error.code !== 409 && error.code !== 404)) throw error;
  }
}

/** `existing` with everything that `wanted` has; undefined when nothing is missing or it is protected. */
export function reconciled(existing: UnknownObject, wanted: UnknownObject): UnknownObject | undefined {
  if (existing.metadata?.annotations?.[autoupdate] === 'false') return undefined;
  const next = structuredClone(existing);
  next.metadata ??= {};
  let changed = mergeMetadata(next.metadata, wanted.metadata ?? {});
  if (wanted.kind === 'ClusterRole' || wanted.kind === 'Role') {
    // The rules of an aggregated role belong to the aggregation controller.
    const missing = wanted['aggregationRule']
      ? []
      : uncoveredRules((existing['rules'] ?? []) as PolicyRule[], (wanted['rules'] ?? []) as PolicyRule[]);
    if (missing.length) next['rules'] = [...((existing['rules'] ?? []) as PolicyRule[]), ...missing];
    changed ||= missing.length > 0;
    if (wanted['aggregationRule'] && !containsSelectors(existing, wanted)) {
      next['aggregationRule'] = wanted['aggregationRule'];
      changed = true;
    }
  } else {
    const have = (existing['subjects'] ?? []) as Subject[];
    const missing = ((wanted['subjects'] ?? []) as Subject[]).filter(
      (subject) => !have.some((other) => sameSubject(other, subject)),
    );
    if (missing.length) next['subjects'] = [...have, ...missing];
    changed ||= missing.length > 0 || differentRole(existing, wanted);
  }
  return changed ? next : undefined;
}

type Subject = NonNullable<RoleBinding['subjects']>[number];

const sameSubject = (a: Subject, b: Subject) =>
  a.kind === b.kind && a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '');

function differentRole(a: UnknownObject, b: UnknownObject): boolean {
  const [left, right] = [a['roleRef'], b['roleRef']] as ({ kind: string; name: string } | undefined)[];
  return left?.kind !== right?.kind || left?.name !== right?.name;
}

function containsSelectors(existing: UnknownObject, wanted: UnknownObject): boolean {
  const selectors = (object: UnknownObject) =>
    ((object['aggregationRule'] as ClusterRole['aggregationRule'])?.clusterRoleSelectors ?? []).map((selector) =>
      JSON.stringify(selector),
    );
  const have = selectors(existing);
  return selectors(wanted).every((selector) => have.includes(selector));
}

function mergeMetadata(metadata: ObjectMeta, wanted: ObjectMeta): boolean {
  let changed = false;
  for (const field of ['labels', 'annotations'] as const)
    for (const [key, value] of Object.entries(wanted[field] ?? {})) {
      if (metadata[field]?.[key] !== undefined) continue;
      metadata[field] = { ...metadata[field], [key]: value };
      changed = true;
    }
  return changed;
}
