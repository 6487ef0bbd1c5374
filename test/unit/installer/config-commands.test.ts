/** kinit config validate, migrate, print and images. */
import { describe, expect, it } from 'vitest';
import { proxyConfiguration } from '../../../src/installer/addons/objects.ts';
import { migrateConfig } from '../../../src/installer/config/migrate.ts';
import { printInitDefaults, printJoinDefaults, printResetDefaults } from '../../../src/installer/config/print.ts';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveReset } from '../../../src/installer/config/reset.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { imagesDocument, referencesOf } from '../../../src/installer/runtime/image-list.ts';
import { clusterKubeletConfig } from '../../../src/installer/runtime/kubelet.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const kubelet = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
const proxy = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
const reset = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n';
const cluster = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n';
const join = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n';

describe('a configuration file is checked down to the fields of its components', () => {
  it.each([
    [`${kubelet}maxPod: 3\n`, 'c:3:1: unknown field "maxPod" in KubeletConfiguration; did you mean "maxPods"?'],
    [
      `${kubelet}authentication:\n  anonymus: {}\n`,
      'c:4:3: unknown field "anonymus" in KubeletConfiguration.authentication; did you mean "anonymous"?',
    ],
    [`${kubelet}maxPods: "3"\n`, 'c:3:1: KubeletConfiguration.maxPods: expected number, received string "3"'],
    [
      `${kubelet}syncFrequency: 10 s\n`,
      'c:3:1: KubeletConfiguration.syncFrequency: "10 s" is not a duration like 1m30s',
    ],
    [
      `${kubelet}evictionHard:\n  memory.available: 100\n`,
      'c:4:3: KubeletConfiguration.evictionHard.memory.available: expected string, received number 100',
    ],
    [
      `${proxy}iptables:\n  syncPeriods: 1s\n`,
      'c:4:3: unknown field "syncPeriods" in KubeProxyConfiguration.iptables; did you mean "syncPeriod"?',
    ],
    [
      `${reset}unmountFlags: [MNT_DETCH]\n`,
      'c:3:16: ResetConfiguration.unmountFlags[0] must be one of "MNT_FORCE", "MNT_DETACH", "UMOUNT_NOFOLLOW"; it is "MNT_DETCH"; did you mean "MNT_DETACH"?',
    ],
    [
      `${cluster}etcd:\n  external: {}\n`,
      'c:4:3: ClusterConfiguration.etcd.external.endpoints: expected array, received undefined',
    ],
    [
      `${join}discovery:\n  tlsBootstrapToken: 123456\n`,
      'c:4:3: JoinConfiguration.discovery.tlsBootstrapToken: expected string, received number',
    ],
  ])('%j', (text, message) => expect(() => parseConfig(text, 'c')).toThrow(expect.objectContaining({ message })));

  it('lists all mistakes in the order of the lines', () => {
    const text = `${cluster}networking:\n  podSubnt: x\nclusterName: 3\n---\n${kubelet}maxPods: many\n`;
    expect(() => parseConfig(text, 'c')).toThrow(/^c:4:3: .*\nc:5:1: .*\nc:9:1: .*$/);
  });

  it('takes complete documents of every kind', () => {
    const text = [
      `${reset}cleanupTmpDir: true\nforce: true\nunmountFlags: [MNT_DETACH]\ntimeouts:\n  etcdAPICall: 2m0s\n`,
      `${kubelet}evictionHard: {memory.available: 5%}\nlogging: {format: json, flushFrequency: 5s}\nreservedMemory:\n- {numaNode: 0, limits: {memory: 1Gi}}\n`,
      `${proxy}mode: iptables\nconntrack: {maxPerCore: 0, tcpEstablishedTimeout: null}\n`,
      'apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\napply: {forceUpgrade: true}\n',
    ].join('---\n');
    expect(Object.keys(parseConfig(text, 'c').documents)).toHaveLength(4);
  });
});

describe('a component configuration of the user', () => {
  it('changes single fields of nested objects and leaves their neighbours', () => {
    const text = `${kubelet}authentication:\n  anonymous: {enabled: true}\n---\n${proxy}clientConnection: {qps: 7}\n`;
    const config = resolveInit({}, parseConfig(text, 'c'), identity, []);
    expect(clusterKubeletConfig(config.cluster, 'systemd', config.kubelet)['authentication']).toEqual({
      anonymous: { enabled: true },
      webhook: { cacheTTL: '0s', enabled: true },
      x509: { clientCAFile: '/etc/kubernetes/pki/ca.crt' },
    });
    expect(proxyConfiguration(config)['clientConnection']).toMatchObject({
      qps: 7,
      kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf',
    });
  });
});

