/** What kubeadm v1.36 leaves on a control plane and in the cluster, as facts: paths, modes, subjects, names, objects. */
import { X509Certificate } from 'node:crypto';
import { rmSync } from 'node:fs';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dnsObjects, proxyObjects } from '../../../src/installer/addons/objects.ts';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import type { InitConfiguration } from '../../../src/installer/config/types.ts';
import {
  bootstrapRbacObjects,
  clusterAdminObjects,
  clusterInfoObjects,
  kubeadmConfigObjects,
  kubeletConfigObjects,
} from '../../../src/installer/control-plane/cluster-objects.ts';
import { controlPlaneLabels } from '../../../src/installer/control-plane/node.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { type Kubeconfig, restConfigOf } from '../../../src/installer/kubeconfig/kubeconfig.ts';
import { certificatePhases } from '../../../src/installer/phases/certs.ts';
import type { InitContext } from '../../../src/installer/phases/context.ts';
import { controlPlanePhases } from '../../../src/installer/phases/control-plane.ts';
import { kubeconfigPhases } from '../../../src/installer/phases/kubeconfig.ts';
import { clusterKubeletConfig } from '../../../src/installer/runtime/kubelet.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';
import { scratchHost, scratchRoot, snapshot } from './scratch.ts';

const root = scratchRoot();
let config: InitConfiguration;
let files: Record<string, string>;

beforeAll(async () => {
  const host = scratchHost(root);
  const text = `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: api.example.test
encryptionAlgorithm: ECDSA-P256
apiServer: {certSANs: [extra.example.test, 192.0.2.7]}
featureGates: {RootlessControlPlane: false}
etcd: {local: {serverCertSANs: [etcd.example.test], peerCertSANs: [peer.example.test]}}
`;
  config = resolveInit({}, parseConfig(text, 'c'), { hostname: 'cp1', address: '10.0.0.11' }, []);
  const changes = createChanges(host, await openJournal(host));
  // The phases of files look at nothing else of the context.
  const context = { host, changes, config, kubeconfigDir: '/etc/kubernetes', patches: [] } as unknown as InitContext;
  const manifests = controlPlanePhases.filter(({ name }) => name !== 'wait-control-plane');
  for (const phase of [...certificatePhases, ...kubeconfigPhases, ...manifests]) await phase.run(context);
  files = snapshot(root);
});
afterAll(() => rmSync(root, { recursive: true }));

const pki = '/etc/kubernetes/pki';
const leaves = [
  'apiserver',
  'apiserver-etcd-client',
  'apiserver-kubelet-client',
  'etcd/healthcheck-client',
  'etcd/peer',
  'etcd/server',
  'front-proxy-client',
];
const authorities = ['ca', 'etcd/ca', 'front-proxy-ca'];
const kubeconfigs = ['admin', 'controller-manager', 'kubelet', 'scheduler', 'super-admin'];
const manifests = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];

const subjectOf = ({ subject }: X509Certificate) => subject.replaceAll('\n', ', ');
const certificate = (name: string) => new X509Certificate(files[`${pki}/${name}.crt`]!.replace(/^\d+ /, ''));
const namesOf = ({ subjectAltName = '' }: X509Certificate) =>
  subjectAltName.replaceAll('IP Address:', 'IP:').split(', ');
const extendedUsages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' };

