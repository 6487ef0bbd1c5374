/** `kinit upgrade apply` and `kinit upgrade node`: what happens to a host that goes to another bundle, in this order. */
import { nearestName } from '../config/nearest.ts';
import { KinitError } from '../errors.ts';
import type { UpgradeContext } from '../upgrade/context.ts';
import type { Phase } from './engine.ts';
import { bootstrapRights, upgradeAddons, uploadConfig } from './upgrade-cluster.ts';
import { upgradeControlPlane } from './upgrade-control-plane.ts';
import {
  backupPhase,
  bundlePhase,
  endpointPhases,
  kubeletConfigPhase,
  loadNewImages,
  postUpgrade,
  runtimePhase,
  snapshotPhase,
} from './upgrade-host.ts';
import { preflightApply, preflightNode } from './upgrade-preflight.ts';

/** The first control plane. The kubelet comes before what is stored in the cluster: until then, a failure leaves no trace there. */
export const applyPhases: readonly Phase<UpgradeContext>[] = [
  preflightApply,
  loadNewImages,
  snapshotPhase,
  backupPhase,
  ...upgradeControlPlane,
  bundlePhase,
  runtimePhase,
  ...endpointPhases,
  kubeletConfigPhase,
  ...uploadConfig,
  bootstrapRights,
  ...upgradeAddons,
  postUpgrade,
];

/** The other control planes, and workers; phases that a worker has no use for are skipped there. */
export const nodePhases: readonly Phase<UpgradeContext>[] = [
  preflightNode,
  loadNewImages,
  backupPhase,
  ...upgradeControlPlane,
  bundlePhase,
  runtimePhase,
  ...endpointPhases,
  kubeletConfigPhase,
  ...upgradeAddons,
  postUpgrade,
];

export type UpgradeKind = UpgradeContext['kind'];

export const upgradePhases: Record<UpgradeKind, readonly Phase<UpgradeContext>[]> = {
  apply: applyPhases,
  node: nodePhases,
};

/** What `--skip-phases` takes: phases and their groups, as kubeadm names them, and kinit's own. */
export function upgradePhaseNames(kind: UpgradeKind): string[] {
  const names = upgradePhases[kind].map(({ name }) => name);
  const groups = names.filter((name) => name.includes('/')).map((name) => name.split('/')[0]!);
  return [...new Set([...names, ...groups, ...groups.map((group) => `${group}/all`)])];
}

/** @throws KinitError Usage for a phase that there is not */
export function checkPhaseNames(kind: UpgradeKind, names: readonly string[]): void {
  const known = upgradePhaseNames(kind);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const near = nearestName(unknown, known);
  throw new KinitError('Usage', `kinit upgrade ${kind} has no phase "${unknown}"`, {
    advice: near ? `did you mean "${near}"?` : `it has ${known.join(', ')}`,
  });
}

/** The phases of a name: one, or those of its group. */
export function phasesNamed(kind: UpgradeKind, name: string): readonly string[] {
  checkPhaseNames(kind, [name]);
  const names = upgradePhases[kind].map((phase) => phase.name);
  return names.includes(name) ? [name] : names.filter((one) => one.startsWith(`${name.replace(/\/all$/, '')}/`));
}
