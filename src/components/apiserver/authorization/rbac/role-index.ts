/** Roles and bindings of the cluster, indexed by subject, so that a decision looks only at bindings that name the user. */
import { matchesLabelSelector } from '../../../../machinery/api/selectors.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  UnknownObject,
} from '../../../../machinery/api/types.ts';
import type { CacheReader, GroupResource, UserInfo } from '../../types.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';
export const rbacResource = (resource: 'clusterroles' | 'clusterrolebindings' | 'roles' | 'rolebindings') =>
  ({ group: rbacGroup, resource }) satisfies GroupResource;

type Binding = ClusterRoleBinding | RoleBinding;
type Subject = NonNullable<Binding['subjects']>[number];

/** One binding that applies to a user, through one of its subjects. */
export interface Grant {
  kind: 'ClusterRoleBinding' | 'RoleBinding';
  binding: Binding;
  subject: Subject;
}

export class RoleIndex {
  private readonly clusterRoles = new Map<string, ClusterRole>();
  private readonly roles = new Map<string, Role>();
  private readonly aggregated = new Map<string, PolicyRule[]>();
  /** Per namespace (empty: cluster role bindings), per subject. */
  private readonly grants = new Map<string, Map<string, Grant[]>>();

  setClusterRole(name: string, role: ClusterRole | undefined): void {
    if (role) this.clusterRoles.set(name, role);
    else this.clusterRoles.delete(name);
    this.aggregated.clear();
  }

  setRole(namespace: string, name: string, role: Role | undefined): void {
    if (role) this.roles.set(`${namespace}/${name}`, role);
    else this.roles.delete(`${namespace}/${name}`);
  }

  /** Replaces `old` by `binding`; either may be absent. */
  setBinding(kind: Grant['kind'], old: Binding | undefined, binding: Binding | undefined): void {
    if (old) this.eachSubject(old, (bySubject, key) => this.removeGrant(bySubject, key, old));
    if (binding)
      this.eachSubject(binding, (bySubject, key, subject) => {
        const list = bySubject.get(key);
        if (list) list.push({ kind, binding, subject });
        else bySubject.set(key, [{ kind, binding, subject }]);
      });
  }

  /** Cluster role bindings first, then those of the namespace, as upstream visits them. */
  *grantsOf(user: UserInfo, namespace: string): Generator<Grant> {
    for (const scope of namespace ? ['', namespace] : ['']) {
      const bySubject = this.grants.get(scope);
      if (!bySubject) continue;
      yield* bySubject.get(`user:${user.name}`) ?? [];
      for (const group of user.groups) yield* bySubject.get(`group:${group}`) ?? [];
    }
  }

  /** The rules of the role that a binding refers to; undefined when there is no such role. */
  rulesOf(roleRef: Binding['roleRef'], namespace: string): PolicyRule[] | undefined {
    if (roleRef.kind === 'Role') {
      const role = this.roles.get(`${namespace}/${roleRef.name}`);
      return role && (role.rules ?? []);
    }
    const role = this.clusterRoles.get(roleRef.name);
    if (!role) return undefined;
    return role.aggregationRule ? this.aggregate(roleRef.name, role) : (role.rules ?? []);
  }

  /** Own rules and those of all selected roles, whether or not the aggregation controller has copied them yet. */
  private aggregate(name: string, role: ClusterRole): PolicyRule[] {
    const known = this.aggregated.get(name);
    if (known) return known;
    const rules = [...(role.rules ?? [])];
    // Set first: roles may select each other in a circle.
    this.aggregated.set(name, rules);
    for (const selector of role.aggregationRule?.clusterRoleSelectors ?? [])
      for (const [otherName, other] of this.clusterRoles) {
        if (otherName === name || !matchesLabelSelector(selector, other.metadata?.labels)) continue;
        rules.push(...(other.aggregationRule ? this.aggregate(otherName, other) : (other.rules ?? [])));
      }
    return rules;
  }

  private eachSubject(
    binding: Binding,
    visit: (bySubject: Map<string, Grant[]>, key: string, subject: Subject) => void,
  ): void {
    const scope = binding.metadata?.namespace ?? '';
    const bySubject = this.grants.get(scope) ?? new Map<string, Grant[]>();
    this.grants.set(scope, bySubject);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, scope);
      if (key) visit(bySubject, key, subject);
    }
    if (bySubject.size === 0) this.grants.delete(scope);
  }

  private removeGrant(bySubject: Map<string, Grant[]>, key: string, old: Binding): void {
    const uid = old.metadata?.uid;
    const left = (bySubject.get(key) ?? []).filter(
      ({ binding }) => binding !== old && !(uid && binding.metadata?.uid === uid),
    );
    if (left.length) bySubject.set(key, left);
    else bySubject.delete(key);
  }
}

function subjectKey(subject: Subject, namespace: string): string | undefined {
  if (subject.kind === 'User') return `user:${subject.name}`;
  if (subject.kind === 'Group') return `group:${subject.name}`;
  if (subject.kind === 'ServiceAccount')
    return `user:system:serviceaccount:${subject.namespace || namespace}:${subject.name}`;
  return undefined;
}

/** Keeps an index up to date from the watch cache. */
export function watchRoles(cache: CacheReader): { index: RoleIndex; ready(): Promise<void> } {
  const index = new RoleIndex();
  const follow = (
    resource: GroupResource,
    apply: (object: UnknownObject | undefined, old: UnknownObject | undefined, last: UnknownObject) => void,
  ) => {
    cache.onChange(resource, (type, object, old) =>
      apply(type === 'DELETED' ? undefined : object, type === 'DELETED' ? object : old, object),
    );
    return cache.ready(resource);
  };
  const waits = [
    follow(rbacResource('clusterroles'), (role, _old, { metadata }) =>
      index.setClusterRole(metadata?.name ?? '', role as ClusterRole | undefined),
    ),
    follow(rbacResource('roles'), (role, _old, { metadata }) =>
      index.setRole(metadata?.namespace ?? '', metadata?.name ?? '', role as Role | undefined),
    ),
    follow(rbacResource('clusterrolebindings'), (binding, old) =>
      index.setBinding('ClusterRoleBinding', old as Binding | undefined, binding as Binding | undefined),
    ),
    follow(rbacResource('rolebindings'), (binding, old) =>
      index.setBinding('RoleBinding', old as Binding | undefined, binding as Binding | undefined),
    ),
  ];
  const all = Promise.all(waits).then(() => undefined);
  // Whoever needs the index awaits ready(); nobody may be listening yet when the server stops early.
  all.catch(() => undefined);
  return { index, ready: () => all };
}
