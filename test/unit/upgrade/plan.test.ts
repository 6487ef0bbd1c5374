/** What a plan says of a cluster, for people and for programs, and what differs in manifests. */
import { describe, expect, it } from 'vitest';
import { formatConfiguration, formatDifferences, formatPlan } from '../../../src/cli/render/upgrade.ts';
import { withConfigHash } from '../../../src/installer/control-plane/component-config-hash.ts';
import { checkRequested } from '../../../src/installer/phases/run-upgrade.ts';
import { orderFindings } from '../../../src/installer/phases/upgrade-preflight.ts';
import { type UpgradedAddon, upgradedAddon } from '../../../src/installer/upgrade/addons.ts';
import {
  componentConfigs,
  controlPlaneConfiguration,
  networkSettings,
  nodeIdentity,
  type StoredCluster,
  upgradedKubeletConfig,
} from '../../../src/installer/upgrade/configuration.ts';
import type { ClusterState } from '../../../src/installer/upgrade/observe.ts';
import { neededImages, planDocument, planUpgrade, tagOf } from '../../../src/installer/upgrade/plan.ts';
import type { ConfigMap, DaemonSet } from '../../../src/machinery/api/types.ts';
import { kinitVersion, kubernetesVersion } from '../../../src/machinery/version.ts';
import { scratchHost, scratchRoot } from '../installer/scratch.ts';

const before = 'v1.36.1';
const images = { imageRepository: 'kinit.local' };
const bundle = (kinit: string, kubernetes: string) => ({ kinit, kubernetes, folder: `/opt/kinit/${kinit}` });

