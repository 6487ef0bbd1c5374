/** The objects of an add-on as text, for `--print-manifest`. */
import type { InitFlags } from '../config/flags.ts';
import { formatYaml } from '../config/format-yaml.ts';
import { initConfigurationOf } from '../config/from-cluster.ts';
import { withKnownEndpoint } from '../endpoint/known-endpoint.ts';
import { observeHost } from '../host/facts.ts';
import { localHost } from '../host/host.ts';
import { dnsObjects, localPathObjects, proxyObjects } from './objects.ts';

/** @param phase `addon/coredns`, `addon/kube-proxy` or `addon/local-path` */
export async function addonManifest(phase: string, flags: InitFlags, configPath?: string): Promise<string> {
  const host = localHost();
  const config = await withKnownEndpoint(host, await initConfigurationOf(await observeHost(host), configPath, flags));
  const objects =
    phase === 'addon/coredns'
      ? dnsObjects(config)
      : phase === 'addon/local-path'
        ? localPathObjects(config.cluster, config.host.storage.directory)
        : proxyObjects(config);
  return objects.map((object) => formatYaml(object)).join('---\n');
}
