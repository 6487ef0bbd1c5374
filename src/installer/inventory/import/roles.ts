/** Which role an imported host has, guessed from its groups and its name; what is no node at all. */
import type { Role } from '../types.ts';
import { isBastion } from './terraform.ts';
import type { ImportedHost } from './types.ts';

/** A word within a name: `k8s-cp-01`, `master1`, `kube_control_plane`. */
const within = (words: string): RegExp => new RegExp(`(^|[^a-z])(?:${words})(?=[^a-z]|$)`, 'i');
const controlPlane = within('masters?|control[-_. ]?planes?|controlplanes?|controllers?|cp|ctrl');
const worker = within('workers?|nodes?|agents?|minions?|computes?|wrk');
const otherMachine =
  /(^|[^a-z])(lb|load-?balancers?|ha-?proxy|nginx|nfs|registry|etcd|storage|ansible|monitoring|dns|db|database)([^a-z]|$)/i;

export interface GuessedRole {
  roles: Role[];
  /** Shown as a comment. */
  because: string;
}

export interface Guess {
  nodes: { host: ImportedHost; guess: GuessedRole }[];
  /** Hosts that are not written, and why. */
  left: { host: ImportedHost; because: string }[];
}

/** Whether a group is only about the role, so that there is no need to keep it. */
export const isRoleGroup = (group: string): boolean => controlPlane.test(group) || worker.test(group);

/** @param chosen names of control-plane hosts that the user gave */
export function guessRoles(hosts: readonly ImportedHost[], chosen: readonly string[] = []): Guess {
  const guess: Guess = { nodes: [], left: [] };
  // k3s and RKE2 call them servers and agents; a server alone may be anything.
  const withAgents = hosts.some(({ groups }) => groups.some((group) => /^agents?$/i.test(group)));
  const isControlGroup = (group: string) => controlPlane.test(group) || (withAgents && /^servers?$/i.test(group));
  for (const host of hosts) {
    const group = host.groups.find(isControlGroup);
    const workerGroup = host.groups.find((each) => !isControlGroup(each) && worker.test(each));
    const because = (found: string) => `by the group ${found}`;
    let found: GuessedRole;
    if (chosen.length) {
      const named = chosen.includes(host.name);
      found = { roles: named ? ['control-plane'] : ['worker'], because: named ? 'as given' : '' };
    } else if (group && workerGroup) {
      found = { roles: ['control-plane', 'worker'], because: `by the groups ${group} and ${workerGroup}` };
    } else if (group) found = { roles: ['control-plane'], because: because(group) };
    else if (workerGroup) found = { roles: ['worker'], because: because(workerGroup) };
    else if (controlPlane.test(host.name)) found = { roles: ['control-plane'], because: 'by its name' };
    else if (worker.test(host.name)) found = { roles: ['worker'], because: 'by its name' };
    else found = { roles: ['worker'], because: '' };
    const known = group ?? workerGroup;
    const other = [host.name, ...host.groups].find((word) => otherMachine.test(word));
    if (!known && !chosen.includes(host.name) && isBastion(host)) guess.left.push({ host, because: 'a bastion' });
    else if (!known && !chosen.includes(host.name) && other && !found.because)
      guess.left.push({ host, because: `no node: ${other}` });
    else guess.nodes.push({ host, guess: found });
  }
  return { ...guess, nodes: withControlPlane(guess.nodes) };
}

/** There must be a control plane; a host that is alone is everything. */
function withControlPlane(nodes: Guess['nodes']): Guess['nodes'] {
  const [first, ...others] = nodes;
  if (!first) return nodes;
  if (!others.length)
    return [{ host: first.host, guess: { roles: ['control-plane', 'worker'], because: 'the only host' } }];
  if (nodes.some(({ guess }) => guess.roles.includes('control-plane'))) return nodes;
  const because = 'the first host: none is a control plane by its name';
  return [{ host: first.host, guess: { roles: ['control-plane'], because } }, ...others];
}
