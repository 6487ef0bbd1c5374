/** Add-ons with manifests as a configuration names them: applied, taken away, and told when it names them no more. */
import { builtInAddon, type DeclaredAddon } from '../config/addon-values.ts';
import type { InitConfiguration } from '../config/types.ts';
import type { AddonWork } from './change.ts';
import { unnamedManifests } from './desired.ts';
import { type ManifestObject, parseManifests, readManifests } from './manifests.ts';
import { applyOwn, describeSome, type OwnAddon, removeOwn } from './own.ts';
import { type AddonStore, readStore } from './store.ts';

type Hosted = Pick<InitConfiguration, 'host'>;

const ownOf = ({ host }: Hosted): DeclaredAddon[] =>
  (host.addons ?? []).filter(({ name }) => builtInAddon(name) === undefined);

/** Whether init has anything to do with manifests. */
export const hasOwn = (config: Hosted, store: AddonStore): boolean =>
  ownOf(config).length > 0 || unnamedManifests(config, store).length > 0;

/** @throws KinitError Validation for files that cannot be read, and for all that is wrong with them */
export async function ownManifests(config: Hosted): Promise<Map<string, ManifestObject[]>> {
  const found = new Map<string, ManifestObject[]>();
  for (const { name, enabled = true, manifests = [] } of ownOf(config)) {
    if (enabled) found.set(name, parseManifests(await readManifests(manifests)));
  }
  return found;
}

/** @returns whether anything changed */
export async function convergeOwn(
  work: Omit<AddonWork, 'patches'> & { prune: boolean } & Pick<OwnAddon, 'plan'>,
): Promise<boolean> {
  const { client, config, prune, signal, leftover, plan } = work;
  const by = 'configuration';
  let changed = false;
  for (const [name, objects] of await ownManifests(config)) {
    const result = await applyOwn({ client, name, by, prune, signal, ...(plan ? { plan } : {}) }, objects);
    if (result.left.length) leftover?.(`${describeSome(result.left)} of the add-on ${name}`);
    changed ||= result.changed;
  }
  const off = ownOf(config).filter(({ enabled }) => enabled === false);
  const unnamed = unnamedManifests(config, await readStore(client, signal));
  for (const name of prune ? [...off.map((addon) => addon.name), ...unnamed] : off.map((addon) => addon.name)) {
    if ((await removeOwn({ client, name, signal })).length) changed = true;
  }
  if (!prune) for (const name of unnamed) leftover?.(`the add-on ${name}`);
  return changed;
}
