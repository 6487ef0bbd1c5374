import { describe, expect, it } from 'vitest';
import {
  addressAt,
  contains,
  formatAddress,
  overlaps,
  parseAddress,
  parseCidr,
  splitHostPort,
} from '../../../src/installer/config/cidr.ts';
import { formatDuration, parseDuration } from '../../../src/installer/config/duration.ts';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit, resolveJoin } from '../../../src/installer/config/resolve.ts';
import { KinitError } from '../../../src/installer/errors.ts';
import { initPhaseNames } from '../../../src/installer/phases/init.ts';

const identity = { hostname: 'cp1', address: '10.0.0.11' };
const cluster = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n';
const init = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n';

function mistakesOf(text: string): string {
  try {
    resolveInit({}, parseConfig(text, 'c.yaml'), identity, initPhaseNames);
  } catch (error) {
    if (error instanceof KinitError) return error.message;
    throw error;
  }
  return '';
}

describe('a configuration file', () => {
  it.each([
    ['broken YAML', 'a: 1\n  b: 2\n', 'c.yaml:2:4: bad indentation of a mapping entry'],
    ['a repeated key', `${cluster}kind: x\n`, 'c.yaml:3:1: duplicated mapping key'],
    ['no kind', 'foo: 1\n', 'c.yaml:1:1: a document needs apiVersion and kind'],
    [
      'an unknown kind',
      'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfig\n',
      'c.yaml:2:1: unknown kind "ClusterConfig"',
    ],
    [
      'an old version',
      'apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n',
      'c.yaml:1:1: ClusterConfiguration has apiVersion "kubeadm.k8s.io/v1beta3"; this release reads "kubeadm.k8s.io/v1beta4"',
    ],
    [
      'an unknown field',
      `${cluster}networking:\n  podSubnt: 10.0.0.0/8\n`,
      'c.yaml:4:3: unknown field "podSubnt" in ClusterConfiguration.networking; did you mean "podSubnet"?',
    ],
    [
      'an unknown field in a list',
      `${cluster}apiServer:\n  extraArgs:\n  - name: v\n    valu: "4"\n`,
      'c.yaml:6:5: unknown field "valu" in ClusterConfiguration.apiServer.extraArgs[0]; did you mean "value"?',
    ],
    [
      'a wrong type',
      `${init}localAPIEndpoint:\n  bindPort: many\n`,
      'c.yaml:4:3: InitConfiguration.localAPIEndpoint.bindPort: expected number',
    ],
    [
      'a value out of a list',
      `${cluster}encryptionAlgorithm: DSA\n`,
      'c.yaml:3:1: ClusterConfiguration.encryptionAlgorithm must be one of "RSA-2048"',
    ],
    [
      'a bad CIDR',
      `${cluster}networking:\n  serviceSubnet: 10.96.0.0\n`,
      'c.yaml:4:3: "10.96.0.0" is not a CIDR block like 10.96.0.0/12',
    ],
    [
      'overlapping CIDRs',
      `${cluster}networking:\n  podSubnet: 10.100.0.0/16\n`,
      'c.yaml:4:3: the pod network 10.100.0.0/16 and the service network 10.96.0.0/12 overlap',
    ],
    [
      'a network around the host',
      `${cluster}networking:\n  podSubnet: 10.0.0.0/16\n`,
      "c.yaml:4:3: the pod network 10.0.0.0/16 contains the control plane's address 10.0.0.11",
    ],
    [
      'a bad node name',
      `${init}nodeRegistration:\n  name: my_node\n`,
      'c.yaml:4:3: "my_node" cannot be a node\'s name',
    ],
    ['a bad token', `${init}bootstrapTokens:\n- token: abc.def\n`, 'c.yaml:4:3: the token "…" does not have the form'],
    [
      'an unknown phase',
      `${init}skipPhases: [certs/apisever]\n`,
      'c.yaml:3:14: there is no phase "certs/apisever"; did you mean "certs/apiserver"?',
    ],
    [
      'another release',
      `${cluster}kubernetesVersion: v1.30.0\n`,
      'c.yaml:3:1: this kinit installs v1.36.2, not v1.30.0',
    ],
    ['a second document of a kind', `${cluster}---\n${cluster}`, 'c.yaml:4:1: a second ClusterConfiguration'],
  ])('with %s is refused with its place', (_, text, expected) => {
    expect(mistakesOf(text)).toContain(expected);
  });

  it('tells all mistakes at once', () => {
    const text = `${cluster}networking:\n  podSubnet: x\n  dnsDomain: "_"\n`;
    expect(mistakesOf(text).split('\n')).toHaveLength(2);
  });

  it('is laid over the defaults and under the flags', () => {
    const file = parseConfig(
      `${cluster}networking:\n  podSubnet: 10.32.0.0/16\n  dnsDomain: k8s.test\n---\n${init}nodeRegistration:\n  taints: []\n---\napiVersion: kinit.local/v1alpha1\nkind: HostConfiguration\nselinux: keep\n`,
      'c.yaml',
    );
    const config = resolveInit(
      { podNetworkCidr: '10.48.0.0/16', controlPlaneEndpoint: 'api.test' },
      file,
      identity,
      [],
    );
    expect(config.cluster.networking).toEqual({
      serviceSubnet: '10.96.0.0/12',
      podSubnet: '10.48.0.0/16',
      dnsDomain: 'k8s.test',
    });
    expect(config.nodeRegistration.taints).toEqual([]);
    expect(config.host.selinux).toBe('keep');
    expect(config.cluster.controlPlaneEndpoint).toBe('api.test:6443');
  });
});

