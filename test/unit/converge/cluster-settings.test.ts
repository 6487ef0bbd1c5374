/** What a repeated run keeps, changes, tells and refuses. */
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { Documents } from '../../../src/installer/config/schema.ts';
import { assertFixed, keepStored, withFixedFields } from '../../../src/installer/converge/cluster-settings.ts';
import { fieldsWithout, givenFields, linesOf } from '../../../src/installer/converge/given-fields.ts';
import type { StoredCluster } from '../../../src/installer/converge/stored-cluster.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const read = (cluster: string) =>
  parseConfig(
    `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n${cluster
      .trim()
      .split('\n')
      .map((line) => line.replace(/^ {6}/, ''))
      .join('\n')}\n`,
    'test',
  );

function storedOf(cluster: string, kubelet = {}, proxy = {}): StoredCluster {
  const config = resolveInit({}, read(cluster), identity, []);
  const { networking, clusterName, certificatesDir, etcd } = config.cluster;
  const document = { ...read(cluster).documents.ClusterConfiguration, networking, clusterName, certificatesDir, etcd };
  return {
    node: { name: 'cp1', advertiseAddress: '10.0.0.11', bindPort: 6443 },
    document: document as NonNullable<Documents['ClusterConfiguration']>,
    cluster: config.cluster,
    kubelet,
    proxy,
  };
}

const settle = (given: string, stored: StoredCluster, prune = false) => {
  const said = read(given).documents.ClusterConfiguration;
  const config = resolveInit({}, withFixedFields(read(given), stored), identity, []);
  assertFixed(config, stored);
  return keepStored(config, stored, prune, said);
};

const flags = `
      apiServer: {certSANs: [api.test, old.test], extraArgs: [{name: v, value: "2"}, {name: profiling, value: "false"}]}
      featureGates: {PublicKeysECDSA: false}`;

describe('a repeated run', () => {
  it('keeps and tells what is not given any more', () => {
    const { config, leftovers } = settle(
      'apiServer: {certSANs: [api.test, new.test], extraArgs: [{name: v, value: "4"}]}',
      storedOf(flags, { maxPods: 50, evictionHard: { 'memory.available': '100Mi' } }, { mode: 'iptables' }),
    );
    expect(config.cluster.apiServer.extraArgs).toEqual([
      { name: 'v', value: '4' },
      { name: 'profiling', value: 'false' },
    ]);
    expect(config.cluster.apiServer.certSANs).toEqual(['api.test', 'old.test', 'new.test']);
    expect(config.kubelet).toEqual({ maxPods: 50, evictionHard: { 'memory.available': '100Mi' } });
    expect(leftovers).toEqual([
      'feature gate PublicKeysECDSA=false',
      'flag --profiling=false of kube-apiserver',
      'name old.test of the certificate of the API server',
      'KubeletConfiguration.maxPods = 50',
      'KubeletConfiguration.evictionHard.memory.available = 100Mi',
      'KubeProxyConfiguration.mode = iptables',
    ]);
  });

  it('changes nothing by order alone', () => {
    const { config } = settle(
      'apiServer: {certSANs: [old.test, api.test], extraArgs: [{name: profiling, value: "false"}, {name: v, value: "2"}]}',
      storedOf(flags),
    );
    expect(config.cluster.apiServer).toEqual(storedOf(flags).cluster.apiServer);
  });

  it('takes it away when told so', () => {
    const given = 'apiServer: {certSANs: [api.test], extraArgs: [{name: v, value: "2"}]}';
    const { config, leftovers } = settle(given, storedOf(flags, { maxPods: 50 }), true);
    expect(config.cluster.apiServer.extraArgs).toEqual([{ name: 'v', value: '2' }]);
    expect(config.cluster.apiServer.certSANs).toEqual(['api.test']);
    expect([config.kubelet, config.cluster.featureGates, leftovers]).toEqual([{}, {}, []]);
  });

  it('without any settings leaves a cluster as it is', () => {
    const before = storedOf(`
      clusterName: east
      imageRepository: registry.test/east
      controlPlaneEndpoint: api.test:6443
      networking: {podSubnet: 10.1.0.0/16, serviceSubnet: 10.2.0.0/16, dnsDomain: east.test}
      etcd: {local: {dataDir: /data/etcd}}
      scheduler: {extraArgs: [{name: v, value: "3"}]}`);
    expect(settle('{}'.replace('{}', 'kubernetesVersion: v1.36.2'), before).config.cluster).toEqual(before.cluster);
  });

  it.each([
    ['networking: {podSubnet: 10.9.0.0/16}', 'networking.podSubnet is 10.244.0.0/16 in this cluster, and 10.9.0.0/16'],
    ['networking: {serviceSubnet: 10.9.0.0/16}', 'networking.serviceSubnet is 10.96.0.0/12'],
    ['networking: {dnsDomain: west.test}', 'networking.dnsDomain is cluster.local'],
    ['clusterName: west', 'clusterName is kubernetes in this cluster, and west was given'],
    ['etcd: {local: {dataDir: /elsewhere}}', 'etcd.local.dataDir is /var/lib/etcd'],
    [
      'etcd: {external: {endpoints: ["https://10.0.0.9:2379"], caFile: /ca, certFile: /c, keyFile: /k}}',
      'etcd is local in this cluster, and external was given',
    ],
  ])('refuses %s', (given, seen) => {
    expect(() => settle(given, storedOf('kubernetesVersion: v1.36.2'))).toThrow(
      expect.objectContaining({
        code: 'Validation',
        details: expect.objectContaining({ seen: expect.stringContaining(seen) }),
      }),
    );
  });
});

describe('fields of a document', () => {
  it.each([
    [
      'what differs from the defaults was given',
      { a: 1, b: { c: 2, d: 3 } },
      { a: 1, b: { c: 9, d: 3 }, e: [1] },
      { b: { c: 9 }, e: [1] },
    ],
    ['what depends on the host was not', { cgroupDriver: 'systemd' }, { cgroupDriver: 'cgroupfs' }, {}],
    ['lists are compared as a whole', { a: [1, 2] }, { a: [2, 1] }, { a: [2, 1] }],
  ])('%s', (_, defaults, found, given) => {
    expect(givenFields(defaults, found)).toEqual(given);
  });

  it('of which nothing is said are found at any depth', () => {
    expect(fieldsWithout({ a: 1, b: { c: 2, d: 3 }, e: 1 }, { a: 2, b: { c: 2 } })).toEqual({ b: { d: 3 }, e: 1 });
    expect(linesOf({ a: 'x', b: { c: [1, 2] } }, 'K.')).toEqual(['K.a = x', 'K.b.c = [1,2]']);
  });
});
