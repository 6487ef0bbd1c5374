/** The objects of an add-on as text, for `--print-manifest`. */

import { builtInAddons } from '../config/addon-values.ts';
import type { InitFlags } from '../config/flags.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { initConfigurationOf } from '../config/from-cluster.ts';
import { withKnownEndpoint } from '../endpoint/known-endpoint.ts';
import { KinitError } from '../errors.ts';
import { observeHost } from '../host/facts.ts';
import { localHost } from '../host/host.ts';
import { addons } from './catalog.ts';
import { declaredAddon } from './desired.ts';

/** @param phase for example `addon/coredns` */
export async function addonManifest(phase: string, flags: InitFlags, configPath?: string): Promise<string> {
  const host = localHost();
  const config = await withKnownEndpoint(host, await initConfigurationOf(await observeHost(host), configPath, flags));
  const name = builtInAddons.find((one) => `addon/${addons[one].phase}` === phase);
  if (!name) throw new KinitError('Internal', `${phase} is no phase of an add-on of kinit's`);
  const objects = addons[name].objects(config, declaredAddon(config, name)?.values ?? {});
  return objects.map((object) => formatYaml(object)).join('---\n');
}
