/** Who may do what and who is who: role bindings and certificate signing requests. Roles have the default columns. */
import type { CertificateSigningRequest, ClusterRoleBinding, RoleBinding } from '../../../../machinery/api/types.ts';
import { humanDuration } from '../format.ts';
import { ageColumn, ageOf, column, nameColumn, nameOf, printer, wide } from '../printer.ts';

type Binding = RoleBinding | ClusterRoleBinding;

function subjects({ subjects: list = [] }: Binding, kind: string): string {
  return list
    .filter((subject) => subject.kind === kind)
    .map(({ namespace, name }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
    .join(', ');
}

/** Of RoleBindings and ClusterRoleBindings. */
export const roleBindingPrinter = printer<Binding>({
  columns: [
    nameColumn,
    column('Role', 'string', 'Role that is given.'),
    ageColumn,
    wide('Users', 'string', 'Users who get it.'),
    wide('Groups', 'string', 'Groups that get it.'),
    wide('ServiceAccounts', 'string', 'Service accounts that get it.'),
  ],
  cells: (object, now) => [
    nameOf(object),
    `${object.roleRef?.kind ?? ''}/${object.roleRef?.name ?? ''}`,
    ageOf(object, now),
    subjects(object, 'User'),
    subjects(object, 'Group'),
    subjects(object, 'ServiceAccount'),
  ],
});

function condition({ status }: CertificateSigningRequest): string {
  const has = (type: string) => status?.conditions?.some((one) => one.type === type) ?? false;
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${decision}${has('Failed') ? ',Failed' : ''}${status?.certificate ? ',Issued' : ''}`;
}

export const certificateSigningRequestPrinter = printer<CertificateSigningRequest>({
  columns: [
    nameColumn,
    ageColumn,
    column('SignerName', 'string', 'Who is to sign.'),
    column('Requestor', 'string', 'Who asks.'),
    column('RequestedDuration', 'string', 'How long the certificate is to be valid.'),
    column('Condition', 'string', 'How far the request is.'),
  ],
  cells: (object, now) => [
    nameOf(object),
    ageOf(object, now),
    object.spec.signerName || '<none>',
    object.spec.username ?? '',
    object.spec.expirationSeconds === undefined ? '<none>' : humanDuration(object.spec.expirationSeconds * 1000),
    condition(object),
  ],
});
