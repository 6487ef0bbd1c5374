/** Runs the extension points of a profile's plugins in order. Synchronous up to the choice of a node. */
import type { Snapshot } from '../cache/snapshot.ts';
import type { CycleState } from './cycle-state.ts';
import type { NodeInfo } from './node-info.ts';
import {
  type Diagnosis,
  type FilterRunner,
  maxNodeScore,
  type Nominations,
  type PostFilterResult,
  type PreFilterResult,
  type SchedulerPlugin,
} from './plugin.ts';
import type { PodInfo } from './pod-info.ts';
import { isRejection, PluginError, type Status, unresolvable } from './status.ts';

export interface WeightedPlugin {
  plugin: SchedulerPlugin;
  /** Of its scores; 1 when it has none. */
  weight: number;
}

export interface Profile extends FilterRunner {
  readonly name: string;
  readonly plugins: readonly SchedulerPlugin[];
  preEnqueue(info: PodInfo): Status | undefined;
  preFilter(state: CycleState, info: PodInfo, snapshot: Snapshot): PreFilterResult & { rejectedBy: string[] };
  postFilter(state: CycleState, info: PodInfo, diagnosis: Diagnosis): Promise<PostFilterResult | undefined>;
  /** Total score of each node, in their order. */
  score(state: CycleState, info: PodInfo, nodes: readonly NodeInfo[]): number[];
  reserve(state: CycleState, info: PodInfo, nodeName: string): Status | undefined;
  unreserve(state: CycleState, info: PodInfo, nodeName: string): void;
  bind(state: CycleState, info: PodInfo, nodeName: string): Promise<Status | undefined>;
  /** Whether binding may wait for something outside, for as long as that takes. */
  mayWait(state: CycleState, info: PodInfo, nodeName: string): boolean;
}

/** The status with its plugin's name; throws for `Error`. */
function named(plugin: SchedulerPlugin, point: string, found: Status | undefined): Status | undefined {
  if (!found) return undefined;
  if (found.code === 'Error') throw new PluginError(plugin.name, point, found.reasons);
  return { ...found, plugin: plugin.name };
}

export function createProfile(name: string, weighted: readonly WeightedPlugin[], nominations: Nominations): Profile {
  const plugins = weighted.map(({ plugin }) => plugin);
  const filters = plugins.filter((plugin) => plugin.filter);
  const scorers = weighted.filter(({ plugin }) => plugin.score);

  const filter = (state: CycleState, info: PodInfo, node: NodeInfo): Status | undefined => {
    for (const plugin of filters) {
      if (state.skippedFilters.has(plugin.name)) continue;
      const found = plugin.filter?.(state, info, node);
      if (found) return named(plugin, 'Filter', found);
    }
    return undefined;
  };
  const addPod: Profile['addPod'] = (state, info, added, node) => {
    for (const plugin of plugins) if (!state.skippedFilters.has(plugin.name)) plugin.addPod?.(state, info, added, node);
  };
  const removePod: Profile['removePod'] = (state, info, removed, node) => {
    for (const plugin of plugins)
      if (!state.skippedFilters.has(plugin.name)) plugin.removePod?.(state, info, removed, node);
  };

  return {
    name,
    plugins,
    filter,
    addPod,
    removePod,

    /** The pod must fit with the pods of at least its priority that were promised the node, and also without them. */
    filterWithNominated(state, info, node) {
      const promised = nominations
        .on(node.name)
        .filter((other) => other.uid !== info.uid && other.priority >= info.priority);
      if (promised.length > 0) {
        const [withState, withNode] = [state.clone(), node.clone()];
        for (const other of promised) {
          withNode.addPod(other);
          addPod(withState, info, other, withNode);
        }
        const found = filter(withState, info, withNode);
        if (found) return found;
      }
      return filter(state, info, node);
    },

    preEnqueue(info) {
      for (const plugin of plugins) {
        const found = plugin.preEnqueue?.(info.pod);
        if (found) return { ...found, plugin: plugin.name };
      }
      return undefined;
    },

    preFilter(state, info, snapshot) {
      let nodeNames: ReadonlySet<string> | undefined;
      const narrowedBy: string[] = [];
      for (const plugin of plugins) {
        const result = plugin.preFilter?.(state, info, snapshot);
        if (result?.status?.code === 'Skip') {
          state.skippedFilters.add(plugin.name);
          continue;
        }
        const found = named(plugin, 'PreFilter', result?.status);
        if (isRejection(found)) return { status: found, rejectedBy: [plugin.name] };
        if (!result?.nodeNames) continue;
        narrowedBy.push(plugin.name);
        const before: ReadonlySet<string> = nodeNames ?? result.nodeNames;
        const both = new Set([...result.nodeNames].filter((nodeName) => before.has(nodeName)));
        nodeNames = both;
        if (both.size === 0) {
          const message =
            narrowedBy.length === 1
              ? `node(s) didn't satisfy plugin ${narrowedBy[0]}`
              : `node(s) didn't satisfy plugin(s) [${narrowedBy.join(' ')}] simultaneously`;
          return { status: unresolvable(message), rejectedBy: narrowedBy };
        }
      }
      return { ...(nodeNames ? { nodeNames } : {}), rejectedBy: narrowedBy };
    },

    async postFilter(state, info, diagnosis) {
      for (const plugin of plugins) {
        const result = await plugin.postFilter?.(state, info, diagnosis);
        if (result) return result;
      }
      return undefined;
    },

    score(state, info, nodes) {
      const totals = nodes.map(() => 0);
      const taking = scorers.filter(({ plugin }) => {
        const found = plugin.preScore?.(state, info, nodes);
        if (found?.code === 'Skip') return false;
        if (found) throw new PluginError(plugin.name, 'PreScore', found.reasons);
        return true;
      });
      for (const { plugin, weight } of taking) {
        const scores = nodes.map((node) => plugin.score?.(state, info, node) ?? 0);
        plugin.normalize?.(state, info, nodes, scores);
        for (const [i, score] of scores.entries()) {
          if (score < 0 || score > maxNodeScore)
            throw new PluginError(plugin.name, 'Score', [`returns an invalid score ${score}`]);
          totals[i] = (totals[i] as number) + score * weight;
        }
      }
      return totals;
    },

    reserve(state, info, nodeName) {
      for (const plugin of plugins) {
        const found = plugin.reserve?.(state, info, nodeName);
        if (found) return named(plugin, 'Reserve', found);
      }
      return undefined;
    },

    unreserve(state, info, nodeName) {
      for (const plugin of plugins.toReversed()) plugin.unreserve?.(state, info, nodeName);
    },

    mayWait: (state, info, nodeName) =>
      plugins.some((plugin) => plugin.preBind && plugin.preBindPreFlight?.(state, info, nodeName)?.code !== 'Skip'),

    async bind(state, info, nodeName) {
      for (const plugin of plugins) {
        const found = await plugin.preBind?.(state, info, nodeName);
        if (found) return named(plugin, 'PreBind', found);
      }
      for (const plugin of plugins) {
        if (!plugin.bind) continue;
        const found = await plugin.bind(state, info, nodeName);
        if (found?.code !== 'Skip') return found && { ...found, plugin: plugin.name };
      }
      return undefined;
    },
  };
}
