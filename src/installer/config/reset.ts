/** `kinit reset --config`: a ResetConfiguration, over which the flags win. */
import { resetPhases } from '../phases/reset.ts';
import { selectableNames } from '../phases/select.ts';
import { nearestName } from './nearest.ts';
import { invalidConfig, type ReadConfig } from './read-config.ts';
import type { Timeouts } from './types.ts';
import { validateTimeouts } from './validate.ts';

export interface ResetSettings {
  criSocket?: string;
  skipPhases?: string[];
  force?: boolean;
  dryRun?: boolean;
  /** The folder to clean. */
  certDir?: string;
  cleanupTmpDir?: boolean;
  ignorePreflightErrors?: string[];
  unmountFlags?: string[];
  timeouts?: Partial<Timeouts>;
}

/** @throws KinitError Validation when the file has none, or names a phase that there is not */
export function resolveReset<F extends ResetSettings>(flags: F, { documents, place }: ReadConfig): F {
  const given = documents.ResetConfiguration;
  if (!given) throw invalidConfig(['the configuration file has no ResetConfiguration']);
  const names = selectableNames('reset', resetPhases);
  const groups = new Set([...names, ...names.map((name) => name.split('/')[0]!)]);
  const mistakes = (given.skipPhases ?? []).flatMap((name, index) => {
    if (groups.has(name)) return [];
    const near = nearestName(name, groups);
    const hint = near ? `; did you mean "${near}"?` : '';
    return [`${place('ResetConfiguration', ['skipPhases', index])}: there is no phase "${name}"${hint}`];
  });
  validateTimeouts(given.timeouts ?? {}, 'ResetConfiguration', ([, ...path], message) => {
    mistakes.push(`${place('ResetConfiguration', path)}: ${message}`);
  });
  if (mistakes.length) throw invalidConfig(mistakes);
  return {
    ...flags,
    criSocket: flags.criSocket ?? given.criSocket,
    skipPhases: flags.skipPhases ?? given.skipPhases,
    force: flags.force ?? given.force,
    dryRun: flags.dryRun ?? given.dryRun,
    certDir: flags.certDir ?? given.certificatesDir,
    cleanupTmpDir: flags.cleanupTmpDir ?? given.cleanupTmpDir,
    ignorePreflightErrors: [...(given.ignorePreflightErrors ?? []), ...(flags.ignorePreflightErrors ?? [])],
    unmountFlags: given.unmountFlags,
    timeouts: given.timeouts,
  };
}
