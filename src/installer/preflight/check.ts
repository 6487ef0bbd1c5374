/** A preflight check looks at one thing and changes nothing. Names are kubeadm's where kubeadm has the check. */
import type { ExternalEtcd, HostConfiguration, RegistrySettings, RuntimeChoice } from '../config/types.ts';
import { KinitError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Host } from '../host/host.ts';
import type { Journal } from '../host/journal.ts';
import type { ExistingRuntime, RuntimeProblem } from '../runtime/existing.ts';

export interface CheckContext {
  host: Host;
  facts: HostFacts;
  journal: Journal;
  command: 'init' | 'join';
  nodeName: string;
  runtime: RuntimeChoice;
  registries: readonly RegistrySettings[];
  cgroupDriver: HostConfiguration['cgroupDriver'];
  criSocket: string;
  /** With `runtime: existing`. */
  existing?: ExistingRuntime | RuntimeProblem;
  /** 0 on a worker. */
  bindPort: number;
  /** Nobody has it before the first control plane. */
  virtualIP?: string;
  /** Where the balancer of a local endpoint will listen. */
  balancerPort?: number;
  /** Empty where etcd does not run, or where that is not known yet. */
  etcdDataDir: string;
  /** An etcd that is elsewhere. */
  externalEtcd?: ExternalEtcd;
  keepSwap: boolean;
  /** kinit opens the ports in firewalld or ufw itself. */
  opensFirewall: boolean;
  /** Where the nodes reach the API server: the shared endpoint, or the one that is joined. */
  endpoint: { host: string; port: number };
  /** Of a worker: where the cluster's CA will be written. */
  caCertPath?: string;
  /** Comma-separated; empty where they are not known yet. */
  serviceSubnet: string;
  podSubnet: string;
  /** The proxies of the shell that kinit runs in. */
  env: NodeJS.ProcessEnv;
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

/** One line, as kubeadm prints it. */
export const describeFinding = ({ level, check, message, advice }: Finding): string =>
  `[${level.toUpperCase()} ${check}]: ${message}${advice ? ` (${advice})` : ''}`;

/**
 * Takes out what is ignored (`--ignore-preflight-errors`, case does not matter, `all` for every one): it becomes a warning.
 * @returns the warnings
 * @throws KinitError Preflight that lists all errors
 */
export function withoutIgnored(
  findings: readonly Finding[],
  ignored: readonly string[],
  failure = 'preflight checks failed; nothing was changed',
): Finding[] {
  const ignore = new Set(ignored.flatMap((names) => names.split(',')).map((name) => name.trim().toLowerCase()));
  const isIgnored = (finding: Finding) => ignore.has('all') || ignore.has(finding.check.toLowerCase());
  const errors = findings.filter((finding) => finding.level === 'error' && !isIgnored(finding));
  const warnings = findings
    .filter((finding) => !errors.includes(finding))
    .map((finding): Finding => ({ ...finding, level: 'warning' }));
  if (errors.length) {
    const names = [...new Set(errors.map(({ check }) => check))].join(',');
    throw new KinitError('Preflight', failure, {
      seen: [...errors, ...warnings].map(describeFinding).join('\n'),
      advice: `correct this, or go on in spite of it with --ignore-preflight-errors=${names}`,
    });
  }
  return warnings;
}

/** Runs all checks at once. @returns the warnings @throws KinitError Preflight that lists all errors */
export async function runChecks<C>(
  checks: readonly ((context: C) => Promise<Finding[]>)[],
  context: C,
  ignored: readonly string[],
): Promise<Finding[]> {
  return withoutIgnored((await Promise.all(checks.map((check) => check(context)))).flat(), ignored);
}
