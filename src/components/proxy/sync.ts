/** Writes the rules into the kernel: one iptables-restore per table, jumps checked, stale UDP flows forgotten. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Iptables } from '../../machinery/process/iptables.ts';
import { must, run } from '../../machinery/process/run.ts';
import { jumps, type RuleSet, restoreInput } from './rules.ts';

/** Chains of a table that exist now, from `iptables-save`. */
async function existingChains(iptables: Iptables, table: 'nat' | 'filter'): Promise<string[]> {
  const saved = await must(iptables.save, ['-t', table]);
  return saved
    .split('\n')
    .filter((line) => line.startsWith(':'))
    .map((line) => line.slice(1, line.indexOf(' ')));
}

/** Replaces all our chains in both tables. Throws with iptables' own words; nothing of a table is applied then. */
export async function applyRules(iptables: Iptables, rules: RuleSet): Promise<void> {
  for (const table of ['filter', 'nat'] as const) {
    const input = restoreInput(table, rules[table], await existingChains(iptables, table));
    await must(iptables.restore, ['--noflush', '--counters', '--wait'], { input });
  }
}

/** Puts missing jumps at the head of the built-in chains. */
export async function ensureJumps(iptables: Iptables): Promise<void> {
  for (const { table, chain, rule } of jumps) {
    const args = splitRule(rule);
    const there = await run(iptables.command, ['--wait', '-t', table, '-C', chain, ...args]);
    if (there.code !== 0) await must(iptables.command, ['--wait', '-t', table, '-I', chain, ...args]);
  }
}

/** Removes jumps and chains: `kube-proxy --cleanup`. */
export async function cleanupRules(iptables: Iptables): Promise<void> {
  for (const { table, chain, rule } of jumps)
    await run(iptables.command, ['--wait', '-t', table, '-D', chain, ...splitRule(rule)]);
  for (const table of ['nat', 'filter'] as const) {
    const ours = (await existingChains(iptables, table)).filter(
      (chain) => chain.startsWith('KUBE-') && !chain.startsWith('KUBE-KUBELET'),
    );
    if (!ours.length) continue;
    const input = [`*${table}`, ...ours.map((c) => `:${c} - [0:0]`), ...ours.map((c) => `-X ${c}`), 'COMMIT', ''].join(
      '\n',
    );
    await must(iptables.restore, ['--noflush', '--wait'], { input });
  }
}

/** Splits at blanks, keeping quoted comments together. */
function splitRule(rule: string): string[] {
  return (rule.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ''));
}

/** A flow that conntrack must forget, because its endpoint is gone or has just appeared (UDP has no end of its own). */
export interface StaleFlow {
  originalDestination: string;
  port: number;
  /** Absent: all flows to the destination. */
  endpoint?: string;
}

export async function forgetFlows(flows: StaleFlow[]): Promise<void> {
  for (const { originalDestination, port, endpoint } of flows) {
    const args = ['-D', '-p', 'udp', '--orig-dst', originalDestination, '--dport', String(port)];
    if (endpoint) args.push('--dst-nat', endpoint);
    // conntrack exits 1 when there was no such flow.
    await run('conntrack', args);
  }
}

/** Kernel settings that the rules rely on. */
export async function applySysctls(settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    const path = `/proc/sys/${name.replaceAll('.', '/')}`;
    const now = await readFile(path, 'utf8');
    if (now.trim() !== value) await writeFile(path, value);
  }
}
