/** Manifests that an inventory or a configuration file names, read where the command is typed: hosts get their text. */
import { dirname } from 'node:path';
import { parseManifests, readManifests } from '../addons/manifests.ts';
import { builtInAddon, type DeclaredAddon } from '../config/addon-values.ts';
import type { Plan } from './plan.ts';

async function withTexts(addons: DeclaredAddon[], folder: string): Promise<DeclaredAddon[]> {
  return Promise.all(
    addons.map(async (addon) => {
      if (!addon.manifests || builtInAddon(addon.name) || addon.enabled === false) return addon;
      const manifests = await readManifests(addon.manifests, folder);
      parseManifests(manifests);
      return { ...addon, manifests };
    }),
  );
}

/** @throws KinitError Validation before any host is reached */
export async function withManifests(plan: Plan): Promise<Plan> {
  const { inventory, given } = plan;
  const { HostConfiguration } = given;
  const addons = inventory.addons && (await withTexts(inventory.addons, dirname(inventory.path)));
  const others = HostConfiguration?.addons && (await withTexts(HostConfiguration.addons, '.'));
  return {
    ...plan,
    inventory: { ...inventory, ...(addons ? { addons } : {}) },
    given:
      HostConfiguration && others ? { ...given, HostConfiguration: { ...HostConfiguration, addons: others } } : given,
  };
}