describe('the files of a control plane', () => {
  it('are where kubeadm has them, with its modes; two are of kinit', () => {
    const modes = Object.entries(files)
      .filter(([path, content]) => path.startsWith('/etc/kubernetes/') && content !== 'directory')
      .map(([path, content]) => `${path} ${content.split(' ')[0]}`);
    expect(modes.sort()).toEqual(
      [
        ...[...leaves, ...authorities].flatMap((name) => [`${pki}/${name}.crt 644`, `${pki}/${name}.key 600`]),
        `${pki}/sa.key 600`,
        `${pki}/sa.pub 600`,
        ...kubeconfigs.map((name) => `/etc/kubernetes/${name}.conf 600`),
        ...manifests.map((name) => `/etc/kubernetes/manifests/${name}.yaml 600`),
        // kinit's own: docs/hardening.md.
        '/etc/kubernetes/audit-policy.yaml 600',
        `${pki}/encryption.yaml 600`,
      ].sort(),
    );
  });

  it.each<[string, string, string, ('server' | 'client')[]]>([
    ['apiserver', 'CN=kube-apiserver', 'kubernetes', ['server']],
    [
      'apiserver-kubelet-client',
      'O=kubeadm:cluster-admins, CN=kube-apiserver-kubelet-client',
      'kubernetes',
      ['client'],
    ],
    ['front-proxy-client', 'CN=front-proxy-client', 'front-proxy-ca', ['client']],
    ['etcd/server', 'CN=cp1', 'etcd-ca', ['server', 'client']],
    ['etcd/peer', 'CN=cp1', 'etcd-ca', ['server', 'client']],
    ['etcd/healthcheck-client', 'CN=kube-etcd-healthcheck-client', 'etcd-ca', ['client']],
    ['apiserver-etcd-client', 'CN=kube-apiserver-etcd-client', 'etcd-ca', ['client']],
  ])('%s has its subject, signer, usages and period', (name, subject, issuer, usages) => {
    const found = certificate(name);
    expect(subjectOf(found)).toBe(subject);
    expect(found.issuer).toBe(`CN=${issuer}`);
    expect(found.keyUsage).toEqual(usages.map((usage) => extendedUsages[usage]));
    const hours = (found.validToDate.getTime() - found.validFromDate.getTime()) / 3_600_000;
    expect(Math.round(hours * 12) / 12).toBe(Math.round((8760 + 5 / 60) * 12) / 12);
  });

  it.each([
    ['ca', 'kubernetes'],
    ['front-proxy-ca', 'front-proxy-ca'],
    ['etcd/ca', 'etcd-ca'],
  ])('%s signs, is named, and lasts ten years', (name, commonName) => {
    const found = certificate(name);
    expect([found.ca, found.subject, found.issuer, namesOf(found)]).toEqual([
      true,
      `CN=${commonName}`,
      `CN=${commonName}`,
      [`DNS:${commonName}`],
    ]);
    expect(Math.round((found.validToDate.getTime() - Date.now()) / 86_400_000)).toBe(3650);
  });

  it.each([
    [
      'apiserver',
      `DNS:api.example.test, DNS:cp1, DNS:extra.example.test, DNS:kubernetes, DNS:kubernetes.default,
      DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local, IP:10.0.0.11, IP:10.96.0.1, IP:192.0.2.7`,
    ],
    ['etcd/server', 'DNS:cp1, DNS:etcd.example.test, DNS:localhost, IP:10.0.0.11, IP:127.0.0.1, IP:0:0:0:0:0:0:0:1'],
    ['etcd/peer', 'DNS:cp1, DNS:localhost, DNS:peer.example.test, IP:10.0.0.11, IP:127.0.0.1, IP:0:0:0:0:0:0:0:1'],
  ])('%s is valid for these names', (name, names) => expect(namesOf(certificate(name))).toEqual(names.split(/,\s+/)));

  it.each([
    ['admin', 'O=kubeadm:cluster-admins, CN=kubernetes-admin', 'kubernetes-admin', 'api.example.test:6443'],
    ['super-admin', 'O=system:masters, CN=kubernetes-super-admin', 'kubernetes-super-admin', 'api.example.test:6443'],
    ['kubelet', 'O=system:nodes, CN=system:node:cp1', 'system:node:cp1', '10.0.0.11:6443'],
    ['controller-manager', 'CN=system:kube-controller-manager', 'system:kube-controller-manager', '10.0.0.11:6443'],
    ['scheduler', 'CN=system:kube-scheduler', 'system:kube-scheduler', '10.0.0.11:6443'],
  ])('%s.conf is for its user, at its server', (name, subject, user, server) => {
    const kubeconfig = load(files[`/etc/kubernetes/${name}.conf`]!.replace(/^\d+ /, '')) as Kubeconfig;
    expect(kubeconfig['current-context']).toBe(`${user}@kubernetes`);
    const { server: url, certData, caData } = restConfigOf(kubeconfig, name);
    expect(url).toBe(`https://${server}`);
    expect(subjectOf(new X509Certificate(certData!))).toBe(subject);
    expect(caData).toBe(certificate('ca').toString());
  });
});

