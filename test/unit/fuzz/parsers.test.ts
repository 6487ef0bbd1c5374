/**
 * What a user writes may be wrong in any way: it is told as kinit's own error, in time, and nothing else is thrown. The seed of a
 * failure is in its message; KINIT_FUZZ_SEED runs it again, KINIT_FUZZ_RUNS makes more of them.
 */
import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { evaluateTemplate } from '../../../src/cli/render/json-path-template.ts';
import {
  formatAddress,
  joinHostPort,
  parseAddress,
  parseCidr,
  splitHostPort,
} from '../../../src/installer/config/cidr.ts';
import { formatDuration, parseDuration } from '../../../src/installer/config/duration.ts';
import { migrateConfig } from '../../../src/installer/config/migrate.ts';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveReset } from '../../../src/installer/config/reset.ts';
import { resolveInit, resolveJoin } from '../../../src/installer/config/resolve.ts';
import { clusterConfigurationYaml } from '../../../src/installer/control-plane/cluster-objects.ts';
import { asKinitError, KinitError } from '../../../src/installer/errors.ts';
import { matchesHost, parseConfigLines } from '../../../src/installer/fleet/ssh/config-file.ts';
import { parseKnownHosts } from '../../../src/installer/fleet/ssh/known-hosts.ts';
import { convertFiles } from '../../../src/installer/inventory/import/import.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import { parseJump } from '../../../src/installer/inventory/ssh-target.ts';
import {
  buildKubeconfig,
  formatKubeconfig,
  parseKubeconfig,
  restConfigOf,
} from '../../../src/installer/kubeconfig/kubeconfig.ts';
import { makeKey, privateKeyPem, readPrivateKey } from '../../../src/installer/pki/keys.ts';
import { certificatePem, issueCertificate, readCertificates } from '../../../src/installer/pki/x509.ts';
import { generateToken, parseToken } from '../../../src/installer/tokens/format.ts';
import { isSignatureValid, signDetached } from '../../../src/installer/tokens/jws.ts';
import { buildTokenSecret, readTokenSecret } from '../../../src/installer/tokens/secret.ts';
import { type Chance, chance, mutate } from './mutations.ts';

