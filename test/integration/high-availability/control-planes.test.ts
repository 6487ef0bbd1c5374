/** Three control planes and a worker on lab hosts: brought up, one lost, one reset, one added again. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtcdMembers } from '../../../src/installer/etcd/members.ts';
import { createLab, type Lab } from '../../lab/lab.ts';
import { labFolder } from '../../lab/state.ts';

const root = join(import.meta.dirname, '../../..');
const lab = 'ha-test';
const network = 140;
const wanted = process.env['KINIT_TEST_HA'] === '1';
const reason = wanted ? '' : ' (takes minutes and four hosts: runs with KINIT_TEST_HA=1)';

let hosts: Lab;
let folder: string;
const address = (position: number) => `10.77.${network}.${10 + position}`;

const inventory = () => `apiVersion: kinit.local/v1alpha1
kind: Inventory
defaults:
  user: root
  identityFile: ${labFolder(lab)}/id_ed25519
  knownHosts: ${labFolder(lab)}/known_hosts
hosts:
  - { name: m1, address: ${address(0)}, roles: [control-plane] }
  - { name: m2, address: ${address(1)}, roles: [control-plane] }
  - { name: m3, address: ${address(2)}, roles: [control-plane] }
  - { name: n1, address: ${address(3)}, roles: [worker] }
`;

async function kinit(...args: string[]): Promise<string> {
  const { exitCode, all } = await execa(
    join(root, 'node_modules/.bin/node'),
    [join(root, 'dist/kinit/main.mjs'), ...args, '--output', 'plain'],
    { cwd: folder, reject: false, all: true, stdin: 'ignore', timeout: 900_000 },
  );
  if (exitCode !== 0) throw new Error(`kinit ${args.join(' ')} exited ${exitCode}:\n${all}`);
  return all;
}

const up = () => kinit('up', '-i', 'inventory.yaml', '--kubeconfig-out', join(folder, 'kubeconfig'));

/** kubectl on a control plane, against its own API server or the one that is named. */
const kubectl = (on: string, command: string, server = '') =>
  hosts
    .host(on)
    .must(`kubectl --kubeconfig /etc/kubernetes/admin.conf ${server && `--server https://${server}:6443`} ${command}`);

/** The members of etcd as a control plane's own etcd knows them: `m1`, or `m1 (learner)`. */
async function etcdMembers(on: string): Promise<string[]> {
  const read = async (file: string) => Buffer.from(await hosts.host(on).must(`cat /etc/kubernetes/pki/etcd/${file}`));
  const members = await new EtcdMembers({
    endpoints: [`https://${hosts.host(on).ip}:2379`],
    credentials: {
      rootCertificate: await read('ca.crt'),
      privateKey: await read('healthcheck-client.key'),
      certChain: await read('healthcheck-client.crt'),
    },
    timeoutMs: 20_000,
    signal: AbortSignal.timeout(30_000),
  }).list();
  return members.map(({ name, learner }) => (learner ? `${name} (learner)` : name)).sort();
}

async function eventually(attempt: () => Promise<void>, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(500);
    }
  }
}

const words = (text: string) => text.trim().split(/\s+/).sort();

