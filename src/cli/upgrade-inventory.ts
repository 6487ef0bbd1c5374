/** `kinit upgrade apply --inventory`: flags for the hosts, drawing, closing words. */
import type { Command } from 'commander';
import { parseDuration } from '../installer/config/duration.ts';
import type { UpgradeCommandFlags } from '../installer/config/upgrade.ts';
import { KinitError } from '../installer/errors.ts';
import { upgradeFleet } from '../installer/fleet/upgrade.ts';
import { checkRequested } from '../installer/phases/run-upgrade.ts';
import { checkPhaseNames, type UpgradeKind, upgradePhaseNames } from '../installer/phases/upgrade.ts';
import { kubernetesVersion } from '../machinery/version.ts';
import { type AccessFlags, sourceOf } from './access-options.ts';
import { drawFleet } from './fleet-session.ts';
import { formatObject, formatOf, type ObjectFlags } from './render/object-output.ts';
import { interruptSignal } from './session.ts';
import { type ApplyFlags, tellFindings } from './upgrade.ts';

/** Files of a host, which the workstation does not bring there. */
const notOverInventory: Record<string, string> = {
  kubeconfig: 'each control plane takes its own /etc/kubernetes/admin.conf',
  patches: 'put the folder on the host and run kinit upgrade apply there',
  printConfig: 'kinit upgrade plan --print-config on a control plane prints it',
};

/** The flags that kinit gets on the first control plane, and on the other hosts. */
export function hostWords(kind: UpgradeKind, flags: ApplyFlags): string[] {
  const listed = (name: string, values: readonly string[] = []) => (values.length ? [name, values.join(',')] : []);
  const known = upgradePhaseNames(kind);
  return [
    ...(kind === 'apply' ? ['--yes'] : []),
    ...(kind === 'apply' && flags.force ? ['--force'] : []),
    ...(kind === 'apply' && flags.allowExperimentalUpgrades ? ['--allow-experimental-upgrades'] : []),
    ...(kind === 'apply' && flags.allowReleaseCandidateUpgrades ? ['--allow-release-candidate-upgrades'] : []),
    ...(flags.certificateRenewal === false ? ['--certificate-renewal=false'] : []),
    ...(flags.etcdUpgrade === false ? ['--etcd-upgrade=false'] : []),
    ...listed('--ignore-preflight-errors', flags.ignorePreflightErrors),
    ...listed(
      '--skip-phases',
      flags.skipPhases?.filter((name) => known.includes(name)),
    ),
  ];
}

export async function upgradeInventory(flags: ApplyFlags, command: Command): Promise<void> {
  for (const [name, why] of Object.entries(notOverInventory)) {
    if (command.getOptionValueSource(name) === 'cli')
      throw new KinitError(
        'Usage',
        `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} is not for use with --inventory: ${why}`,
      );
  }
  if (flags.patches)
    throw new KinitError('Usage', `patches are not for use with --inventory: ${notOverInventory['patches']}`);
  if (parseDuration(flags.drainTimeout) === undefined)
    throw new KinitError('Usage', `--drain-timeout is "${flags.drainTimeout}"; it takes a duration like 5m`);
  checkPhaseNames('apply', flags.skipPhases ?? []);
  const drain = {
    timeout: flags.drainTimeout,
    deleteEmptyDirData: flags.deleteEmptydirData ?? false,
    force: flags.drainForce ?? false,
  };
  const { version } = flags;
  const { config: _, ...fleetFlags } = flags;
  await drawFleet(fleetFlags, [], (options) =>
    upgradeFleet({
      ...options,
      ...(version ? { version } : {}),
      maxUnavailable: flags.maxUnavailable,
      drain,
      words: { apply: hostWords('apply', flags), node: hostWords('node', flags) },
    }),
  );
  if (flags.output === 'json' || flags.dryRun) return;
  process.stdout.write(`\n[upgrade] SUCCESS! The cluster of ${flags.inventory} is ${kubernetesVersion}.\n`);
}

/** `kinit upgrade plan --inventory` */
export async function planInventory(
  version: string | undefined,
  flags: UpgradeCommandFlags & ObjectFlags & AccessFlags & { inventory: string },
): Promise<void> {
  const { upgradePlanOfFleet } = await import('../installer/fleet/upgrade-plan.ts');
  const { planDocument } = await import('../installer/upgrade/plan.ts');
  const { formatFleetPlan } = await import('./render/upgrade.ts');
  if (flags.printConfig) throw new KinitError('Usage', '--print-config is not for use with --inventory');
  checkRequested(version, kubernetesVersion);
  const plan = await upgradePlanOfFleet({
    source: sourceOf(flags),
    ...(flags.etcdUpgrade === undefined ? {} : { etcdUpgrade: flags.etcdUpgrade }),
    ...(flags.allowExperimentalUpgrades ? { allowExperimental: true } : {}),
    ...(flags.allowReleaseCandidateUpgrades ? { allowReleaseCandidate: true } : {}),
    signal: interruptSignal(),
    notice: (message) => void process.stderr.write(`kinit: ${message}\n`),
  });
  process.stdout.write(
    await formatObject(
      flags,
      () => ({ ...planDocument(plan), hosts: plan.hosts }),
      () => formatFleetPlan(plan, flags.inventory),
    ),
  );
  await tellFindings(plan, flags, formatOf(flags));
}
