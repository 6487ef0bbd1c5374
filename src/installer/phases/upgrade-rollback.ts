/** `kinit upgrade rollback`: a host goes back to the bundle that it came from, and says what of the cluster stays new. */
import type { ConfigMap } from '../../machinery/api/types.ts';
import { configMaps } from '../../machinery/client/resources.ts';
import type { Client } from '../../machinery/client/types.ts';
import { observeForUpgrade } from '../upgrade/observe.ts';
import { rollBack } from '../upgrade/rollback.ts';
import type { UpgradeState } from '../upgrade/state.ts';
import type { Phase, PhaseContext } from './engine.ts';

export interface RollbackContext extends PhaseContext {
  state: UpgradeState;
  isPlane: boolean;
  nodeName: string;
  timeoutMs: number;
  client(): Promise<Client>;
}

/** Text of a ClusterConfiguration with another version; nothing else of it changes. */
export const withVersion = (configuration: string, version: string): string =>
  configuration.replace(/^kubernetesVersion: .*$/m, `kubernetesVersion: ${version}`);

export const rollbackPhases: readonly Phase<RollbackContext>[] = [
  {
    name: 'host',
    title: 'Go back to the earlier bundle',
    run: (context) => rollBack(context),
  },
  {
    name: 'upload-config',
    title: "Store the earlier version in the cluster's configuration",
    needed: ({ host, isPlane }) => !host.dryRun && isPlane,
    async run({ client, signal, state, warn }) {
      const api = await client();
      const { apiServers, components } = await observeForUpgrade(api, signal);
      const { from, to } = state;
      if (from.kubernetes === to.kubernetes) return false;
      if (apiServers.includes(to.kubernetes)) {
        warn(`other control planes are ${to.kubernetes}: the cluster's configuration keeps that version`);
        return false;
      }
      if (components.some(({ node, image }) => node === undefined && image.endsWith(`:${to.kubernetes}`))) {
        warn(
          `the add-ons stay ${to.kubernetes}; ${from.folder}/bin/kinit init phase addon all brings the earlier ones`,
        );
      }
      const ref = { name: 'kubeadm-config', namespace: 'kube-system' };
      const map: ConfigMap = await api.resource(configMaps).get(ref, { signal });
      const stored = map.data?.['ClusterConfiguration'] ?? '';
      const earlier = withVersion(stored, from.kubernetes);
      if (earlier === stored) return false;
      const body = {
        metadata: { resourceVersion: map.metadata?.resourceVersion },
        data: { ClusterConfiguration: earlier },
      };
      await api.resource(configMaps).patch(ref, body, { type: 'merge', signal });
      return true;
    },
  },
];
