/** Three control planes and three workers on lab hosts of all flavours: brought up, one killed, one frozen, one reset, most of them lost. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtcdMembers } from '../../../src/installer/etcd/members.ts';
import { busyboxImage, echoImage } from '../../images/build.ts';
import type { LabHost } from '../../lab/lab.ts';
import { eventually } from '../../parts/eventually.ts';
import { difference, hostState } from '../../parts/host-state.ts';
import { loadTestImages } from '../../parts/load-images.ts';
import { observe } from '../../parts/outage.ts';
import {
  hostsForSeveral,
  readOnce,
  type SeveralControlPlanes,
  serversInUse,
  virtualHolder,
  type Way,
  wayThrough,
  write,
} from '../../parts/several-control-planes.ts';
import { replacesControlPlane } from './replaced.ts';
import { changedInventory, told } from './told.ts';

const wanted = process.env['KINIT_TEST_HA'] === '1';
const reason = wanted ? '' : ' (takes minutes and six hosts: runs with KINIT_TEST_HA=1)';

let cluster: SeveralControlPlanes;
/** What each host was like before kinit; snapshots of etcd stay. */
const untouched = new Map<string, string[]>();
const stateOf = (host: LabHost) => hostState(host, [/ \/var\/backups\/kinit/]);
const masters = ['m1', 'm2', 'm3'];
const address = (name: string) => cluster.lab.host(name).ip;
const kubectl = (on: string, command: string, input?: string) => cluster.kubectl(on, command, input);

