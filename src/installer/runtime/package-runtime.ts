/** containerd and runc of the host's own distribution. CNI plugins and configuration stay kinit's. */
import { containerdPaths } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Changes, unitState } from '../host/changes.ts';
import type { HostFacts } from '../host/facts.ts';
import { exists, type Host } from '../host/host.ts';
import { installFirst, isInstalled, type PackageManager, packageManager } from '../host/packages.ts';
import { unitName } from './containerd.ts';
import { bundled, type NodeRuntime, recordedRuntime, recordRuntime } from './node-runtime.ts';

/** The distribution's, or Docker's where only its repository has one; each brings runc. */
export const containerdPackages = ['containerd', 'containerd.io'] as const;

/** Name of the package that is there, if any. */
export async function installedContainerd(host: Host, manager: PackageManager): Promise<string | undefined> {
  for (const name of containerdPackages) if (await isInstalled(host, manager, name)) return name;
  return undefined;
}

/** A package that was there stays, with what it has stored. */
export async function recordPackages(changes: Changes, facts: HostFacts): Promise<NodeRuntime> {
  const before = recordedRuntime(changes.journal);
  if (before) return before;
  const { host } = changes;
  const kept = (await installedContainerd(host, await packageManager(host, facts))) !== undefined;
  return recordRuntime(changes, { ...bundled, runtime: 'packages', kept });
}

/** Before its configuration is written: the package may bring one, which the journal then knows. */
export async function installPackages(changes: Changes, facts: HostFacts): Promise<boolean> {
  const { host } = changes;
  const manager = await packageManager(host, facts);
  // As it was before: a package starts its service itself.
  return installFirst(changes, manager, containerdPackages, async () =>
    changes.journal.record({ kind: 'unit', unit: unitName, ...(await unitState(host, unitName)) }),
  );
}

/** @throws KinitError Command when the packages have not brought it */
export async function findRunc(host: Host): Promise<string> {
  for (const path of ['/usr/sbin/runc', '/usr/bin/runc']) if (await exists(host, path)) return path;
  // Nothing has been installed.
  if (host.dryRun) return '/usr/sbin/runc';
  throw new KinitError('Command', 'the packages of containerd have not brought runc', {
    seen: 'neither /usr/sbin/runc nor /usr/bin/runc exists',
    advice: `install it and run kinit again; configuration: ${containerdPaths.config}`,
  });
}