describe('kinit config migrate', () => {
  const old = `apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
apiServer:
  extraArgs: {v: "4", audit-log-path: /var/log/a}
  timeoutForControlPlane: 6m0s
etcd:
  local:
    extraArgs: {quota-backend-bytes: "1"}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: JoinConfiguration
discovery:
  bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: "a:6443", unsafeSkipCAVerification: true}
  timeout: 7m0s
nodeRegistration:
  kubeletExtraArgs: {node-labels: a=b}
---
${kubelet}maxPods: 20
`;
  it('turns maps of arguments into lists and moves timeouts; the rest stays', () => {
    const { documents } = parseConfig(migrateConfig(old, 'old.yaml'), 'new.yaml');
    expect(documents.ClusterConfiguration?.apiServer).toEqual({
      extraArgs: [
        { name: 'audit-log-path', value: '/var/log/a' },
        { name: 'v', value: '4' },
      ],
    });
    expect(documents.ClusterConfiguration?.etcd?.local?.extraArgs).toEqual([
      { name: 'quota-backend-bytes', value: '1' },
    ]);
    expect(documents.InitConfiguration?.timeouts).toEqual({ controlPlaneComponentHealthCheck: '6m0s' });
    expect(documents.JoinConfiguration?.timeouts).toEqual({ discovery: '7m0s' });
    expect(documents.JoinConfiguration?.nodeRegistration?.kubeletExtraArgs).toEqual([
      { name: 'node-labels', value: 'a=b' },
    ]);
    expect(documents.KubeletConfiguration).toMatchObject({ maxPods: 20 });
  });
  it('leaves a migrated file as it is', () => {
    const once = migrateConfig(old, 'old.yaml');
    expect(migrateConfig(once, 'new.yaml')).toBe(once);
  });
  it.each([
    ['a: 1\n', 'x has no document of kubeadm.k8s.io'],
    ['apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nfoo: 1\n', 'unknown field "foo"'],
  ])('refuses %j', (text, message) => expect(() => migrateConfig(text, 'x')).toThrow(message));
});

describe('a ResetConfiguration', () => {
  const resolve = (text: string, flags = {}) => resolveReset(flags, parseConfig(text, 'c'));
  it('is what flags leave open', () => {
    const text = `${reset}criSocket: /run/a.sock\nforce: true\nskipPhases: [cleanup-node/interfaces, preflight]\n`;
    expect(resolve(text, { criSocket: '/run/b.sock' })).toMatchObject({
      criSocket: '/run/b.sock',
      force: true,
      skipPhases: ['cleanup-node/interfaces', 'preflight'],
    });
  });
  it.each([
    [
      `${reset}skipPhases: [cleanup-nodes]\n`,
      'c:3:14: there is no phase "cleanup-nodes"; did you mean "cleanup-node"?',
    ],
    [cluster, 'the configuration file has no ResetConfiguration'],
  ])('is refused: %j', (text, message) => expect(() => resolve(text)).toThrow(message));
});

describe('printed defaults', () => {
  it('are valid files', async () => {
    const components = ['KubeletConfiguration', 'KubeProxyConfiguration'];
    for (const text of [
      await printInitDefaults(components),
      await printJoinDefaults(components),
      printResetDefaults(),
    ]) {
      expect(() => parseConfig(text, 'c')).not.toThrow();
    }
  });
  it('know the names of component configurations', async () => {
    await expect(printInitDefaults(['KubeletConfigurations'])).rejects.toThrow('did you mean "KubeletConfiguration"?');
  });
});

describe('the list of images', () => {
  it('follows the repository, the tags and what is disabled', () => {
    const text = `${cluster}imageRepository: registry.example.test/k8s\ndns: {imageTag: v1}\nproxy: {disabled: true}\n`;
    const list = referencesOf(resolveInit({}, parseConfig(text, 'c'), identity, []));
    expect(list[0]).toMatch(/^registry\.example\.test\/k8s\/kube-apiserver:v1\.36\.\d+$/);
    expect(list).toContain('registry.example.test/k8s/coredns:v1');
    expect(list.join()).not.toContain('kube-proxy');
  });
  it('is an Images document for programs', () => {
    const document = imagesDocument(resolveInit({}, noConfig, identity, []));
    expect(document).toMatchObject({ kind: 'Images', apiVersion: 'output.kubeadm.k8s.io/v1alpha3' });
  });
});