const idOf = ({ kind, metadata }: UnknownObject) =>
  `${kind} ${metadata?.namespace ? `${metadata.namespace}/` : ''}${metadata?.name}`;

describe('the objects in the cluster', () => {
  const plain = resolveInit({}, noConfig, { hostname: 'cp1', address: '10.0.0.11' }, []);
  const kubelet = clusterKubeletConfig(plain.cluster, 'systemd', {});

  it.each<[string, UnknownObject[], string]>([
    ['of the administrators', clusterAdminObjects(), 'ClusterRoleBinding kubeadm:cluster-admins'],
    [
      'of upload-config kubeadm',
      kubeadmConfigObjects(plain),
      `ConfigMap kube-system/kubeadm-config; Role kube-system/kubeadm:nodes-kubeadm-config;
      RoleBinding kube-system/kubeadm:nodes-kubeadm-config`,
    ],
    [
      'of upload-config kubelet',
      kubeletConfigObjects(kubelet, false),
      `ConfigMap kube-system/kubelet-config; Role kube-system/kubeadm:kubelet-config;
      RoleBinding kube-system/kubeadm:kubelet-config`,
    ],
    [
      'of bootstrap-token',
      [...bootstrapRbacObjects(), ...clusterInfoObjects(plain, 'PEM')],
      `ClusterRole kubeadm:get-nodes; ClusterRoleBinding kubeadm:get-nodes; ClusterRoleBinding kubeadm:kubelet-bootstrap;
      ClusterRoleBinding kubeadm:node-autoapprove-bootstrap; ClusterRoleBinding kubeadm:node-autoapprove-certificate-rotation;
      ConfigMap kube-public/cluster-info; Role kube-public/kubeadm:bootstrap-signer-clusterinfo;
      RoleBinding kube-public/kubeadm:bootstrap-signer-clusterinfo`,
    ],
    [
      'of addon kube-proxy',
      proxyObjects(plain),
      `ClusterRoleBinding kubeadm:node-proxier; ConfigMap kube-system/kube-proxy; DaemonSet kube-system/kube-proxy;
      Role kube-system/kube-proxy; RoleBinding kube-system/kube-proxy; ServiceAccount kube-system/kube-proxy`,
    ],
    [
      'of addon coredns',
      dnsObjects(plain),
      `ClusterRole system:coredns; ClusterRoleBinding system:coredns; ConfigMap kube-system/coredns;
      Deployment kube-system/coredns; Service kube-system/kube-dns; ServiceAccount kube-system/coredns`,
    ],
  ])('%s are called as kubeadm calls them', (_, objects, names) =>
    expect(objects.map(idOf).sort()).toEqual(names.split(/;\s+/).sort()),
  );

  it('say whether an upgrade may make the configuration of a component anew', () => {
    const hashOf = (objects: UnknownObject[]) =>
      objects.find(({ kind }) => kind === 'ConfigMap')?.metadata?.annotations?.[
        'kubeadm.kubernetes.io/component-config.hash'
      ];
    expect(hashOf(kubeletConfigObjects(kubelet, false))).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(hashOf(kubeletConfigObjects(kubelet, true))).toBeUndefined();
    expect(hashOf(proxyObjects(plain))).toMatch(/^sha256:/);
    expect(hashOf(proxyObjects({ ...plain, proxy: { mode: 'iptables' } }))).toBeUndefined();
  });

  it('mark the node of a control plane', () => {
    expect(Object.keys(controlPlaneLabels)).toEqual([
      'node-role.kubernetes.io/control-plane',
      'node.kubernetes.io/exclude-from-external-load-balancers',
    ]);
    expect(plain.nodeRegistration.taints).toEqual([
      { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' },
    ]);
    const text = 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {taints: []}\n';
    const untainted = resolveInit({}, parseConfig(text, 'c'), { hostname: 'cp1', address: '10.0.0.11' }, []);
    expect(untainted.nodeRegistration.taints).toEqual([]);
  });

  it('hold a first token that says where it is from', () => {
    expect(plain.bootstrapTokens).toMatchObject([
      {
        description: "The default bootstrap token generated by 'kinit init'.",
        ttl: '24h0m0s',
        usages: ['signing', 'authentication'],
        groups: ['system:bootstrappers:kubeadm:default-node-token'],
      },
    ]);
  });
});
