/** As whom the static pods run, and whose the files are that they read. */
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import {
  componentUsers,
  type Identity,
  keyReaders,
  needsRoot,
} from '../../../src/installer/control-plane/identities.ts';
import { ownedPaths, userOf } from '../../../src/installer/control-plane/owners.ts';
import { controlPlaneManifest } from '../../../src/installer/control-plane/static-pods.ts';
import { etcdManifest } from '../../../src/installer/etcd/static-pod.ts';
import { freeIds, parseAccounts, systemRange } from '../../../src/installer/host/accounts.ts';
import type { StaticPodName } from '../../../src/installer/upgrade/backup.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';

const configOf = (text = '') =>
  resolveInit(
    {},
    parseConfig(`apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n${text}`, 'c'),
    { hostname: 'cp1', address: '10.0.0.11' },
    [],
  );

const names: Record<number, string> = {
  0: 'root',
  994: keyReaders,
  995: componentUsers.etcd,
  996: componentUsers['kube-apiserver'],
};
names[997] = componentUsers['kube-controller-manager'];
names[998] = componentUsers['kube-scheduler'];
const identities: Record<StaticPodName, Identity> = {
  etcd: { uid: 995, gid: 995, groups: [] },
  'kube-apiserver': { uid: 996, gid: 996, groups: [994] },
  'kube-controller-manager': { uid: 997, gid: 997, groups: [994] },
  'kube-scheduler': { uid: 998, gid: 998, groups: [] },
};

function manifest(name: StaticPodName, config = configOf(), as: Identity | 'root' = identities[name]): string {
  const identity = as === 'root' ? undefined : as;
  return name === 'etcd'
    ? etcdManifest(config, undefined, identity)
    : controlPlaneManifest(name, config, [], { encryption: true, audit: true, identity });
}

const table = (text: string) =>
  ownedPaths(text)
    .map(
      ({ path, uid, gid, mode, tree }) => `${path}${tree ? '/' : ''} ${names[uid]}:${names[gid]} ${mode.toString(8)}`,
    )
    .sort();

const pki = '/etc/kubernetes/pki';

describe('a component that runs as a user of its own', () => {
  it.each<[StaticPodName, string[]]>([
    [
      'etcd',
      [
        `${pki}/etcd/peer.key kubeadm-etcd:kubeadm-etcd 600`,
        `${pki}/etcd/server.key kubeadm-etcd:kubeadm-etcd 600`,
        '/var/lib/etcd/ kubeadm-etcd:kubeadm-etcd 700',
      ],
    ],
    [
      'kube-apiserver',
      [
        '/etc/kubernetes/audit-policy.yaml kubeadm-kas:kubeadm-kas 600',
        ...['apiserver-etcd-client.key', 'apiserver-kubelet-client.key', 'apiserver.key', 'encryption.yaml'].map(
          (file) => `${pki}/${file} kubeadm-kas:kubeadm-kas 600`,
        ),
        `${pki}/front-proxy-client.key kubeadm-kas:kubeadm-kas 600`,
        `${pki}/sa.key root:kubeadm-sa-key-readers 640`,
        `${pki}/sa.pub kubeadm-kas:kubeadm-kas 600`,
        '/var/log/kubernetes/audit/ kubeadm-kas:kubeadm-kas 700',
      ],
    ],
    [
      'kube-controller-manager',
      [
        '/etc/kubernetes/controller-manager.conf kubeadm-kcm:kubeadm-kcm 600',
        `${pki}/ca.key kubeadm-kcm:kubeadm-kcm 600`,
        `${pki}/sa.key root:kubeadm-sa-key-readers 640`,
      ],
    ],
    ['kube-scheduler', ['/etc/kubernetes/scheduler.conf kubeadm-ks:kubeadm-ks 600']],
  ])('%s has the files that it needs, and no others', (name, files) =>
    expect(table(manifest(name))).toEqual(files.sort()),
  );

  it.each<[StaticPodName]>([['etcd'], ['kube-apiserver'], ['kube-controller-manager'], ['kube-scheduler']])(
    '%s has no capabilities, gains none, and cannot write to its image',
    (name) => {
      const { spec } = load(manifest(name)) as Pod;
      const { uid, gid, groups } = identities[name];
      expect(spec?.securityContext).toEqual({
        runAsUser: uid,
        runAsGroup: gid,
        seccompProfile: { type: 'RuntimeDefault' },
        ...(groups.length ? { supplementalGroups: groups } : {}),
      });
      expect(spec?.containers[0]?.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
      });
    },
  );

  it('needs nothing where it runs as root, also when a patch has said so', () => {
    const asRoot = manifest('kube-apiserver', configOf(), 'root');
    expect([userOf(asRoot), ownedPaths(asRoot)]).toEqual([0, []]);
    const patched = manifest('kube-apiserver').replace('runAsUser: 996', 'runAsUser: 0');
    expect(ownedPaths(patched)).toEqual([]);
    expect(ownedPaths('not: [yaml')).toEqual([]);
  });

  it('has the files of its arguments, wherever they are mounted from', () => {
    const text = `featureGates: {RootlessControlPlane: true}
apiServer:
  extraArgs:
  - {name: tls-private-key-file, value: /tls/server.key}
  - {name: audit-log-path, value: /logs/audit.log}
  - {name: encryption-provider-config, value: /nowhere/e.yaml}
  extraVolumes:
  - {name: tls, hostPath: /srv/tls/, mountPath: /tls}
  - {name: logs, hostPath: /var/log, mountPath: /logs}
`;
    const paths = table(manifest('kube-apiserver', configOf(text)));
    expect(paths).toContain('/srv/tls/server.key kubeadm-kas:kubeadm-kas 600');
    expect(paths.filter((line) => /apiserver\.key|nowhere|\/var\/log|encryption/.test(line))).toEqual([]);
  });
});

describe('a component runs as root', () => {
  const port = 'apiServer: {extraArgs: [{name: secure-port, value: "443"}]}\n';
  const volume = 'apiServer: {extraVolumes: [{name: x, hostPath: /x, mountPath: /x}]}\n';
  it.each<[string, string, string | undefined]>([
    ['not by default', '', undefined],
    [
      'with the gate off',
      'featureGates: {RootlessControlPlane: false}\n',
      'the feature gate RootlessControlPlane is off',
    ],
    ['for a port that only root may open', port, 'its port 443 is below 1024'],
    ['for volumes of the user', volume, 'it has extraVolumes that may belong to root'],
    ['not for volumes when the gate is on', `${volume}featureGates: {RootlessControlPlane: true}\n`, undefined],
  ])('%s', (_, text, reason) => expect(needsRoot('kube-apiserver', configOf(text))).toBe(reason));
});

describe('numbers of system users', () => {
  it.each([
    ['', 101, 999],
    ['#SYS_UID_MIN 101\nUID_MIN  500\n', 101, 499],
    ['SYS_UID_MIN 201\nSYS_UID_MAX\t 999\nUID_MIN 1000\n', 201, 999],
  ])('are those of login.defs %j', (text, min, max) => expect(systemRange(text)).toEqual({ min, max }));

  it('are free as users and as groups, from the top', () => {
    const taken = new Set(parseAccounts('a:x:999:997::/:/bin/sh\nb:x:995:1\n+::::::\n# no\n').map(({ id }) => id));
    expect(freeIds(3, { min: 101, max: 999 }, taken)).toEqual([998, 997, 996]);
    expect(freeIds(2, { min: 999, max: 999 }, taken)).toEqual([]);
  });
});
