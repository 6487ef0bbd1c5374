/** Two control planes on lab hosts whose etcd is elsewhere: on this machine, with an authority of its own. */
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDebianRoot } from '../../../src/installer/bundle/debian-root.ts';
import { noConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit } from '../../../src/installer/config/resolve.ts';
import { withEtcd } from '../../../src/installer/etcd/connection.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { authorities, leafCertificates } from '../../../src/installer/pki/catalog.ts';
import { ensureAuthority, ensureLeaf } from '../../../src/installer/pki/ensure.ts';
import type { LabHost } from '../../lab/lab.ts';
import { type EtcdPlace, etcdPlace, startEtcd } from '../../parts/etcd.ts';
import { eventually } from '../../parts/eventually.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { hostsForSeveral, readOnce, type SeveralControlPlanes } from '../../parts/several-control-planes.ts';
import { scratchHost, scratchRoot } from '../../unit/installer/scratch.ts';
import { changedInventory, told } from './told.ts';

const network = 104;
const gateway = `10.77.${network}.1`;
/** Outside of kinit's own folders, as its owner's other tools would have it. */
const clientFiles = '/etc/etcd-client';
/** On the first host the test has put them there; on the second one they are kinit's. */
const ownFiles = new RegExp(`^(file|content) ${clientFiles}`);