const map = (name: string, data: Record<string, string>): ConfigMap => ({
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const hashed = (name: string, data: Record<string, string>) =>
  withConfigHash([map(name, data)], name, false)[0] as ConfigMap;
const kubelet =
  'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 50\ncgroupDriver: cgroupfs\n';
const proxy = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

function stored(more: Partial<StoredCluster> = {}): StoredCluster {
  const clusterConfiguration = `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: ${before}
clusterName: blue
networking: {dnsDomain: cluster.local, podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
apiServer: {extraArgs: [{name: profiling, value: "false"}]}
`;
  return {
    clusterConfiguration,
    version: before,
    kubelet: map('kubelet-config', { kubelet }),
    proxy: hashed('kube-proxy', { 'config.conf': proxy }),
    ...more,
  };
}

const node = (name: string, roles: string[], version: string, has: string[]) => ({
  name,
  roles,
  version,
  images: has,
  ready: true,
  message: '',
  unschedulable: false,
  address: '',
  pressures: [],
  allImages: true,
});

function clusterOf(version: string): ClusterState {
  const component = (name: string, on?: string, tag = version) => ({
    name,
    ...(on ? { node: on } : {}),
    image: `kinit.local/${name === 'coredns' ? 'coredns/coredns' : name}:${tag}`,
    ready: true,
  });
  return {
    stored: stored({ version }),
    apiServers: [version],
    nodes: [
      node('cp1', ['control-plane'], version, neededImages(['control-plane'], images)),
      node('w1', [], version, ['kinit.local/pause:3.10.1']),
    ],
    components: [
      component('coredns'),
      component('etcd', 'cp1', '3.5.16-0'),
      component('kube-apiserver', 'cp1'),
      component('kube-controller-manager', 'cp1'),
      component('kube-proxy'),
      component('kube-scheduler', 'cp1'),
      component('kinit-network'),
    ],
    configs: componentConfigs(stored()),
  };
}

const planOf = (version: string, manifests: string[] = []) =>
  planUpgrade({
    state: clusterOf(version),
    from: bundle('v0.0.9', version),
    to: bundle('v0.1.0', kubernetesVersion),
    images,
    manifests,
  });

describe('a plan', () => {
  it("lists each component with the version that it has and will have, in kubeadm's order", () => {
    const { components, kubelets, missingImages, changes, findings } = planOf(before);
    const rows = components.map(({ name, node: on, current, target }) => [name, on, current, target]);
    expect(rows).toEqual([
      ['kube-apiserver', 'cp1', before, kubernetesVersion],
      ['kube-controller-manager', 'cp1', before, kubernetesVersion],
      ['kube-scheduler', 'cp1', before, kubernetesVersion],
      ['kube-proxy', undefined, before, kubernetesVersion],
      ['kinit-network', undefined, before, kubernetesVersion],
      ['coredns', undefined, before, kubernetesVersion],
      ['etcd', 'cp1', '3.5.16-0', '3.5.16-0'],
    ]);
    expect(kubelets.map(({ node: on, current }) => [on, current])).toEqual([
      ['cp1', before],
      ['w1', before],
    ]);
    expect(Object.keys(missingImages)).toEqual(['w1']);
    expect([changes, findings]).toEqual([true, []]);
  });

  it('leaves etcd out when etcd is not to be upgraded', () => {
    const plan = planUpgrade({
      state: clusterOf(before),
      from: bundle('v0.0.9', before),
      to: bundle('v0.1.0', kubernetesVersion),
      images,
      manifests: [],
      etcdUpgrade: false,
    });
    expect(plan.components.map(({ name }) => name)).not.toContain('etcd');
  });

  it('has nothing to change where all is as the bundle would have it', () => {
    const own = bundle('v0.1.0', kubernetesVersion);
    const input = { state: clusterOf(kubernetesVersion), from: own, to: own, images };
    expect(planUpgrade({ ...input, manifests: [] }).changes).toBe(false);
    expect(planUpgrade({ ...input, manifests: ['/etc/kubernetes/manifests/etcd.yaml'] }).changes).toBe(true);
    expect(planUpgrade({ ...input, manifests: [], from: bundle('v0.0.9', kubernetesVersion) }).changes).toBe(true);
  });

  it('is printed as tables', () => {
    const text = formatPlan(planOf(before, ['/etc/kubernetes/manifests/etcd.yaml']));
    expect(text).toContain(`[upgrade/versions] Cluster version: ${before}\n`);
    expect(text).toMatch(/COMPONENT +NODE +CURRENT +TARGET\nkubelet +cp1 +v1\.36\.1 +v1\.36\.2\nkubelet +w1 /);
    expect(text).toContain('Upgrade to the latest version in the v1.36 series:');
    expect(text).toContain(`kinit upgrade apply ${kubernetesVersion}`);
    expect(text).toContain('\t/etc/kubernetes/manifests/etcd.yaml\n');
    expect(text).toContain('Nodes that do not have all images of the new version yet: w1');
    expect(text).toMatch(
      /kubelet-config +kubelet\.config\.k8s\.io +v1beta1 +v1beta1 +kept: it was changed in the cluster\n/,
    );
    expect(text).toMatch(/kube-proxy +kubeproxy\.config\.k8s\.io +v1alpha1 +v1alpha1 +made anew\n/);
  });

  it("is kubeadm's document for programs", () => {
    expect(planDocument(planOf(before))).toMatchObject({
      kind: 'UpgradePlan',
      apiVersion: 'output.kubeadm.k8s.io/v1alpha3',
      availableUpgrades: [
        {
          components: expect.arrayContaining([
            { name: 'kubelet', currentVersion: before, newVersion: kubernetesVersion, nodeName: 'w1' },
            { name: 'kube-proxy', currentVersion: before, newVersion: kubernetesVersion },
          ]),
        },
      ],
      configVersions: [
        {
          group: 'kubelet.config.k8s.io',
          currentVersion: 'v1beta1',
          preferredVersion: 'v1beta1',
          manualUpgradeRequired: false,
        },
        {
          group: 'kubeproxy.config.k8s.io',
          currentVersion: 'v1alpha1',
          preferredVersion: 'v1alpha1',
          manualUpgradeRequired: false,
        },
      ],
    });
  });

  it.each([
    ['kinit.local/kube-proxy:v1.36.2', 'v1.36.2'],
    ['registry.example.com:5000/kube-proxy', ''],
    ['registry.example.com:5000/kube-proxy:v1@sha256:abc', 'v1'],
  ])('reads the version of %s', (image, tag) => {
    expect(tagOf(image)).toBe(tag);
  });
});

describe('the version on the command line', () => {
  it.each([undefined, kubernetesVersion, kubernetesVersion.slice(1), 'stable'])('may be %s', (version) => {
    expect(() => checkRequested(version, kubernetesVersion)).not.toThrow();
  });

  it("is none but the bundle's", () => {
    expect(() => checkRequested('1.37.0', kubernetesVersion)).toThrow(
      `this kinit upgrades to ${kubernetesVersion}, not to v1.37.0`,
    );
  });

  it("is the cluster's before another host than the first is upgraded", () => {
    expect(orderFindings('v1.36.2', 'v1.36.2')).toEqual([]);
    expect(orderFindings('v1.36.1', 'v1.36.2')).toMatchObject([{ check: 'VersionSkew', level: 'error' }]);
  });
});

describe('configurations of components', () => {
  it('are kept when their owner has changed them, and made anew otherwise', () => {
    const changed = {
      ...hashed('kube-proxy', { 'config.conf': proxy }),
      data: { 'config.conf': `${proxy}mode: nftables\n` },
    };
    const whose = (state: StoredCluster) =>
      componentConfigs(state).map(({ name, userSupplied }) => [name, userSupplied]);
    expect(whose(stored())).toEqual([
      ['kubelet-config', true],
      ['kube-proxy', false],
    ]);
    expect(whose(stored({ proxy: changed }))).toEqual([
      ['kubelet-config', true],
      ['kube-proxy', true],
    ]);
  });

  it('of the kubelets keep the cgroup driver, also when they are made anew', async () => {
    const config = await controlPlaneConfiguration(
      scratchHost(scratchRoot()),
      { hostname: 'cp1', address: '10.0.0.1' },
      stored(),
      { nodeName: 'cp1', criSocket: '' },
    );
    expect(upgradedKubeletConfig(config.cluster, stored())).toMatchObject({
      userSupplied: true,
      document: { maxPods: 50 },
    });
    const own = upgradedKubeletConfig(config.cluster, { kubelet: hashed('kubelet-config', { kubelet }) });
    expect(own).toMatchObject({
      userSupplied: false,
      document: { cgroupDriver: 'cgroupfs', clusterDomain: 'cluster.local' },
    });
    expect(own.document).not.toHaveProperty('maxPods');
  });

  it("of the pod network are the cluster's", () => {
    expect(
      networkSettings(
        map('kinit-network', { 'net-conf.json': '{"network":"10.244.0.0/16","backend":"host-gw","mtu":1400}' }),
      ),
    ).toEqual({ backend: 'host-gw', mtu: 1400 });
    expect(networkSettings(undefined)).toEqual({ backend: 'vxlan' });
  });
});

describe('an add-on', () => {
  const objectsOf = async (name: UpgradedAddon, state: StoredCluster) => {
    const facts = { hostname: 'cp1', address: '10.0.0.1' };
    const host = scratchHost(scratchRoot());
    const config = await controlPlaneConfiguration(host, facts, state, { nodeName: 'cp1', criSocket: '' });
    const objects = upgradedAddon(name, config, state, []);
    const maps = objects.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata?.name);
    const workload = objects.find(({ kind }) => kind === 'DaemonSet' || kind === 'Deployment') as unknown as DaemonSet;
    return { maps, template: workload.spec!.template };
  };

  it.each([
    ['network', 'kinit-network', ['kinit-network']],
    ['proxy', 'kube-proxy', ['kube-proxy']],
    ['dns', 'coredns/coredns', ['coredns']],
  ] as const)('%s gets the new image, and the version of kinit', async (name, image, wanted) => {
    const { maps, template } = await objectsOf(name, stored());
    expect(maps).toEqual(wanted);
    expect(template.spec?.containers[0]?.image).toBe(`kinit.local/${image}:${kubernetesVersion}`);
    expect(template.metadata?.annotations).toMatchObject({ 'kinit.local/version': kinitVersion });
  });

  it('keeps what its owner has written', async () => {
    const own = stored({
      proxy: map('kube-proxy', { 'config.conf': proxy }),
      dns: map('coredns', { Corefile: '.:53 {}' }),
    });
    expect((await objectsOf('proxy', own)).maps).toEqual([]);
    expect((await objectsOf('dns', own)).maps).toEqual([]);
  });
});

describe('the configuration of a control plane', () => {
  it('is the stored one with the new version, and with what its own files say of the host', async () => {
    const host = scratchHost(
      scratchRoot({
        '/etc/kubernetes/manifests/kube-apiserver.yaml':
          '    - --advertise-address=10.0.0.7\n    - --secure-port=7443\n',
        '/var/lib/kubelet/kubeadm-flags.env': 'KUBELET_KUBEADM_ARGS="--hostname-override=blue-1 --node-ip=10.0.0.7"\n',
        '/var/lib/kubelet/instance-config.yaml': 'containerRuntimeEndpoint: unix:///run/x.sock\n',
      }),
    );
    const identity = await nodeIdentity(host, 'CP1');
    expect(identity).toEqual({ nodeName: 'blue-1', criSocket: 'unix:///run/x.sock' });
    const config = await controlPlaneConfiguration(host, { hostname: 'cp1', address: '10.0.0.1' }, stored(), identity);
    expect(config.localAPIEndpoint).toEqual({ advertiseAddress: '10.0.0.7', bindPort: 7443 });
    expect(config.nodeRegistration).toMatchObject({ name: 'blue-1', criSocket: 'unix:///run/x.sock' });
    expect(config.cluster).toMatchObject({ kubernetesVersion, clusterName: 'blue' });
    expect(config.cluster.apiServer.extraArgs).toEqual([{ name: 'profiling', value: 'false' }]);
  });

  it("is that of the host's name where nothing else is said", async () => {
    expect(await nodeIdentity(scratchHost(scratchRoot()), 'CP1')).toEqual({ nodeName: 'cp1', criSocket: '' });
  });
});

describe('a configuration', () => {
  it('is set off from what is said around it', () => {
    expect(formatConfiguration('kind: A\nb:\n  c: 1\n')).toBe(
      '[upgrade/config] Configuration used:\n\tkind: A\n\tb:\n\t  c: 1\n',
    );
  });
});

describe('differences', () => {
  it('are those of diff -u, with as many lines around as are wanted', () => {
    const lines = (version: string) => `a\nb\nimage: x:${version}\nc\nd\n`;
    const path = '/etc/kubernetes/manifests/etcd.yaml';
    const difference = { name: 'etcd' as const, path, before: lines('1'), after: lines('2') };
    expect(formatDifferences([difference], 1)).toBe(
      `--- ${path}\n+++ new manifest\n@@ -2,3 +2,3 @@\n b\n-image: x:1\n+image: x:2\n c\n`,
    );
    expect(formatDifferences([{ ...difference, before: '' }], 0)).toMatch(/^--- \/dev\/null\n/);
    expect(formatDifferences([], 3)).toBe('');
  });
});
