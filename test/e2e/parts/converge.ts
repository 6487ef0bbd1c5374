/** The inventory is changed, and the cluster follows; what is taken out of it stays until it is told to go. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, describe, expect, it } from 'vitest';
import type { FleetEvent, HostSummary } from '../../../src/installer/fleet/events.ts';
import type { InventoryDocument } from '../../../src/installer/inventory/schema.ts';
import { eventually } from '../../parts/eventually.ts';
import { inventory, kinit, kubeconfig, must, network, onHost, run } from '../harness.ts';

interface Run {
  code: number;
  stderr: string;
  hosts: Record<string, HostSummary>;
  ms: number;
}

export function converge(): void {
  describe('an inventory that is changed', () => {
    const folder = mkdtemp(join(tmpdir(), 'kinit-converge-'));
    afterAll(async () => rm(await folder, { recursive: true }));

    /** `kinit up` with the lab's inventory and what is different in it. */
    async function up(change: (document: InventoryDocument) => void, ...flags: string[]): Promise<Run> {
      const document = load(await readFile(inventory, 'utf8')) as InventoryDocument;
      change(document);
      const path = join(await folder, 'inventory.yaml');
      await writeFile(path, JSON.stringify(document));
      const words = ['--output', 'json', '--kubeconfig-out', kubeconfig, ...flags];
      const { code, stdout, stderr } = await kinit('up', '-i', path, ...words);
      const events = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as FleetEvent);
      const last = events.at(-1);
      if (last?.type !== 'fleet-ended') throw new Error(`no last event: ${stdout}${stderr}`);
      return {
        code,
        stderr,
        ms: last.ms,
        hosts: Object.fromEntries((last.hosts ?? []).map((host) => [host.name, host])),
      };
    }
    const outcomes = ({ hosts }: Run) => Object.values(hosts).map(({ name, outcome }) => `${name} ${outcome}`);

    const changed = (document: InventoryDocument) => {
      const w1 = document.hosts?.find(({ name }) => name === 'w1');
      if (!w1) throw new Error('the inventory of the lab has no w1');
      w1.labels = { 'converge.test/disk': 'ssd' };
      w1.annotations = { 'converge.test/owner': 'team a' };
      w1.taints = [{ key: 'converge.test', value: 'yes', effect: 'PreferNoSchedule' }];
      w1.settings = { sysctl: { 'net.ipv4.tcp_keepalive_time': 7100 } };
      document.kubelet = { maxPods: 99 } as InventoryDocument['kubelet'];
      document.cluster = {
        ...document.cluster,
        apiServer: { certSANs: ['converge.test'], extraArgs: [{ name: 'profiling', value: 'false' }] },
      };
    };
    const away = (document: InventoryDocument) => {
      document.hosts?.push({ name: 'away', address: `10.77.${network}.99`, roles: ['worker'] });
    };

    /** All that the change is about, as it is at the moment. */
    async function seen() {
      const w1 = JSON.parse(await must('get', 'node', 'w1', '-o', 'json')) as {
        metadata: { labels: Record<string, string>; annotations: Record<string, string> };
        spec: { taints?: { key: string }[] };
      };
      const configz = JSON.parse(await must('get', '--raw', '/api/v1/nodes/w2/proxy/configz')) as {
        kubeletconfig: { maxPods: number };
      };
      const { stdout: names } = await run('sh', [
        '-c',
        `openssl s_client -connect 10.77.${network}.10:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName`,
      ]);
      return {
        label: w1.metadata.labels['converge.test/disk'],
        annotation: w1.metadata.annotations['converge.test/owner'],
        taint: w1.spec.taints?.some(({ key }) => key === 'converge.test') ?? false,
        keepalive: (await onHost('w1', 'sysctl -n net.ipv4.tcp_keepalive_time')).trim(),
        maxPods: configz.kubeletconfig.maxPods,
        flag: (await must('-n', 'kube-system', 'get', 'pod', 'kube-apiserver-cp1', '-o', 'yaml')).includes(
          '--profiling=false',
        ),
        name: names.includes('converge.test'),
      };
    }
    /** Pods that are none of the control plane's, with how often they were started. */
    const others = () =>
      must(
        ...['get', 'pods', '-A', '-l', 'tier!=control-plane', '-o'],
        'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount}{"\\n"}{end}',
      );

    it('is followed by all hosts that can be reached', async () => {
      const pods = await others();
      const before = await seen();
      expect(before).toMatchObject({ label: undefined, taint: false, flag: false, name: false });
      const followed = await up((document) => {
        changed(document);
        away(document);
      });
      expect(outcomes(followed)).toEqual(['cp1 changed', 'w1 changed', 'w2 changed', 'away unreachable']);
      expect([followed.code, followed.stderr]).toEqual([
        4,
        expect.stringMatching(/host away.*cannot reach[\s\S]*cp1 is done/),
      ]);
      expect(followed.hosts['w1']?.changed).toEqual(expect.arrayContaining(['host/sysctl', 'kubelet-start', 'labels']));
      expect(followed.hosts['away']?.error).toMatchObject({
        exitCode: 4,
        advice: expect.stringContaining('inventory'),
      });
      const kubelets = { maxPods: 99, flag: true, name: true };
      const node = { label: 'ssd', annotation: 'team a', taint: true, keepalive: '7100' };
      await eventually(async () => expect(await seen()).toEqual({ ...node, ...kubelets }), 20_000);
      expect(await others()).toBe(pods);
    });

    it('keeps what is taken out of it until it is told to let go', async () => {
      const kept = await up(() => undefined);
      // The flags with which a kubelet registers its node say nothing of labels and taints any more.
      expect([kept.code, outcomes(kept)]).toEqual([0, ['cp1 unchanged', 'w1 changed', 'w2 unchanged']]);
      expect(kept.hosts['w1']?.changed).toEqual(['kubelet-start']);
      expect(kept.hosts['cp1']?.leftovers).toEqual([
        'flag --profiling=false of kube-apiserver',
        'name converge.test of the certificate of the API server',
        'KubeletConfiguration.maxPods = 99',
      ]);
      expect(kept.hosts['w1']?.leftovers).toEqual([
        'kernel parameter net.ipv4.tcp_keepalive_time = 7100',
        'label converge.test/disk=ssd',
        'annotation converge.test/owner=team a',
        'taint converge.test=yes:PreferNoSchedule',
      ]);
      expect(await seen()).toMatchObject({ label: 'ssd', flag: true });
      const pruned = await up(() => undefined, '--prune');
      expect([pruned.code, pruned.stderr]).toEqual([0, '']);
      const gone = {
        label: undefined,
        annotation: undefined,
        taint: false,
        keepalive: '7200',
        flag: false,
        name: false,
      };
      await eventually(async () => expect(await seen()).toEqual({ ...gone, maxPods: 110 }), 20_000);
      const again = await up(() => undefined);
      expect([outcomes(again), again.hosts['cp1']?.leftovers]).toEqual([
        ['cp1 unchanged', 'w1 unchanged', 'w2 unchanged'],
        [],
      ]);
    });

    it('is refused when a living cluster cannot follow, before anything is touched', async () => {
      const { code, stderr, hosts } = await up((document) => {
        changed(document);
        document.cluster = { ...document.cluster, networking: { podSubnet: '10.9.0.0/16' } };
      });
      expect([code, Object.values(hosts).map(({ outcome }) => outcome)]).toEqual([3, Array(3).fill('unchanged')]);
      expect(stderr).toContain('networking.podSubnet is 10.244.0.0/16 in this cluster, and 10.9.0.0/16 was given');
      expect(await seen()).toMatchObject({ label: undefined, flag: false });
    });
  });
}
