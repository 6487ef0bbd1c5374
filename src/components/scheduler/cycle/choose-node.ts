/** The choice of a node for one pod: filter, then score. Runs without waiting, so the nodes do not change meanwhile. */
import type { Snapshot } from '../cache/snapshot.ts';
import { CycleState } from '../framework/cycle-state.ts';
import type { NodeInfo } from '../framework/node-info.ts';
import type { Diagnosis } from '../framework/plugin.ts';
import type { PodInfo } from '../framework/pod-info.ts';
import type { Profile } from '../framework/profile.ts';
import { unresolvable } from '../framework/status.ts';

export type Choice =
  | { fits: true; nodeName: string; state: CycleState }
  | { fits: false; diagnosis: Diagnosis; state: CycleState };

export interface ChooserOptions {
  /** Of the nodes, how many suffice to be found fit, in percent; 0 chooses by their number. */
  percentageOfNodesToScore?: number;
  random?: () => number;
}

const fewestNodes = 100;

/** In large clusters not every fit node is looked for. */
export function nodesToFind(total: number, percentage = 0): number {
  if (total < fewestNodes || percentage >= 100) return total;
  const percent = percentage || Math.max(5, 50 - Math.floor(total / 125));
  return Math.max(fewestNodes, Math.floor((total * percent) / 100));
}

const emptyDiagnosis = (): Diagnosis => ({
  nodeToStatus: new Map(),
  absentNodes: unresolvable(),
  unschedulablePlugins: new Set(),
  pendingPlugins: new Set(),
  preFilterMessage: '',
  postFilterMessage: '',
});

export function createChooser({ percentageOfNodesToScore = 0, random = Math.random }: ChooserOptions = {}) {
  let start = 0;

  /** The fit ones, beginning where the last search ended, so that all nodes get their turn. */
  const feasible = (
    profile: Profile,
    state: CycleState,
    info: PodInfo,
    nodes: readonly NodeInfo[],
    into: Diagnosis,
  ) => {
    const found: NodeInfo[] = [];
    const enough = nodesToFind(nodes.length, percentageOfNodesToScore);
    let looked = 0;
    for (; looked < nodes.length && found.length < enough; looked += 1) {
      const node = nodes[(start + looked) % nodes.length] as NodeInfo;
      const refused = profile.filterWithNominated(state, info, node);
      if (!refused) found.push(node);
      else {
        into.nodeToStatus.set(node.name, refused);
        if (refused.plugin) into.unschedulablePlugins.add(refused.plugin);
      }
    }
    start = nodes.length > 0 ? (start + looked) % nodes.length : 0;
    return found;
  };

  return (profile: Profile, info: PodInfo, snapshot: Snapshot): Choice => {
    const state = new CycleState();
    const diagnosis = emptyDiagnosis();
    const { status, nodeNames, rejectedBy } = profile.preFilter(state, info, snapshot);
    if (status) {
      diagnosis.absentNodes = status;
      diagnosis.preFilterMessage = status.reasons.join(', ');
      const into = status.code === 'Pending' ? diagnosis.pendingPlugins : diagnosis.unschedulablePlugins;
      for (const name of rejectedBy) into.add(name);
      return { fits: false, diagnosis, state };
    }
    let nodes = snapshot.nodes;
    const nominated = snapshot.get(info.pod.status?.nominatedNodeName ?? '');
    if (nominated && !profile.filterWithNominated(state, info, nominated)) nodes = [nominated];
    else if (nodeNames) {
      nodes = [...nodeNames].flatMap((name) => snapshot.get(name) ?? []);
      diagnosis.absentNodes = unresolvable(`node(s) didn't satisfy plugin(s) [${rejectedBy.toSorted().join(' ')}]`);
      for (const name of rejectedBy) diagnosis.unschedulablePlugins.add(name);
    }
    const fit = feasible(profile, state, info, nodes, diagnosis);
    if (fit.length === 0) return { fits: false, diagnosis, state };
    const only = fit.length === 1 ? fit[0] : undefined;
    const nodeName = only?.name ?? best(fit, profile.score(state, info, fit), random);
    return { fits: true, nodeName, state };
  };
}

/** Among equals any. */
function best(nodes: readonly NodeInfo[], scores: readonly number[], random: () => number): string {
  const highest = Math.max(...scores);
  const candidates = nodes.filter((_, i) => scores[i] === highest);
  return (candidates[Math.floor(random() * candidates.length)] as NodeInfo).name;
}
