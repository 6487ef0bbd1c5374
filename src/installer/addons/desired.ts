/** Whether an add-on shall be on, and with which values: the configuration's word, what is stored, or the usual, in this order. */
import { isDeepStrictEqual } from 'node:util';
import { type AddonValues, type BuiltInAddon, builtInAddon, type DeclaredAddon } from '../config/addon-values.ts';
import type { InitConfiguration } from '../config/types.ts';
import { addons } from './catalog.ts';
import type { AddonStore, StoredAddon } from './store.ts';

export interface DesiredAddon {
  enabled: boolean;
  values: AddonValues;
  /** `usual`: nobody has said anything. */
  by: StoredAddon['by'] | 'usual';
  /** A configuration named it once; this one does not. */
  unnamed: boolean;
}

export const declaredAddon = (config: Pick<InitConfiguration, 'host'>, name: string): DeclaredAddon | undefined =>
  config.host.addons?.find((declared) => (builtInAddon(declared.name) ?? declared.name) === name);

/** @param prune an add-on that is no longer named is as usual again */
export function desiredAddon(
  name: BuiltInAddon,
  config: InitConfiguration,
  stored: StoredAddon | undefined,
  prune = false,
): DesiredAddon {
  const declared = declaredAddon(config, name);
  if (declared) {
    const { enabled = true, values = {} } = declared;
    return { enabled, values, by: 'configuration', unnamed: false };
  }
  if (stored?.by === 'command')
    return { enabled: stored.enabled, values: stored.values, by: 'command', unnamed: false };
  if (stored && !prune) return { enabled: stored.enabled, values: stored.values, by: 'configuration', unnamed: true };
  return { enabled: addons[name].usual(config), values: {}, by: 'usual', unnamed: stored !== undefined };
}

/** What is to be stored; undefined: nothing. */
export function storedAs({ enabled, values, by }: DesiredAddon): StoredAddon | undefined {
  return by === 'usual' ? undefined : { enabled, values, by };
}

/** Values that were given, or are taken back: what they decide does not stay as somebody else has made it. */
export const decidedValues = (before: StoredAddon | undefined, after: DesiredAddon): Set<string> =>
  new Set([...Object.keys(before?.values ?? {}), ...Object.keys(after.values)]);

export const differs = (before: StoredAddon | undefined, after: StoredAddon | undefined): boolean =>
  !isDeepStrictEqual(before, after);

/** Add-ons with manifests that a configuration has brought and this one does not name. */
export const unnamedManifests = (config: Pick<InitConfiguration, 'host'>, store: AddonStore): string[] =>
  Object.entries(store)
    .filter(([name, { by }]) => by === 'configuration' && !builtInAddon(name) && !declaredAddon(config, name))
    .map(([name]) => name);
