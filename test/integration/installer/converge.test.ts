/** What a cluster stores of its settings is what a repeated run reads of it, in a real API server. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { applyObjects } from '../../../src/installer/addons/apply.ts';
import { proxyObjects } from '../../../src/installer/addons/objects.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { InitConfiguration } from '../../../src/installer/config/types.ts';
import { kubeadmConfigObjects, kubeletConfigObjects } from '../../../src/installer/control-plane/cluster-objects.ts';
import { keepStored } from '../../../src/installer/converge/cluster-settings.ts';
import { readStored } from '../../../src/installer/converge/stored-cluster.ts';
import { clusterKubeletConfig } from '../../../src/installer/runtime/kubelet.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const signal = new AbortController().signal;
let plane: ControlPlane;
let client: Client;

beforeAll(async () => {
  plane = await startControlPlane();
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
});
afterAll(async () => {
  client.close();
  await plane.stop();
});

const configOf = (text: string) => resolveInit({}, parseConfig(text, 'test'), identity, []);

/** As init stores them. @returns whether anything changed */
function store(config: InitConfiguration): Promise<boolean> {
  const kubelet = clusterKubeletConfig(config.cluster, 'systemd', config.kubelet);
  const objects = [
    ...kubeadmConfigObjects(config),
    ...kubeletConfigObjects(kubelet, Object.keys(config.kubelet).length > 0),
    ...proxyObjects(config).filter(({ kind }) => kind === 'ConfigMap'),
  ];
  return applyObjects(client, objects, { signal });
}

async function stored() {
  const found = await readStored(client, identity, signal);
  if (!found) throw new Error('the cluster has no configuration');
  return { node: { name: 'cp1', advertiseAddress: '10.0.0.11', bindPort: 6443 }, ...found };
}

const given = `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer: {certSANs: [api.test], extraArgs: [{name: profiling, value: "false"}]}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 99
evictionHard: {memory.available: 200Mi}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
iptables: {syncPeriod: 20s}
`;
const nothing = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n';

it('a cluster without a configuration has nothing to be read', async () => {
  expect(await readStored(client, identity, signal)).toBeUndefined();
});

it('a run that says the same changes nothing, one that says less keeps all, one with --prune takes it away', async () => {
  const first = configOf(given);
  expect(await store(first)).toBe(true);
  const before = await stored();
  expect(before).toMatchObject({
    kubelet: { maxPods: 99, evictionHard: { 'memory.available': '200Mi' } },
    proxy: { iptables: { syncPeriod: '20s' } },
  });
  const again = keepStored(first, before, false);
  expect([again.leftovers, await store(again.config)]).toEqual([[], false]);
  const less = keepStored(configOf(nothing), before, false);
  expect(less.leftovers).toEqual([
    'flag --profiling=false of kube-apiserver',
    'name api.test of the certificate of the API server',
    'KubeletConfiguration.evictionHard.memory.available = 200Mi',
    'KubeletConfiguration.maxPods = 99',
    'KubeProxyConfiguration.iptables.syncPeriod = 20s',
  ]);
  expect(await store(less.config)).toBe(false);
  const pruned = keepStored(configOf(nothing), await stored(), true);
  expect([pruned.leftovers, await store(pruned.config)]).toEqual([[], true]);
  expect(await stored()).toMatchObject({ kubelet: {}, proxy: {}, cluster: { apiServer: { certSANs: [] } } });
  expect(await store(keepStored(configOf(nothing), await stored(), false).config)).toBe(false);
});
