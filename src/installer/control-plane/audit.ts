/** The audit log of kube-apiserver: its policy and its folder on the host. */
import { auditPaths } from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { ClusterConfiguration } from '../config/types.ts';
import { argumentValue } from '../config/validate.ts';
import type { Changes } from '../host/changes.ts';
import { exists } from '../host/host.ts';

/** A gigabyte and a tenth at most. */
export const auditArguments: Record<string, string> = {
  'audit-log-maxage': '30',
  'audit-log-maxbackup': '10',
  'audit-log-maxsize': '100',
  'audit-log-path': `${auditPaths.logs}/audit.log`,
  'audit-policy-file': auditPaths.policy,
};

/** Whoever audits in another way has said so. */
const ownWay = ['audit-policy-file', 'audit-log-path', 'audit-webhook-config-file'];

/** @returns whether kinit's audit log is on; a policy that is there stays as it is */
export async function ensureAudit(changes: Changes, { apiServer }: ClusterConfiguration): Promise<boolean> {
  if (ownWay.some((name) => argumentValue(apiServer.extraArgs, name) !== undefined)) return false;
  if (!(await exists(changes.host, auditPaths.policy)))
    await changes.file(auditPaths.policy, renderTemplate('audit-policy.yaml', {}), { mode: 0o600 });
  await changes.folder(auditPaths.logs, 0o700);
  return true;
}