describe.sequential('two control planes with an etcd that is elsewhere', () => {
  const root = scratchRoot();
  const pki = join(root, 'etc/kubernetes/pki');
  const untouched = new Map<string, string[]>();
  let etcd: ChildProcess;
  let place: EtcdPlace;
  let cluster: SeveralControlPlanes;
  let first: LabHost;
  let second: LabHost;
  const nodes = (on: LabHost) => cluster.kubectl(on.name, 'get nodes --no-headers');
  const asBefore = async (host: LabHost) =>
    expect(difference(untouched.get(host.name) ?? [], await hostState(host, [ownFiles]))).toEqual([]);

  beforeAll(async () => {
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    const config = resolveInit({}, noConfig, { hostname: 'store', address: gateway }, []);
    for (const authority of authorities) await ensureAuthority(changes, config.cluster, authority);
    for (const leaf of leafCertificates.filter(({ authority }) => authority === 'etcd/ca'))
      await ensureLeaf(changes, config, leaf);
    place = await etcdPlace('store', 'https', gateway);
    cluster = await hostsForSeveral({
      name: 'external-etcd',
      network,
      masters: 2,
      workers: 0,
      cluster: () => ({
        etcd: {
          external: {
            endpoints: [place.client],
            caFile: `${clientFiles}/ca.crt`,
            certFile: `${clientFiles}/client.crt`,
            keyFile: `${clientFiles}/client.key`,
          },
        },
      }),
    });
    [first, second] = cluster.masters as [LabHost, LabHost];
    for (const host of cluster.masters) untouched.set(host.name, await hostState(host, [ownFiles]));
    const { path } = await openDebianRoot(join(import.meta.dirname, '../../../.cache/bundle'), () => undefined);
    const program = join(path, 'usr/bin/etcd');
    etcd = startEtcd(place, { folder: root, cluster: `store=${place.peer}`, pki: `${pki}/etcd`, program });
  });

  afterAll(async () => {
    etcd?.kill('SIGKILL');
    await cluster?.down();
    rmSync(root, { recursive: true, force: true });
  });

  it('are told which files are missing, before anything is changed', async () => {
    await expect(cluster.up()).rejects.toThrow(`${clientFiles}/client.key doesn't exist`);
    const { stdout } = await first.exec('ls -d /etc/kubernetes /var/lib/kinit/journal.jsonl');
    expect(stdout).toBe('');
  });

  it('are brought up; the files of the first one come to the second', async () => {
    const files = {
      'ca.crt': 'etcd/ca.crt',
      'client.crt': 'apiserver-etcd-client.crt',
      'client.key': 'apiserver-etcd-client.key',
    };
    await first.must(`install -d -m 0700 ${clientFiles}`);
    for (const [name, from] of Object.entries(files)) {
      const mode = name.endsWith('.key') ? '0600' : '0644';
      const path = `${clientFiles}/${name}`;
      await first.must(`umask 077; cat > ${path}; chmod ${mode} ${path}`, { input: await readFile(join(pki, from)) });
    }
    await cluster.up();
    expect((await nodes(first)).match(/^m\d +Ready +control-plane /gm)).toHaveLength(2);
    for (const host of cluster.masters) {
      expect(await host.must('ls /etc/kubernetes/manifests')).not.toContain('etcd');
      expect(await host.must(`stat -c %a ${clientFiles}/client.key`)).toBe('600\n');
    }
    expect(await cluster.up()).not.toMatch(/: changed$/m);
  }, 600_000);

  it('are told what would change on each of them, and nothing is changed', async () => {
    const state = (host: LabHost) =>
      host.must(
        'find /etc/kubernetes /etc/systemd /var/lib/kubelet/*.* /var/lib/kinit /var/tmp -type f | xargs sha256sum | sort',
      );
    const before = await Promise.all(cluster.masters.map(state));
    const inventory = await changedInventory(cluster, (given) => {
      const apiServer = { certSANs: ['api.test'], extraArgs: [{ name: 'profiling', value: 'false' }] };
      given.cluster = { ...given.cluster, apiServer };
      given.hosts[1]!.labels = { disk: 'ssd' };
    });
    const { planned, phases, differences } = await told(cluster, inventory, '--dry-run');
    for (const name of ['m1', 'm2']) {
      expect(planned).toContain(`${name} write /etc/kubernetes/manifests/kube-apiserver.yaml`);
      expect(differences(name)).toMatch(/^\+ {4}- --profiling=false$/m);
      expect(differences(name)).toMatch(/^\+name: DNS:api.test$/m);
    }
    expect(planned).toContain('m1 change ConfigMap kube-system/kubeadm-config');
    expect(planned).toContain('m2 set label disk=ssd');
    expect(phases).toEqual([
      'm1 certs/apiserver',
      'm1 control-plane/apiserver',
      'm1 upload-config/kubeadm',
      'm2 control-plane-prepare/apiserver',
      'm2 control-plane-prepare/certs',
      'm2 kubelet-start',
      'm2 labels',
    ]);
    expect(await Promise.all(cluster.masters.map(state))).toEqual(before);
  }, 120_000);

  it('are well, and say where their etcd is', async () => {
    expect(await cluster.kinit('doctor', '-i', 'inventory.yaml', '--output', 'text')).toMatch(
      /Nothing is wrong|\b0 errors/,
    );
    const status = await cluster.kinit('status', '-i', 'inventory.yaml', '--output', 'text');
    expect(status).toMatch(/etcd {2}1 of 1 voting member answers.*; not run by kinit\n.* store {2}leader {2}3[.]/);
  });

  it('serve the same objects, also when one of them is gone', async () => {
    await cluster.kubectl('m1', 'create configmap kept --from-literal=a=b');
    await readOnce(cluster, `${second.ip}:6443`, 'kept');
    await first.kill();
    expect(await cluster.kubectl('m2', `get configmap kept -o jsonpath='{.data.a}'`)).toBe('b');
    await first.start();
    await eventually(async () => expect(await nodes(first)).toMatch(/^m1 +Ready /m), 120_000);
  }, 300_000);

  it('leave their hosts as they were, and the etcd with what is in it', async () => {
    for (const host of [second, first]) {
      await host.must('kinit reset --force', { timeoutMs: 120_000 });
      await asBefore(host);
    }
    expect(await first.must(`stat -c %a:%U ${clientFiles}/client.key`)).toBe('600:root\n');
    expect((await second.exec(`ls ${clientFiles}`)).code).not.toBe(0);
    expect(await isKept()).toBe(true);
  }, 300_000);

  async function isKept(): Promise<boolean> {
    const read = (file: string) => readFile(join(pki, file));
    const credentials = {
      rootCertificate: await read('etcd/ca.crt'),
      certChain: await read('apiserver-etcd-client.crt'),
      privateKey: await read('apiserver-etcd-client.key'),
    };
    const { kvs } = await withEtcd({ endpoint: place.client, credentials }, ({ kv }) =>
      kv.range({ key: Buffer.from('/registry/configmaps/default/kept') }, { deadline: Date.now() + 10_000 }),
    );
    return kvs.length === 1;
  }
});
