/** A preflight check looks at one thing and changes nothing. Names are kubeadm's where kubeadm has the check. */
import { KinitError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Host } from '../host/host.ts';
import type { Journal } from '../host/journal.ts';

export interface CheckContext {
  host: Host;
  facts: HostFacts;
  journal: Journal;
  command: 'init' | 'join';
  nodeName: string;
  /** kinit installs the runtime. */
  ownRuntime: boolean;
  criSocket: string;
  /** 0 on a worker. */
  bindPort: number;
  etcdDataDir: string;
  keepSwap: boolean;
}

export interface Finding {
  /** `Port-6443` */
  check: string;
  level: 'error' | 'warning';
  message: string;
  advice?: string;
}

export type Check = (context: CheckContext) => Promise<Finding[]>;

/** The host becomes a control plane, by init or by join. */
export const isControlPlane = ({ bindPort }: Pick<CheckContext, 'bindPort'>): boolean => bindPort > 0;

/** This host was made a node by kinit before: what is in the way then is kinit's own. */
export function isOwnNode({ journal, command }: CheckContext): boolean {
  return journal.has(`note:${command}`);
}

export const error = (check: string, message: string, advice?: string): Finding => ({
  check,
  level: 'error',
  message,
  advice,
});
export const warning = (check: string, message: string, advice?: string): Finding => ({
  check,
  level: 'warning',
  message,
  advice,
});

/**
 * Runs all checks. Ignored errors (`--ignore-preflight-errors`, case does not matter, `all` for every one) become warnings.
 * @returns the warnings
 * @throws KinitError Preflight that lists all errors
 */
export async function runChecks<C>(
  checks: readonly ((context: C) => Promise<Finding[]>)[],
  context: C,
  ignored: readonly string[],
): Promise<Finding[]> {
  const ignore = new Set(ignored.flatMap((names) => names.split(',')).map((name) => name.trim().toLowerCase()));
  const findings = (await Promise.all(checks.map((check) => check(context)))).flat();
  const isIgnored = (finding: Finding) => ignore.has('all') || ignore.has(finding.check.toLowerCase());
  const errors = findings.filter((finding) => finding.level === 'error' && !isIgnored(finding));
  if (errors.length) {
    const names = errors.map(({ check }) => check).join(',');
    throw new KinitError('Preflight', `preflight checks failed; nothing was changed`, {
      seen: errors
        .map(({ check, message, advice }) => `[ERROR ${check}]: ${message}${advice ? ` (${advice})` : ''}`)
        .join('\n'),
      advice: `correct this, or go on in spite of it with --ignore-preflight-errors=${names}`,
    });
  }
  return findings.map((finding) => ({ ...finding, level: 'warning' }));
}
