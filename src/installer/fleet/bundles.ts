/** Bundles for the hosts of a fleet: the one that is named, and beside it those of other architectures. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { architectureOfMachine, architectures } from '../bundle/architecture.ts';
import { type RunFileLayout, readRunLayout, runFileName } from '../bundle/run-file.ts';
import { KinitError } from '../errors.ts';

export type FleetBundle = RunFileLayout;

/**
 * Those beside the named one that cannot be used (of an older kinit, or half copied) are as good as not there: hosts that need none of
 * them are not held up.
 * @throws KinitError Bundle when the named file is no bundle
 */
export async function openBundles(path: string): Promise<FleetBundle[]> {
  const open = (file: string): Promise<FleetBundle> =>
    readRunLayout(file).catch((error: Error) => {
      throw new KinitError('Bundle', error.message, {
        advice: 'build it with npm run bundle, or name it with --bundle',
      });
    });
  const named = await open(path);
  const beside = architectures
    .filter((architecture) => architecture !== named.architecture)
    .map((architecture) => join(dirname(path), runFileName(architecture)))
    .filter((file) => basename(file) !== basename(path) && existsSync(file));
  const usable = await Promise.all(beside.map((file) => open(file).catch(() => undefined)));
  return [named, ...usable.filter((bundle) => bundle !== undefined)];
}

/**
 * @param machine as `uname -m` says on the host
 * @throws KinitError Preflight when there is none for the host
 */
export function bundleFor(host: string, machine: string, bundles: readonly FleetBundle[]): FleetBundle {
  const architecture = architectureOfMachine(machine);
  const found = bundles.find((bundle) => bundle.architecture === architecture);
  if (found) return found;
  const had = bundles.map(({ path, architecture: { debian } }) => `${path} is for linux/${debian}`).join(', ');
  if (!architecture) {
    const known = architectures.map((each) => each.machine).join(' and ');
    throw new KinitError('Preflight', `the host is ${machine || 'of an unknown architecture'}`, {
      host,
      advice: `kinit runs on ${known}`,
    });
  }
  const file = join(dirname(bundles[0]?.path ?? ''), runFileName(architecture));
  throw new KinitError('Preflight', `the host is ${machine}, and there is no bundle for linux/${architecture.debian}`, {
    host,
    seen: `${had}; there is no usable ${file}`,
    advice: `build it with npm run bundle -- --arch ${architecture.debian}, and put it beside the other`,
  });
}