describe('kinit join', () => {
  const hash = `sha256:${'a'.repeat(64)}`;
  const token = 'abcdef.0123456789abcdef';
  it.each([
    ['nothing', {}, 'how to find the cluster is missing'],
    ['no endpoint', { token, discoveryTokenCaCertHash: [hash] }, 'the API server to join is missing'],
    [
      'an endpoint without port',
      { endpoint: '10.0.0.1', token, discoveryTokenCaCertHash: [hash] },
      'is not <host>:<port>',
    ],
    ['no hash', { endpoint: '10.0.0.1:6443', token }, 'the CA is not pinned'],
    [
      'a bad hash',
      { endpoint: '10.0.0.1:6443', token, discoveryTokenCaCertHash: ['sha256:12'] },
      'is not sha256:<64 hexadecimal digits>',
    ],
    [
      'a bad token',
      { endpoint: '10.0.0.1:6443', token: 'x', discoveryTokenCaCertHash: [hash] },
      'does not have the form',
    ],
  ])('with %s is refused', (_, flags, expected) => {
    expect(() => resolveJoin(flags, noConfig, identity, [])).toThrow(expected);
  });

  it('uses one token for discovery and bootstrap', () => {
    const config = resolveJoin(
      { endpoint: '10.0.0.1:6443', token, discoveryTokenCaCertHash: [hash] },
      noConfig,
      identity,
      [],
    );
    expect(config.discovery.bootstrapToken?.token).toBe(token);
    expect(config.discovery.tlsBootstrapToken).toBe(token);
  });

  it('with a discovery file uses the token for bootstrap only', () => {
    const config = resolveJoin({ discoveryFile: '/d.conf', token }, noConfig, identity, []);
    expect(config.discovery.bootstrapToken).toBeUndefined();
    expect(config.discovery.tlsBootstrapToken).toBe(token);
  });
});

describe('addresses', () => {
  it.each([
    ['10.96.0.0/12', 10, '10.96.0.10'],
    ['fd00:10:96::/112', 10, 'fd00:10:96::a'],
    ['10.0.0.255/8', 1, '10.0.0.1'],
  ])('of %s: number %i is %s', (block, index, expected) => {
    expect(addressAt(parseCidr(block)!, index)).toBe(expected);
  });
  it.each(['10.0.0.0/33', '10.0.0/8', '10.0.0.0/', '::/129', 'a/8', '10.0.0.0/8/8'])('%s is no CIDR', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
  it('overlap in either direction', () => {
    const [a, b, c] = ['10.0.0.0/8', '10.244.0.0/16', '11.0.0.0/8'].map((text) => parseCidr(text)!);
    expect([overlaps(a!, b!), overlaps(b!, a!), overlaps(a!, c!), contains(b!, '10.244.255.1')]).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });
  it.each(['::1', 'fe80::1:0:0:1', '1:2:3:4:5:6:7:8', '::'])('%s survives', (text) => {
    expect(formatAddress(parseAddress(text)!, 6)).toBe(text);
  });
  it.each([
    ['a:1', { host: 'a', port: 1 }],
    ['[::1]:6443', { host: '::1', port: 6443 }],
    ['::1', { host: '::1' }],
    ['a:70000', undefined],
    ['', undefined],
  ])('%s splits', (text, expected) => {
    expect(splitHostPort(text)).toEqual(expected);
  });
});

describe('durations', () => {
  it.each([
    ['24h', 86_400_000, '24h0m0s'],
    ['1h30m', 5_400_000, '1h30m0s'],
    ['90s', 90_000, '1m30s'],
    ['500ms', 500, '500ms'],
    ['0', 0, '0s'],
  ])('%s is %i ms', (text, ms, printed) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(printed);
  });
  it.each(['', '5', '1d', 'h', '1h 2m'])('%s is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
