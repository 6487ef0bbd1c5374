/** Defaults of role bindings. */
import { ensureObject, type Fields, listAt, setDefault } from './fields.ts';

const group = 'rbac.authorization.k8s.io';

function defaultBinding(binding: Fields): void {
  setDefault(ensureObject(binding, 'roleRef'), 'apiGroup', group, '');
  for (const subject of listAt(binding, 'subjects')) {
    if (subject['kind'] === 'User' || subject['kind'] === 'Group') setDefault(subject, 'apiGroup', group, '');
  }
}

export const rbacDefaults: Record<string, (object: Fields) => void> = {
  [`${group}/v1/ClusterRoleBinding`]: defaultBinding,
  [`${group}/v1/RoleBinding`]: defaultBinding,
};
