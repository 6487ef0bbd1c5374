/** Every field of v1beta4 does what it says; what cannot be done is refused at its place. */
import { describe, expect, it } from 'vitest';
import { dnsObjects } from '../../../src/installer/addons/objects.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveReset } from '../../../src/installer/config/reset.ts';
import { resolveInit, resolveJoin } from '../../../src/installer/config/resolve.ts';
import { apiServerArguments, controlPlaneManifest } from '../../../src/installer/control-plane/static-pods.ts';
import { etcdManifest } from '../../../src/installer/etcd/static-pod.ts';
import { referencesOf } from '../../../src/installer/runtime/image-list.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const version = 'apiVersion: kubeadm.k8s.io/v1beta4\n';
const cluster = (fields: string) => `${version}kind: ClusterConfiguration\n${fields}`;
const init = (fields: string) => `${version}kind: InitConfiguration\n${fields}`;
const join = (fields: string) =>
  `${version}kind: JoinConfiguration\ndiscovery: {file: {kubeConfigPath: /c}}\n${fields}`;
const resolve = (text: string) => resolveInit({}, parseConfig(text, 'c'), identity, []);

describe('a value that cannot be meant is told with its place', () => {
  it.each([
    [
      cluster('certificateValidityPeriod: 90000h\n'),
      'c:3:1: 90000h is longer than caCertificateValidityPeriod 87600h0m0s',
    ],
    [cluster('caCertificateValidityPeriod: 0s\n'), 'c:3:1: "0s" is not a duration like 8760h'],
    [
      cluster('featureGates: {RootlessControlPlan: true}\n'),
      'c:3:16: unrecognized feature-gate key: RootlessControlPlan; did you mean "RootlessControlPlane"?',
    ],
    [
      cluster('featureGates: {Xyz: true}\n'),
      'c:3:16: unrecognized feature-gate key: Xyz; gates of a component go into its extraArgs: feature-gates',
    ],
    [cluster('scheduler:\n  extraArgs: [{name: --v, value: "3"}]\n'), 'c:4:16: "--v" is to be written without dashes'],
    [cluster('etcd:\n  local:\n    peerCertSANs: [a_b]\n'), 'c:5:20: "a_b" is neither an IP address nor a DNS name'],
    [
      cluster('apiServer:\n  extraVolumes: [{name: a, hostPath: /a, mountPath: /a, pathType: Directry}]\n'),
      'c:4:57: "Directry" is no type of path; did you mean "Directory"?',
    ],
    [init('timeouts: {discovery: 5 min}\n'), 'c:3:12: "5 min" is not a duration like 4m0s'],
    [
      init('bootstrapTokens: [{token: abcdef.0123456789abcdef, expires: tomorrow}]\n'),
      'c:3:52: "tomorrow" is not a time like 2030-01-31T12:00:00Z',
    ],
    [init('nodeRegistration:\n  kubeletExtraArgs: [{name: "", value: a}]\n'), 'c:4:23: an argument without a name'],
    [
      init('nodeRegistration: {imagePullPolicy: Sometimes}\n'),
      'c:3:20: InitConfiguration.nodeRegistration.imagePullPolicy must be one of "Always", "IfNotPresent", "Never"; it is "Sometimes"',
    ],
  ])('%j', (text, message) => expect(() => resolve(text)).toThrow(expect.objectContaining({ message })));

  it('in a JoinConfiguration and a ResetConfiguration, too', () => {
    const joining = parseConfig(join('timeouts: {tlsBootstrap: -1s}\n'), 'c');
    expect(() => resolveJoin({}, joining, identity, [])).toThrow('c:4:12: "-1s" is not a duration like 4m0s');
    expect(() => parseConfig(`${version}kind: JoinConfiguration\ndiscovery: {timeout: 1m}\n`, 'c')).toThrow(
      'c:3:13: unknown field "timeout" in JoinConfiguration.discovery',
    );
    const reset = parseConfig(`${version}kind: ResetConfiguration\ntimeouts: {etcdAPICall: x}\n`, 'c');
    expect(() => resolveReset({}, reset)).toThrow('c:3:12: "x" is not a duration like 4m0s');
  });
});

describe('the images', () => {
  it('are called as the configuration says, each by its own repository and tag', () => {
    const text = cluster(
      'imageRepository: r.test/k8s\ndns: {imageRepository: r.test/dns, imageTag: v9}\netcd: {local: {imageRepository: r.test/etcd, imageTag: 3.6.1-0}}\n',
    );
    const config = resolve(text);
    const list = referencesOf(config);
    expect(list).toEqual(expect.arrayContaining(['r.test/dns/coredns:v9', 'r.test/etcd/etcd:3.6.1-0']));
    expect(list.filter((name) => !name.startsWith('r.test/'))).toEqual([]);
    expect(JSON.stringify(dnsObjects(config))).toContain('"r.test/dns/coredns:v9"');
    expect(etcdManifest(config)).toContain('image: r.test/etcd/etcd:3.6.1-0\n');
    expect(controlPlaneManifest('kube-scheduler', config, [])).toMatch(/image: r\.test\/k8s\/kube-scheduler:v1\.36/);
  });
});

describe("kubeadm's feature gates", () => {
  it('are not passed to the components', () => {
    const config = resolve(cluster('featureGates: {NodeLocalCRISocket: true}\n'));
    expect(apiServerArguments(config).join()).not.toContain('feature-gates');
  });

  it('choose the algorithm of keys where the configuration names none', () => {
    const algorithm = (fields: string) => resolve(cluster(fields)).cluster.encryptionAlgorithm;
    expect(algorithm('featureGates: {PublicKeysECDSA: true}\n')).toBe('ECDSA-P256');
    expect(algorithm('featureGates: {PublicKeysECDSA: true}\nencryptionAlgorithm: RSA-4096\n')).toBe('RSA-4096');
  });
});

describe('the address of the API server', () => {
  it('is that of the default interface when an unspecified one is given', () => {
    expect(resolve(init('localAPIEndpoint: {advertiseAddress: 0.0.0.0}\n')).localAPIEndpoint.advertiseAddress).toBe(
      '10.0.0.11',
    );
  });
});