const seed = Number(process.env['KINIT_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const runs = Number(process.env['KINIT_FUZZ_RUNS'] ?? 200);
const slowestMs = 3000;

const phases = ['addon/coredns', 'certs/ca'];
const identity = { hostname: 'cp1', address: '10.0.0.11' };

const configuration = `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{token: abcdef.0123456789abcdef, ttl: 1h30m, usages: [signing], groups: ["system:bootstrappers:x:y"]}]
nodeRegistration:
  name: n1
  criSocket: unix:///run/containerd/containerd.sock
  taints: [{key: a, value: b, effect: NoSchedule}]
  kubeletExtraArgs: [{name: v, value: "3"}]
localAPIEndpoint: {advertiseAddress: 10.0.0.11, bindPort: 6443}
timeouts: {discovery: 5m0s}
skipPhases: [addon/coredns]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: "api.example.test:6443"
networking: {serviceSubnet: 10.96.0.0/12, podSubnet: 10.244.0.0/16, dnsDomain: cluster.local}
apiServer:
  certSANs: [a.example.test, "*.b.test", 192.0.2.1]
  extraArgs: [{name: audit-log-path, value: /var/log/a}]
  extraVolumes: [{name: a, hostPath: /a, mountPath: /b, readOnly: true, pathType: File}]
etcd: {local: {dataDir: /var/lib/etcd, serverCertSANs: [x.test]}}
featureGates: {NodeLocalCRISocket: true}
encryptionAlgorithm: ECDSA-P256
certificateValidityPeriod: 8760h0m0s
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 50
evictionHard: {memory.available: 100Mi}
`;

const joining = `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: "[fd00::1]:6443", unsafeSkipCAVerification: true}
controlPlane: {localAPIEndpoint: {advertiseAddress: 10.0.0.12}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ResetConfiguration
skipPhases: [cleanup-node]
unmountFlags: [MNT_DETACH]
`;

const old = `apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
apiServer: {extraArgs: {v: "3"}, timeoutForControlPlane: 4m0s}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
nodeRegistration: {kubeletExtraArgs: {v: "2"}}
`;

const inventory = `apiVersion: kinit.local/v1alpha1
kind: Inventory
cluster: {clusterName: lab, networking: {podSubnet: 10.244.0.0/16}}
defaults: {user: ops, port: 22, labels: {region: eu}}
hosts:
- {name: cp1, address: 10.0.0.1, roles: [control-plane], labels: {zone: a}}
- {name: w1, address: 10.0.0.2, roles: [worker], taints: [{key: a, effect: NoSchedule}]}
- {name: w2, address: "fd00::2", roles: [worker], bastion: {address: gate, user: me, port: 2222}}
`;

const sshConfig = `Host gate *.example !w9
  HostName %h.test
  User=ops
  Port 2222 # odd
  IdentityFile "~/.ssh/with space"
  ProxyJump a@b:22,c
Match host x exec "true"
  ForwardAgent yes
`;

const ansibleIni = `[masters]
cp[1:3] ansible_host=10.0.0.1 ansible_user=ubuntu ansible_port=22
[workers:vars]
ansible_ssh_private_key_file='~/.ssh/id'
[all:children]
masters
workers
`;

const ansibleYaml = `all:
  vars: {ansible_user: ops}
  children:
    control_plane: {hosts: {cp1: {ansible_host: 10.0.0.1}}}
    workers: {hosts: {w1: {ansible_host: 10.0.0.2, ansible_port: 2222}}}
`;

const terraform = JSON.stringify(
  {
    version: 4,
    terraform_version: '1.9.0',
    resources: [
      {
        mode: 'managed',
        type: 'aws_instance',
        name: 'node',
        instances: [
          { index_key: 0, attributes: { public_ip: '3.3.3.3', private_ip: '10.0.0.1', tags: { Name: 'cp1' } } },
        ],
      },
    ],
  },
  null,
  1,
);

const cloudInit = `#cloud-config
hostname: cp1
users: [{name: ops, ssh_authorized_keys: [ssh-ed25519 AAAA]}]
network: {ethernets: {eth0: {addresses: [10.0.0.1/24]}}}
`;

const kubeconfig = formatKubeconfig(
  buildKubeconfig({
    server: 'https://10.0.0.1:6443',
    caPem: 'PEM',
    clusterName: 'kubernetes',
    userName: 'ann',
    user: { token: 'abc' },
  }),
);

const known = `10.0.0.1,[gate]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGF
@cert-authority *.example ssh-rsa AAAAB3
|1|c2FsdA==|aGFzaA== ecdsa-sha2-nistp256 AAAAE2
`;

const imports = (name: string, text: string) => () => convertFiles([{ name, text }], { out: '/inv/x.yaml' });

/** Name → a valid text, and what reads it. */
const parsers: Record<string, [string, (text: string) => unknown]> = {
  'the configuration of init': [
    configuration,
    (text) => resolveInit({}, parseConfig(text, 'c.yaml'), identity, phases),
  ],
  'the configuration of join': [joining, (text) => resolveJoin({}, parseConfig(text, 'c.yaml'), identity, [])],
  'the configuration of reset': [joining, (text) => resolveReset({}, parseConfig(text, 'c.yaml'))],
  'a configuration to migrate': [old, (text) => migrateConfig(text, 'c.yaml')],
  'an inventory': [inventory, (text) => parseInventory(text, '/inv/i.yaml', { HOME: '/root' })],
  'a kubeconfig': [kubeconfig, (text) => restConfigOf(parseKubeconfig(text, 'k.conf'), 'k.conf')],
  'a list of known hosts': [known, parseKnownHosts],
  'an SSH configuration': [
    sshConfig,
    (text) => parseConfigLines(text).map(({ words }) => matchesHost(words, 'gate.example')),
  ],
  'an Ansible inventory (INI)': [ansibleIni, (text) => imports('hosts.ini', text)()],
  'an Ansible inventory (YAML)': [ansibleYaml, (text) => imports('hosts.yaml', text)()],
  'a Terraform state': [terraform, (text) => imports('terraform.tfstate', text)()],
  'a cloud-init file': [cloudInit, (text) => imports('user-data', text)()],
  'a list of hosts': ['ops@10.0.0.1:22 # first\n10.0.0.2 w1\n', (text) => imports('hosts.txt', text)()],
  'an output of vagrant': ['Host cp1\n  HostName 127.0.0.1\n  Port 2222\n', (text) => imports('ssh-config', text)()],
  'a jump host': ['ops@gate.example:2222', parseJump],
  'a template': ['a {range .x[*]}{.y[?(@.z=="1")]}{"\\n"}{end}', (text) => evaluateTemplate(text, { x: [{ y: [] }] })],
};

/** Runs a parser over changed texts; a text that broke it is told with the seed. */
function broken(text: string, parse: (text: string) => unknown): string[] {
  const source = chance(seed);
  const found: string[] = [];
  for (let run = 0; run < runs && !found.length; run++) {
    const input = mutate(text, source);
    const started = performance.now();
    try {
      parse(input);
    } catch (error) {
      if (!(error instanceof KinitError) || error.message === '') {
        const shown = asKinitError(error);
        found.push(`seed ${seed}, run ${run}: ${shown.message}\n${shown.stack}\n--- input\n${input}`);
      }
    }
    const took = performance.now() - started;
    if (took > slowestMs) found.push(`seed ${seed}, run ${run}: took ${took} ms\n--- input\n${input}`);
  }
  return found;
}

describe('a mistake in a file', () => {
  it.each(Object.entries(parsers))('is never more than an error of kinit: %s', (_, [text, parse]) => {
    expect(() => parse(text)).not.toThrow();
    expect(broken(text, parse)).toEqual([]);
  });

  it('of PEM is never more than an error that names it', async () => {
    const key = await makeKey('ECDSA-P256');
    const period = { notBefore: new Date(), notAfter: new Date(Date.now() + 60_000) };
    const pem = certificatePem(issueCertificate({ commonName: 'ca', isCa: true, ...period }, key));
    const source = chance(seed);
    const attempt = (parse: () => unknown, input: string) => {
      try {
        parse();
      } catch (error) {
        expect((error as Error).message, `seed ${seed}: ${input}`).not.toBe('');
      }
    };
    for (let run = 0; run < runs; run++) {
      const [changedKey, changed] = [mutate(privateKeyPem(key), source), mutate(pem, source)];
      attempt(() => readPrivateKey(changedKey), changedKey);
      attempt(() => readCertificates(changed), changed);
      attempt(() => new X509Certificate(changed), changed);
    }
  });

  it('of a token and its signature is found, and nothing is thrown', () => {
    const source = chance(seed);
    const token = generateToken();
    const signature = signDetached('content', parseToken(token)!);
    const secret = buildTokenSecret({ token, ttl: '1h', usages: ['signing'], groups: ['system:bootstrappers:a'] });
    for (let run = 0; run < runs; run++) {
      const changed = mutate(token, source);
      const parsed = parseToken(changed);
      if (parsed) expect(`${parsed.id}.${parsed.secret}`).toBe(changed);
      const wrong = mutate(signature, source);
      if (wrong !== signature)
        expect(isSignatureValid(wrong, 'content', parseToken(token)!) && !sameBytes(wrong, signature)).toBe(false);
      const data = Object.fromEntries(
        Object.entries(secret.data ?? {}).map(([field, value]) => [field, mutate(value, source)]),
      );
      readTokenSecret({ ...secret, data });
    }
  });
});

/** Base64 has several spellings of the same bytes. */
const sameBytes = (a: string, b: string) =>
  a.split('.')[0] === b.split('.')[0] &&
  Buffer.from(a.split('.')[2] ?? '', 'base64url').equals(Buffer.from(b.split('.')[2] ?? '', 'base64url'));

const name = (source: Chance) => Array.from({ length: 1 + source.below(12) }, () => source.one([...'abz09-'])).join('');

describe('what is written is read again as it was', () => {
  it('durations', () => {
    const source = chance(seed);
    for (let run = 0; run < runs; run++) {
      const ms = source.below(2 ** source.below(38));
      expect(parseDuration(formatDuration(ms)), `seed ${seed}: ${ms}`).toBe(ms);
    }
  });

  it('addresses, blocks and ports', () => {
    const source = chance(seed);
    for (let run = 0; run < runs; run++) {
      const family = source.one([4, 6] as const);
      const groups = Array.from({ length: family === 4 ? 4 : 16 }, () => source.one([0, 0, 255, source.below(256)]));
      const value = groups.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
      const text = formatAddress(value, family);
      expect(parseAddress(text), `seed ${seed}: ${text}`).toBe(value);
      expect(parseCidr(`${text}/${family === 4 ? 32 : 128}`)?.base).toBe(value);
      const port = 1 + source.below(65_535);
      expect(splitHostPort(joinHostPort(text, port)), `seed ${seed}: ${text}`).toEqual({ host: text, port });
    }
  });

  it('kubeconfigs', () => {
    const source = chance(seed);
    for (let run = 0; run < runs; run++) {
      const values = Array.from({ length: 4 }, () => mutate(name(source), source).replaceAll('\ud83d', ''));
      const [server = '', clusterName = '', userName = '', token = ''] = values;
      const made = buildKubeconfig({ server, caPem: 'PEM', clusterName, userName, user: { token } });
      expect(parseKubeconfig(formatKubeconfig(made), 'k'), `seed ${seed}`).toEqual(made);
    }
  });

  it("the cluster's configuration, by way of its ConfigMap", () => {
    const source = chance(seed);
    for (let run = 0; run < runs / 4; run++) {
      let config: ReturnType<typeof resolveInit>;
      try {
        config = resolveInit({}, parseConfig(mutate(configuration, source), 'c'), identity, []);
      } catch (error) {
        if (error instanceof KinitError) continue;
        throw error;
      }
      const flags = {
        nodeName: config.nodeRegistration.name,
        apiserverAdvertiseAddress: config.localAPIEndpoint.advertiseAddress,
      };
      const stored = clusterConfigurationYaml(config.cluster);
      const again = resolveInit(flags, parseConfig(stored, 'configmap'), identity, []);
      expect(again.cluster, `seed ${seed}:\n${stored}`).toEqual(config.cluster);
    }
  });
});
