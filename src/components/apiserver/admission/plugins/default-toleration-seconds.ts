/** DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or unreachable, unless they say otherwise. */
import { taintKeys } from '../../../../machinery/api/taints.ts';
import { onOperations, type PluginFactory, podOf } from '../plugin.ts';

export interface TolerationSecondsOptions {
  /** `--default-not-ready-toleration-seconds`. */
  defaultNotReadyTolerationSeconds?: number;
  /** `--default-unreachable-toleration-seconds`. */
  defaultUnreachableTolerationSeconds?: number;
}

export const defaultTolerationSeconds: PluginFactory<TolerationSecondsOptions> = (_deps, options) => {
  const defaults: [string, number][] = [
    [taintKeys.notReady, options.defaultNotReadyTolerationSeconds ?? 300],
    [taintKeys.unreachable, options.defaultUnreachableTolerationSeconds ?? 300],
  ];
  return {
    name: 'DefaultTolerationSeconds',
    handles: onOperations('CREATE', 'UPDATE'),
    admit(attributes) {
      const pod = podOf(attributes);
      if (!pod?.spec) return;
      const own = pod.spec.tolerations ?? [];
      const added = defaults.filter(
        ([key]) =>
          !own.some(
            (toleration) =>
              (!toleration.key || toleration.key === key) && (!toleration.effect || toleration.effect === 'NoExecute'),
          ),
      );
      if (added.length === 0) return;
      pod.spec.tolerations = [
        ...own,
        ...added.map(([key, tolerationSeconds]) => ({
          key,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds,
        })),
      ];
    },
  };
};