/** The members of etcd as a control plane's own etcd knows them: `m1`, or `m1 (learner)`. */
async function etcdMembers(on: string): Promise<string[]> {
  const host = cluster.lab.host(on);
  const read = async (file: string) => Buffer.from(await host.must(`cat /etc/kubernetes/pki/etcd/${file}`));
  const members = await new EtcdMembers({
    endpoints: [`https://${host.ip}:2379`],
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

const words = (text: string) => text.trim().split(/\s+/).sort();

const expectServers = (on: string, names: readonly string[], timeoutMs: number) =>
  eventually(async () => {
    const ips = await kubectl(on, `get endpoints kubernetes -o jsonpath='{.subsets[*].addresses[*].ip}'`);
    expect(words(ips)).toEqual(names.map(address));
  }, timeoutMs);

const expectReady = (on: string, name: string) =>
  eventually(async () => expect(await kubectl(on, `get node ${name} --no-headers`)).toMatch(/^\S+ +Ready /), 120_000);

/** Who has it. */
async function holders(names: readonly string[]): Promise<string[]> {
  const found = names.map(async (name) => {
    const addresses = await cluster.lab.host(name).must('ip -o address');
    return addresses.includes(` ${cluster.virtualIP}/`) ? [name] : [];
  });
  return (await Promise.all(found)).flat();
}

/** One has it, and it is the one that may. */
const expectHolder = (among: readonly string[]) =>
  eventually(
    async () => expect(await holders(among)).toEqual([await virtualHolder(cluster, among[0] as string)]),
    20_000,
  );

const nodePort = 30080;
const workload = `
apiVersion: v1
kind: ConfigMap
metadata: { name: written }
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec:
  type: NodePort
  selector: { app: echo }
  ports: [{ port: 80, targetPort: 8080, nodePort: ${nodePort} }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: echo }
spec:
  replicas: 2
  selector: { matchLabels: { app: echo } }
  template:
    metadata: { labels: { app: echo } }
    spec:
      containers:
        - name: echo
          image: ${echoImage}
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
`;
async function echoOf(ip: string): Promise<string> {
  const options = { headers: { connection: 'close' }, signal: AbortSignal.timeout(5_000) };
  return (await fetch(`http://${ip}:${nodePort}/`, options)).text();
}
/** Ends at the first answer that it does not get. */
const asking = (service: string) => `
apiVersion: v1
kind: Pod
metadata: { name: asking }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: asking
      image: ${busyboxImage}
      command: [sh, -c, "while wget -q -T 5 -O /dev/null http://${service}/; do usleep 200000; done; exit 1"]
`;

describe.runIf(wanted).sequential(`three control planes and three workers${reason}`, () => {
  beforeAll(async () => {
    cluster = await hostsForSeveral({ name: 'ha-test', network: 100, masters: 3, workers: 3 });
    await Promise.all(cluster.lab.hosts.map(async (host) => untouched.set(host.name, await stateOf(host))));
  }, 600_000);

  afterAll(() => cluster?.down(), 120_000);

  it('are brought up in one go, and need no endpoint', async () => {
    expect(await cluster.up()).not.toContain('controlPlaneEndpoint');
    const roles = await kubectl('m1', 'get nodes --no-headers');
    expect(roles.match(/^m\d +Ready +control-plane /gm)).toHaveLength(3);
    expect(roles.match(/^w\d +Ready +<none> /gm)).toHaveLength(3);
  }, 900_000);

  it('are members of etcd, endpoints of the kubernetes Service, and labelled, tainted and alike', async () => {
    expect(await etcdMembers('m2')).toEqual(['m1', 'm2', 'm3']);
    await expectServers('m1', masters, 30_000);
    const keys = (name: string) =>
      cluster.lab.host(name).must('cd /etc/kubernetes && sha256sum pki/ca.key pki/sa.key | cut -c1-64');
    for (const name of ['m2', 'm3']) {
      const taints = await kubectl('m1', `get node ${name} -o jsonpath='{.spec.taints[*].key}'`);
      expect(words(taints)).toContain('node-role.kubernetes.io/control-plane');
      expect(await keys(name)).toBe(await keys('m1'));
      const pods = await kubectl('m1', `-n kube-system get pods --field-selector spec.nodeName=${name} -o name`);
      for (const part of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'])
        expect(pods).toContain(`pod/${part}-${name}`);
    }
  });

  it('change nothing when up runs again', async () => {
    expect(await cluster.up()).toMatch(/unchanged|nothing had to be changed/i);
  }, 300_000);

  it('are told what would change on each of them, and that is what changes', async () => {
    const inventory = await changedInventory(cluster, (given) => {
      given.cluster = {
        apiServer: { certSANs: ['api.test'], extraArgs: [{ name: 'profiling', value: 'false' }] },
        controllerManager: { extraArgs: [{ name: 'node-monitor-grace-period', value: '50s' }] },
        etcd: { local: { extraArgs: [{ name: 'heartbeat-interval', value: '150' }] } },
      };
      given.kubelet = { maxPods: 99 };
      for (const host of given.hosts.slice(2, 4)) {
        // One that a kubelet may not set itself: it would be faster than kinit, or not.
        host.labels = { 'test.kubernetes.io/disk': 'ssd' };
        host.settings = { sysctl: { 'net.ipv4.tcp_keepalive_time': 7100 } };
      }
    });
    const before = await told(cluster, inventory, '--dry-run');
    for (const name of masters) {
      expect(before.planned).toContain(`${name} write /etc/kubernetes/manifests/etcd.yaml`);
      expect(before.differences(name)).toMatch(/^\+ {4}- --profiling=false$/m);
    }
    const { phases } = await told(cluster, inventory);
    expect(phases).toEqual(before.phases);
    expect(await told(cluster, inventory, '--dry-run')).toMatchObject({ phases: [], planned: [] });
  }, 600_000);

  describe('with a workload, watched by clients', () => {
    let way: Way;
    let worker: string;

    beforeAll(async () => {
      await loadTestImages(cluster.workers);
      await kubectl('m1', 'apply -f -', workload);
      await kubectl('m1', 'rollout status deployment/echo --timeout=120s');
      const service = await kubectl('m1', `get service echo -o jsonpath='{.spec.clusterIP}'`);
      await kubectl('m1', 'apply -f -', asking(service));
      await kubectl('m1', 'wait --for=condition=Ready pod/asking --timeout=60s');
      worker = 'w1';
      for (const { name, ip } of cluster.workers) {
        const host = cluster.lab.host(name);
        expect(await host.must('cat /etc/kubernetes/kubelet.conf')).toContain('server: https://127.0.0.1:7443');
        await eventually(async () => {
          const known = await host.must('cat /var/lib/kinit-balancer/members.json');
          for (const master of cluster.masters) expect(known).toContain(`"${master.ip}:6443"`);
        }, 30_000);
        if ((await serversInUse(host)).includes(address('m1'))) worker = name;
        await echoOf(ip);
      }
      way = await wayThrough(cluster.lab, cluster.lab.host(worker));
    }, 300_000);

    afterAll(() => way?.close());

    function lose(name = 'm1') {
      const others = masters.filter((other) => other !== name) as [string, string];
      return { lost: cluster.lab.host(name), others, on: others[0] };
    }

    /** Does something to a control plane while everything is asked; answers when all is well again, and only then. */
    async function watched(fault: () => Promise<void>, wellAgain: () => Promise<void>, on: string): Promise<void> {
      const kept = await cluster.client(way.server);
      const virtual = `${cluster.virtualIP}:6443`;
      const api = {
        'writes through the endpoint of a worker': observe(write(kept, 'written')),
        'reads through the endpoint of a worker': observe(() => readOnce(cluster, way.server, 'written')),
        'reads through the virtual address': observe(() => readOnce(cluster, virtual, 'written')),
      };
      const echo = cluster.workers.map(({ ip }) => observe(() => echoOf(ip)));
      const all = [...Object.values(api), ...echo];
      try {
        await Promise.all(all.map((each) => each.answers(5, 30_000)));
        await fault();
        await wellAgain();
        await Promise.all(all.map((each) => each.answers(5, 30_000)));
        for (const [what, observer] of Object.entries(api)) {
          const outage = observer.seen();
          const limit = what.includes('virtual') ? 15_000 : 10_000;
          expect(outage.longestMs, `${what}: ${JSON.stringify(outage)}`).toBeLessThan(limit);
        }
        for (const observer of echo) expect(observer.seen()).toMatchObject({ failures: 0, errors: [] });
        const asked = await kubectl(on, `get pod asking -o jsonpath='{.status.phase}'`);
        expect(asked).toBe('Running');
      } finally {
        await Promise.all(all.map((each) => each.stop()));
        kept.close();
      }
    }

    it('lose the one with the virtual address: clients go on, the address moves, and the cluster works', async () => {
      const { lost, others, on } = lose((await holders(masters))[0]);
      await watched(
        () => lost.kill(),
        async () => {
          await expectHolder(others);
          await kubectl(on, 'scale deployment/echo --replicas=3');
          await kubectl(on, 'rollout status deployment/echo --timeout=90s');
          await expectServers(on, others, 60_000);
          // The workers have joined by m1; one that starts now has to know the others by itself.
          const w3 = cluster.lab.host('w3');
          const started = Date.now();
          await w3.must('systemctl is-enabled kinit-balancer && systemctl restart kinit-balancer kubelet');
          await eventually(async () => {
            const renewed = await kubectl(on, `-n kube-node-lease get lease w3 -o jsonpath='{.spec.renewTime}'`);
            expect(Date.parse(renewed)).toBeGreaterThan(started);
          }, 60_000);
        },
        on,
      ).finally(() => lost.start());
      await expectServers(on, masters, 120_000);
      await expectReady(lost.name, lost.name);
      await expectHolder(masters);
    }, 400_000);

    it('have one that hangs, and clients go on', async () => {
      const inUse = await serversInUse(cluster.lab.host(worker));
      const { lost, others, on } = lose(masters.find((name) => inUse.includes(address(name))));
      await watched(
        () => lost.freeze(),
        async () => {
          await expectServers(on, others, 60_000);
          // Questions whether it answers again are connections, too, for a moment.
          await eventually(
            async () => expect(await serversInUse(cluster.lab.host(worker))).not.toContain(lost.ip),
            30_000,
          );
          await expectHolder(others);
        },
        on,
      ).finally(() => lost.thaw());
      await expectServers(on, masters, 60_000);
      await expectReady(on, lost.name);
    }, 300_000);

    it('get new authorities and new keys for etcd, and clients go on', async () => {
      const rotate = (...args: string[]) => cluster.kinit(...args, '-i', 'inventory.yaml');
      const keys = (on: string) =>
        cluster.lab
          .host(on)
          .must('cd /etc/kubernetes/pki && sha256sum ca.key front-proxy-ca.key etcd/ca.key sa.key encryption.yaml');
      const before = (await keys('m1')).split('\n');
      const well = () => expectServers('m1', masters, 60_000);
      const old = await cluster.client(`${address('m1')}:6443`);
      await watched(
        async () => {
          await rotate('certs', 'rotate-ca', '--step', 'trust');
          await rotate('certs', 'rotate-ca', '--step', 'issue');
        },
        well,
        'm1',
      );
      await cluster.up();
      await watched(() => rotate('certs', 'rotate-ca').then(() => undefined), well, 'm1');
      await watched(() => rotate('encryption', 'rotate').then(() => undefined), well, 'm1');
      for (const name of masters) expect(await keys(name)).toBe(await keys('m1'));
      for (const line of (await keys('m1')).split('\n').filter(Boolean)) expect(before).not.toContain(line);
      await expect(write(old, 'written')()).rejects.toThrow(/certificate|Unauthorized/);
      old.close();
      expect(await etcdMembers('m1')).toEqual(masters);
    }, 900_000);
  });

  it('lose a member of etcd when one is reset, and up adds it again', async () => {
    await cluster.kinit('reset', '--force', '-i', 'inventory.yaml', '--limit', 'm2');
    expect(await etcdMembers('m1')).toEqual(['m1', 'm3']);
    await kubectl('m1', 'delete node m2');
    await cluster.up();
    expect(await etcdMembers('m1')).toEqual(['m1', 'm2', 'm3']);
  }, 900_000);

  replacesControlPlane(() => ({ cluster, etcdMembers, expectServers }));

  it('are made again of a snapshot when all but one of them is lost', async () => {
    const { lab, folder, kinit, up } = cluster;
    await kubectl('m1', 'create configmap kept');
    await kinit('etcd', 'snapshot', 'save', '-i', 'inventory.yaml', '--out', 'backup');
    const file = (await readdir(join(folder, 'backup'))).find((name) => name.endsWith('.db'));
    await kubectl('m1', 'create configmap lost');
    for (const name of ['m2', 'm3']) await lab.host(name).kill();
    await eventually(async () => {
      expect((await lab.host('m1').exec('kinit etcd status')).code).not.toBe(0);
    }, 60_000);
    expect((await lab.host('m1').exec('kinit doctor')).stdout).toContain('2 are needed: etcd takes no writes');
    await Promise.all(['m2', 'm3'].map((name) => lab.host(name).start()));
    await kinit('etcd', 'restore', join('backup', file as string), '--force', '-i', 'inventory.yaml');
    expect(await etcdMembers('m1')).toEqual(['m1']);
    await up();
    expect(await etcdMembers('m1')).toEqual(['m1', 'm2', 'm3']);
    const maps = await kubectl('m3', 'get configmaps -o name');
    expect(words(maps)).toContain('configmap/kept');
    expect(words(maps)).not.toContain('configmap/lost');
  }, 900_000);

  it('leave nothing behind when they are reset', async () => {
    await cluster.kinit('reset', '--force', '-i', 'inventory.yaml');
    const left = cluster.lab.hosts.map(async (host) =>
      difference(untouched.get(host.name) ?? [], await stateOf(host)).map((line) => `${host.name}: ${line}`),
    );
    expect((await Promise.all(left)).flat()).toEqual([]);
  }, 300_000);
});
