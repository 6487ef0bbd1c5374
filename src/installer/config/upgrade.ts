/** `kinit upgrade … --config`: an UpgradeConfiguration, over which the flags win. */

import type { UpgradeFlags } from '../phases/run-upgrade.ts';
import { checkPhaseNames } from '../phases/upgrade.ts';
import { invalidConfig, type ReadConfig } from './read-config.ts';
import { validateTimeouts } from './validate.ts';

/** What the command line says more than the phases take. */
export interface UpgradeCommandFlags extends UpgradeFlags {
  version?: string;
  dryRun?: boolean;
  contextLines?: number;
  printConfig?: boolean;
}

type Section = 'apply' | 'node' | 'plan' | 'diff';

/** Without what is not there, so that it covers nothing. */
const given = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;

/** @throws KinitError Validation when the file has none, or what is in it cannot be */
export function resolveUpgrade<F extends UpgradeCommandFlags>(
  section: Section,
  flags: F,
  { documents, place }: ReadConfig,
): F {
  const document = documents.UpgradeConfiguration;
  if (!document) throw invalidConfig(['the configuration file has no UpgradeConfiguration']);
  const { apply, node, plan, diff, timeouts } = document;
  const mistakes: string[] = [];
  validateTimeouts(timeouts ?? {}, 'UpgradeConfiguration', ([, ...path], message) => {
    mistakes.push(`${place('UpgradeConfiguration', path)}: ${message}`);
  });
  if (mistakes.length) throw invalidConfig(mistakes);
  const version = { apply, node: undefined, plan, diff }[section]?.kubernetesVersion;
  const releases = { apply, node: undefined, plan, diff: undefined }[section];
  const host = { apply, node, plan: undefined, diff: undefined }[section];
  const common = { apply, node, plan, diff: undefined }[section];
  if (section === 'apply' || section === 'node') checkPhaseNames(section, host?.skipPhases ?? []);
  const fromFile: UpgradeCommandFlags = given({
    version,
    allowExperimentalUpgrades: releases?.allowExperimentalUpgrades,
    allowReleaseCandidateUpgrades: releases?.allowRCUpgrades,
    certificateRenewal: host?.certificateRenewal,
    dryRun: common?.dryRun,
    etcdUpgrade: common?.etcdUpgrade,
    force: section === 'apply' ? apply?.forceUpgrade : undefined,
    patches: host?.patches?.directory,
    printConfig: section === 'apply' ? apply?.printConfig : section === 'plan' ? plan?.printConfig : undefined,
    skipPhases: host?.skipPhases,
    contextLines: section === 'diff' ? diff?.contextLines : undefined,
    timeouts,
  });
  const ignored = [...(common?.ignorePreflightErrors ?? []), ...(flags.ignorePreflightErrors ?? [])];
  return { ...fromFile, ...given(flags), ...(ignored.length ? { ignorePreflightErrors: ignored } : {}) } as F;
}
