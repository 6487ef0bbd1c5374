/** One phase, or a group of them, of a command's list: `kinit init phase …`. Names are kubeadm's where it has the phase. */
import type { Phase, PhaseContext } from './engine.ts';

export type PhaseCommand = 'init' | 'join' | 'reset';

/**
 * kubeadm's names for what stands under another name in kinit's lists, with the names there. An empty list is a phase
 * that kinit needs no step for: it can be named, in `--skip-phases` too, and does nothing.
 */
export const kubeadmNames: Record<PhaseCommand, Record<string, readonly string[]>> = {
  init: {
    'kubelet-finalize/all': ['kubelet-finalize'],
    'kubelet-finalize/enable-client-cert-rotation': ['kubelet-finalize'],
  },
  join: {
    'control-plane-prepare/control-plane': [
      'control-plane-prepare/apiserver',
      'control-plane-prepare/controller-manager',
      'control-plane-prepare/scheduler',
    ],
    'control-plane-join/etcd': ['etcd-join'],
  },
  reset: {
    preflight: [],
  },
};

/** `certs` of `certs/apiserver`. */
export const groupOf = (name: string): string => name.split('/')[0]!;

/** What can be named: the phases, their groups as `<group>/all`, and kubeadm's own names. */
export function selectableNames(command: PhaseCommand, phases: readonly { name: string }[]): string[] {
  const names = phases.map(({ name }) => name);
  const groups = names.filter((name) => name.includes('/')).map((name) => `${groupOf(name)}/all`);
  return [...new Set([...names, ...groups, ...Object.keys(kubeadmNames[command])])];
}

/** The names of the phases that a name stands for; undefined when it stands for none. */
export function phasesOf(
  command: PhaseCommand,
  name: string,
  phases: readonly { name: string }[],
): readonly string[] | undefined {
  const names = phases.map((phase) => phase.name);
  if (names.includes(name)) return [name];
  const known = kubeadmNames[command][name];
  if (known) return known;
  // A whole node is cleaned up with all that reset does.
  if (command === 'reset' && ['cleanup-node', 'cleanup-node/all'].includes(name)) return names;
  const group = names.filter((one) => one.startsWith(`${name.replace(/\/all$/, '')}/`));
  return group.length ? group : undefined;
}

/** The phases that were asked for, in their order; all of them when none was. */
export function selectPhases<C extends PhaseContext>(
  phases: readonly Phase<C>[],
  only: readonly string[] | undefined,
): readonly Phase<C>[] {
  return only ? phases.filter(({ name }) => only.includes(name)) : phases;
}