describe.runIf(wanted).sequential(`three control planes${reason}`, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kinit-ha-'));
    await writeFile(join(folder, 'inventory.yaml'), inventory());
    hosts = await createLab({
      name: lab,
      network,
      hosts: ['m1', 'm2', 'm3', 'n1'].map((name) => ({ name, flavour: 'debian' as const })),
    });
  }, 600_000);

  afterAll(async () => {
    await hosts?.down();
    if (folder) await rm(folder, { recursive: true, force: true });
  }, 120_000);

  it('are brought up in one go, and need no endpoint', async () => {
    expect(await up()).not.toContain('controlPlaneEndpoint');
    const roles = await kubectl('m1', 'get nodes --no-headers');
    expect(roles.match(/^m\d +Ready +control-plane /gm)).toHaveLength(3);
    expect(roles).toMatch(/^n1 +Ready +<none> /m);
  }, 900_000);

  it('are all members of etcd and endpoints of the kubernetes service', async () => {
    expect(await etcdMembers('m2')).toEqual(['m1', 'm2', 'm3']);
    await eventually(async () => {
      const ips = await kubectl('m1', `get endpoints kubernetes -o jsonpath='{.subsets[*].addresses[*].ip}'`);
      expect(words(ips)).toEqual([address(0), address(1), address(2)]);
    }, 30_000);
  });

  it('each have their labels, taint, certificates and static pods', async () => {
    for (const name of ['m2', 'm3']) {
      const taints = await kubectl('m1', `get node ${name} -o jsonpath='{.spec.taints[*].key}'`);
      expect(words(taints)).toContain('node-role.kubernetes.io/control-plane');
      const ids = await hosts.host(name).must('cd /etc/kubernetes && sha256sum pki/ca.key pki/sa.key | cut -c1-64');
      expect(ids).toBe(
        await hosts.host('m1').must('cd /etc/kubernetes && sha256sum pki/ca.key pki/sa.key | cut -c1-64'),
      );
      const pods = await kubectl('m1', `-n kube-system get pods --field-selector spec.nodeName=${name} -o name`);
      for (const part of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler']) {
        expect(pods).toContain(`pod/${part}-${name}`);
      }
    }
  });

  it('change nothing when up runs again', async () => {
    expect(await up()).toMatch(/unchanged|nothing had to be changed/i);
  }, 300_000);

  it('go on when one of them is lost', async () => {
    await hosts.host('m3').kill();
    await eventually(async () => {
      await kubectl('m1', 'create configmap written-without-m3', address(0));
    }, 60_000);
    expect(await kubectl('m2', 'get configmap written-without-m3 -o name', address(1))).toContain('written-without-m3');
    await eventually(async () => {
      const ips = await kubectl('m1', `get endpoints kubernetes -o jsonpath='{.subsets[*].addresses[*].ip}'`);
      expect(words(ips)).toEqual([address(0), address(1)]);
    }, 60_000);
    await hosts.host('m3').start();
    await eventually(async () => {
      expect(await kubectl('m1', 'get node m3 --no-headers')).toMatch(/^m3 +Ready/);
      await kubectl('m3', 'get configmap written-without-m3', address(2));
    }, 180_000);
  }, 400_000);

  it('leave the nodes a way to the API when the first of them is lost', async () => {
    const worker = hosts.host('n1');
    const asNode = '/opt/kinit/current/bin/kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=3s';
    const renewed = async () =>
      Date.parse(await kubectl('m2', `-n kube-node-lease get lease n1 -o jsonpath='{.spec.renewTime}'`));
    expect(await worker.must('cat /etc/kubernetes/kubelet.conf')).toContain('server: https://127.0.0.1:7443');
    await eventually(async () => {
      const known = await worker.must('cat /var/lib/kinit-balancer/members.json');
      for (const position of [0, 1, 2]) expect(known).toContain(`${address(position)}:6443`);
    }, 30_000);
    await hosts.host('m1').kill();
    const lost = Date.now();
    await eventually(async () => {
      expect(await worker.must(`${asNode} get node n1 -o name`)).toContain('node/n1');
    }, 5_000);
    // The kubelet reports every ten seconds over the connection that it has.
    await eventually(async () => expect(await renewed()).toBeGreaterThan(lost + 5_000), 30_000);
    expect(await kubectl('m2', 'get node n1 --no-headers')).toMatch(/^n1 +Ready/);
    // What it has learnt it knows after a reboot.
    await worker.kill();
    await worker.start();
    const started = Date.now();
    await eventually(async () => expect(await renewed()).toBeGreaterThan(started), 120_000);
    await hosts.host('m1').start();
    await eventually(async () => {
      expect(await kubectl('m1', 'get node m1 --no-headers')).toMatch(/^m1 +Ready/);
    }, 180_000);
  }, 500_000);

  it('lose a member of etcd when one is reset, and up adds it again', async () => {
    await kinit('reset', '--force', '-i', 'inventory.yaml', '--limit', 'm2');
    expect(await etcdMembers('m1')).toEqual(['m1', 'm3']);
    await kubectl('m1', 'delete node m2');
    await up();
    expect(await etcdMembers('m1')).toEqual(['m1', 'm2', 'm3']);
  }, 900_000);

  it('are made again of a snapshot when all but one of them is lost', async () => {
    await kubectl('m1', 'create configmap kept');
    await kinit('etcd', 'snapshot', 'save', '-i', 'inventory.yaml', '--out', 'backup');
    const file = (await readdir(join(folder, 'backup'))).find((name) => name.endsWith('.db'));
    await kubectl('m1', 'create configmap lost');
    for (const name of ['m2', 'm3']) await hosts.host(name).kill();
    await eventually(async () => {
      expect((await hosts.host('m1').exec('kinit etcd status')).code).not.toBe(0);
    }, 60_000);
    for (const name of ['m2', 'm3']) await hosts.host(name).start();
    await Promise.all(['m2', 'm3'].map((name) => hosts.host(name).reachable()));
    await kinit('etcd', 'restore', join('backup', file as string), '--force', '-i', 'inventory.yaml');
    expect(await etcdMembers('m1')).toEqual(['m1']);
    await up();
    expect(await etcdMembers('m1')).toEqual(['m1', 'm2', 'm3']);
    const maps = await kubectl('m3', 'get configmaps -o name', address(2));
    expect(words(maps)).toContain('configmap/kept');
    expect(words(maps)).not.toContain('configmap/lost');
  }, 900_000);
});
