/** Every command and flag of kubeadm v1.36's reference has its place in kinit's tree of commands. */
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { goArguments } from '../../../src/cli/go-arguments.ts';
import { addPhases } from '../../../src/cli/phase.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { renewableDescriptions } from '../../../src/installer/pki/renewable-names.ts';

/** What several commands have in common. */
const sets: Record<string, string> = {
  object: 'output experimental-output allow-missing-template-keys show-managed-fields',
  endpoint: 'apiserver-advertise-address apiserver-bind-port',
  api: 'apiserver-advertise-address apiserver-cert-extra-sans control-plane-endpoint service-cidr service-dns-domain',
  addon: `apiserver-advertise-address apiserver-bind-port config control-plane-endpoint dry-run feature-gates
    image-repository kubeconfig kubernetes-version pod-network-cidr service-cidr service-dns-domain`,
  component: 'cert-dir config dry-run image-repository kubernetes-version patches feature-gates',
  kubeconfig: `apiserver-advertise-address apiserver-bind-port cert-dir config control-plane-endpoint dry-run
    kubeconfig-dir kubernetes-version node-name`,
  discovery: `discovery-file discovery-token discovery-token-ca-cert-hash discovery-token-unsafe-skip-ca-verification
    tls-bootstrap-token token`,
  upload: 'config dry-run kubeconfig',
  renew: 'cert-dir config kubeconfig',
};

/** Command → its flags; `@name` is one of the sets. */
const reference: Record<string, string> = {
  init: `@endpoint apiserver-cert-extra-sans cert-dir certificate-key config control-plane-endpoint cri-socket dry-run
    feature-gates ignore-preflight-errors image-repository kubernetes-version node-name patches pod-network-cidr service-cidr
    service-dns-domain skip-certificate-key-print skip-phases skip-token-print token token-ttl upload-certs`,
  'init phase preflight': 'config cri-socket dry-run ignore-preflight-errors image-repository',
  'init phase certs all': '@api cert-dir config dry-run kubernetes-version',
  'init phase certs ca': 'cert-dir config dry-run kubernetes-version',
  'init phase certs apiserver': '@api cert-dir config dry-run kubernetes-version',
  'init phase certs apiserver-kubelet-client': 'cert-dir config dry-run kubernetes-version',
  'init phase certs front-proxy-ca': 'cert-dir config dry-run kubernetes-version',
  'init phase certs front-proxy-client': 'cert-dir config dry-run kubernetes-version',
  'init phase certs etcd-ca': 'cert-dir config dry-run kubernetes-version',
  'init phase certs etcd-server': 'cert-dir config dry-run kubernetes-version',
  'init phase certs etcd-peer': 'cert-dir config dry-run kubernetes-version',
  'init phase certs etcd-healthcheck-client': 'cert-dir config dry-run kubernetes-version',
  'init phase certs apiserver-etcd-client': 'cert-dir config dry-run kubernetes-version',
  'init phase certs sa': 'cert-dir config dry-run kubernetes-version',
  'init phase kubeconfig all': '@kubeconfig',
  'init phase kubeconfig admin': '@kubeconfig',
  'init phase kubeconfig super-admin': '@kubeconfig',
  'init phase kubeconfig kubelet': '@kubeconfig',
  'init phase kubeconfig controller-manager': '@kubeconfig',
  'init phase kubeconfig scheduler': '@kubeconfig',
  'init phase etcd local': 'cert-dir config dry-run image-repository patches',
  'init phase control-plane all': `@component @endpoint apiserver-extra-args controller-manager-extra-args
    scheduler-extra-args control-plane-endpoint pod-network-cidr service-cidr`,
  'init phase control-plane apiserver': '@component @endpoint apiserver-extra-args service-cidr',
  'init phase control-plane controller-manager': '@component controller-manager-extra-args pod-network-cidr',
  'init phase control-plane scheduler': '@component scheduler-extra-args',
  'init phase kubelet-start': 'config cri-socket dry-run image-repository node-name patches',
  'init phase wait-control-plane': '',
  'init phase upload-config all': '@upload cri-socket',
  'init phase upload-config kubeadm': '@upload cri-socket',
  'init phase upload-config kubelet': '@upload cri-socket',
  'init phase upload-certs': '@upload certificate-key skip-certificate-key-print upload-certs',
  'init phase mark-control-plane': 'config dry-run node-name',
  'init phase bootstrap-token': '@upload skip-token-print',
  'init phase kubelet-finalize all': 'cert-dir config dry-run',
  'init phase kubelet-finalize enable-client-cert-rotation': 'cert-dir config dry-run',
  'init phase addon all': '@addon',
  'init phase addon coredns': '@addon print-manifest',
  'init phase addon kube-proxy': '@addon print-manifest',
  'init phase show-join-command': '',
  join: `@endpoint @discovery certificate-key config control-plane cri-socket dry-run ignore-preflight-errors node-name
    patches skip-phases`,
  'join phase preflight': `@endpoint @discovery certificate-key config control-plane cri-socket dry-run
    ignore-preflight-errors node-name`,
  'join phase control-plane-prepare all':
    '@endpoint @discovery certificate-key config control-plane dry-run node-name patches',
  'join phase control-plane-prepare download-certs': '@discovery certificate-key config control-plane dry-run',
  'join phase control-plane-prepare certs':
    '@discovery apiserver-advertise-address config control-plane dry-run node-name',
  'join phase control-plane-prepare kubeconfig': '@discovery certificate-key config control-plane dry-run',
  'join phase control-plane-prepare control-plane': '@endpoint config control-plane dry-run patches',
  'join phase kubelet-start': '@discovery config cri-socket dry-run node-name patches',
  'join phase etcd-join': 'apiserver-advertise-address config control-plane dry-run node-name patches',
  'join phase kubelet-wait-bootstrap': '@discovery config cri-socket dry-run node-name',
  'join phase control-plane-join all': 'apiserver-advertise-address config control-plane dry-run node-name',
  'join phase control-plane-join etcd': 'apiserver-advertise-address config control-plane dry-run node-name patches',
  'join phase control-plane-join mark-control-plane': 'config control-plane dry-run node-name',
  'join phase wait-control-plane': '',
  reset: 'cert-dir cleanup-tmp-dir config cri-socket dry-run force ignore-preflight-errors kubeconfig skip-phases',
  'reset phase preflight': 'dry-run force ignore-preflight-errors',
  'reset phase remove-etcd-member': 'dry-run kubeconfig',
  'reset phase cleanup-node': 'cert-dir cleanup-tmp-dir cri-socket dry-run',
  'certs certificate-key': '',
  'certs check-expiration': '@renew @object',
  'certs generate-csr': 'cert-dir config kubeconfig-dir',
  'certs renew': '@renew',
  'config images list': '@object config feature-gates image-repository kubernetes-version kubeconfig',
  'config images pull': 'config cri-socket feature-gates image-repository kubernetes-version kubeconfig',
  'config migrate': 'allow-experimental-api new-config old-config kubeconfig',
  'config print': '',
  'config print init-defaults': 'component-configs kubeconfig',
  'config print join-defaults': 'component-configs kubeconfig',
  'config print reset-defaults': '',
  'config print upgrade-defaults': '',
  'config validate': 'allow-experimental-api config kubeconfig',
  'kubeconfig user': 'client-name config org token validity-period',
  'token create': 'certificate-key config description groups print-join-command ttl usages dry-run kubeconfig',
  'token delete': 'dry-run kubeconfig',
  'token generate': 'dry-run kubeconfig',
  'token list': '@object dry-run kubeconfig',
  'upgrade plan':
    '@object allow-experimental-upgrades allow-release-candidate-upgrades config etcd-upgrade ignore-preflight-errors kubeconfig print-config',
  'upgrade apply':
    'allow-experimental-upgrades allow-release-candidate-upgrades certificate-renewal config dry-run etcd-upgrade force ignore-preflight-errors kubeconfig patches print-config skip-phases yes',
  'upgrade node':
    'certificate-renewal config dry-run etcd-upgrade ignore-preflight-errors kubeconfig patches skip-phases',
  'upgrade diff': 'config context-lines kubeconfig',
  completion: '',
  version: 'output',
};

const shorts: Record<string, string> = { reset: '-f', 'token list': '-o', version: '-o', 'config images list': '-o' };
const everywhere = ['--rootfs', '--v'];

let program: Command;

beforeAll(async () => {
  program = buildProgram();
  await addPhases(program);
});

function find(path: string): Command | undefined {
  return path
    .split(' ')
    .reduce<Command | undefined>((at, name) => at?.commands.find((one) => one.name() === name), program);
}

function flagsOf(command: Command | null): string[] {
  return command ? [...command.options.map(({ long }) => long ?? ''), ...flagsOf(command.parent)] : [];
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

describe('kubeadm', () => {
  it.each(Object.entries(reference))('%s has its place, with its flags', (path, flags) => {
    const command = find(path);
    expect(command?.name()).toBe(path.split(' ').at(-1));
    const wanted = words(flags).flatMap((word) => (word.startsWith('@') ? words(sets[word.slice(1)]!) : [word]));
    const known = new Set(flagsOf(command!));
    expect([...wanted.map((name) => `--${name}`), ...everywhere].filter((flag) => !known.has(flag))).toEqual([]);
  });

  it.each(Object.entries(shorts))('%s takes %s', (path, short) => {
    expect(find(path)?.options.map((option) => option.short)).toContain(short);
  });

  it('renews the same certificates', () => {
    expect(Object.keys(renewableDescriptions).sort()).toEqual(
      words(`admin.conf apiserver apiserver-etcd-client apiserver-kubelet-client controller-manager.conf
        etcd-healthcheck-client etcd-peer etcd-server front-proxy-client scheduler.conf super-admin.conf`),
    );
  });
});

describe("Go's way to write flags", () => {
  it.each<[string, string]>([
    ['init --dry-run=true', 'init --dry-run'],
    ['init --dry-run=false --upload-certs', 'init --upload-certs'],
    ['init --node-name=true', 'init --node-name=true'],
    ['-v=5 init', '--v=5 init'],
    ['init -- --dry-run=true', 'init -- --dry-run=true'],
    ['init --no-such=true', 'init --no-such=true'],
  ])('%s', (given, taken) => expect(goArguments(program, given.split(' '))).toEqual(taken.split(' ')));
});
