/** A node out for maintenance and back, and a node taken out of the cluster and joined again. */
import { describe, expect, it } from 'vitest';
import { quote } from '../../../src/installer/fleet/connection.ts';
import { busyboxImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { apply, inventory, kinit, kubeconfig, must, onHost } from '../harness.ts';

const namespace = 'nodes';
const deployment = `apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${namespace}}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: ${busyboxImage}, command: [sleep, "3600"]}]
`;

const placed = async () =>
  (await must('-n', namespace, 'get', 'pods', '-o', 'jsonpath={range .items[*]}{.spec.nodeName}{"\\n"}{end}'))
    .trim()
    .split('\n');

/** Ends all sessions of the host's SSH daemon as soon as a reset is at work. */
const breakOff = `for try in $(seq 600); do
  for job in /var/tmp/kinit-job-*-reset-*/events.jsonl; do [ -s "$job" ] && pkill -KILL -f '^sshd(-session)?: root' && exit; done
  sleep 0.1
done`;

export function nodes(): void {
  describe('single nodes', () => {
    it('are drained, and take pods again', async () => {
      await apply(deployment);
      await must('-n', namespace, 'rollout', 'status', 'deployment', 'web', '--timeout=60s');
      expect(new Set(await placed())).toEqual(new Set(['w1', 'w2']));
      const drained = await kinit('nodes', 'drain', 'w1', '-i', inventory, '--delete-emptydir-data');
      expect([drained.code, drained.stderr]).toEqual([0, '']);
      expect(drained.stdout).toMatch(/\[w1] \[drain] Drain the node: \d+ pods? moved on/);
      await must('-n', namespace, 'rollout', 'status', 'deployment', 'web', '--timeout=60s');
      expect(new Set(await placed())).toEqual(new Set(['w2']));
      expect(await must('get', 'node', 'w1')).toContain('SchedulingDisabled');
      expect((await kinit('nodes', 'uncordon', 'w1', '-i', inventory)).code).toBe(0);
      expect(await must('get', 'node', 'w1')).not.toContain('SchedulingDisabled');
      expect((await kinit('nodes', 'uncordon', 'w1', '-i', inventory)).stdout).toContain('nothing had to be changed');
    });

    it('that the cluster cannot do without, or does not know, are not taken out', async () => {
      const only = await kinit('nodes', 'remove', 'cp1', '-i', inventory);
      expect([only.code, only.stderr]).toEqual([3, expect.stringContaining('cp1 is the only control plane')]);
      const unknown = await kinit('nodes', 'remove', 'w9', '-i', inventory);
      expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining('nodes: cp1, w1, w2')]);
      const planes = await kinit('nodes', 'replace', 'cp1', '--with', 'w9=10.0.0.9', '-i', inventory);
      expect([planes.code, planes.stderr]).toEqual([
        3,
        expect.stringContaining('nobody is left to let another one in'),
      ]);
      const taken = await kinit('nodes', 'replace', 'w1', '--with', 'w2', '-i', inventory);
      expect([taken.code, taken.stderr]).toEqual([3, expect.stringContaining('w2 is a node of the cluster already')]);
      const dead = await kinit('nodes', 'replace', 'w1', '--dead', '-i', inventory);
      expect([dead.code, dead.stderr]).toEqual([3, expect.stringContaining('w1 is not dead')]);
      expect(await must('get', 'nodes')).not.toContain('SchedulingDisabled');
    });

    it('are replaced by their machine, reinstalled, with the labels and taints that they had', async () => {
      await must('label', 'node', 'w2', 'rack=7');
      await must('taint', 'node', 'w2', 'dedicated=db:PreferNoSchedule');
      // The node as the cluster knows it stays.
      await onHost('w2', 'kinit reset --force');
      const replaced = await kinit('nodes', 'replace', 'w2', '-i', inventory);
      expect([replaced.code, replaced.stderr]).toEqual([0, '']);
      expect(replaced.stdout).toMatch(/\[w2] \[node] Remove the node from the cluster/);
      const marks = '{.metadata.labels.rack} {.spec.taints[*].key} {.status.conditions[?(@.type=="Ready")].status}';
      expect(await must('get', 'node', 'w2', '-o', `jsonpath=${marks}`)).toBe('7 dedicated True');
      expect(await must('-n', 'kube-system', 'get', 'configmaps', '-o', 'name')).not.toContain('kinit-replace');
      await must('taint', 'node', 'w2', 'dedicated-');
    }, 120_000);

    it('are taken out with all that they hold, over a connection that breaks off meanwhile, and join again', async () => {
      await onHost('w2', `setsid sh -c ${quote(breakOff)} > /dev/null 2>&1 < /dev/null &`);
      const removed = await kinit('nodes', 'remove', 'w2', '-i', inventory, '--delete-emptydir-data');
      expect([removed.code, removed.stderr]).toEqual([0, '']);
      expect(removed.stdout).toContain('[w2] warning: the connection was lost; trying to connect again');
      expect(await must('get', 'nodes', '-o', 'name')).toBe('node/cp1\nnode/w1\n');
      expect(await onHost('w2', 'ls -d /etc/kubernetes /var/lib/kubelet/config.yaml 2>/dev/null; true')).toBe('');
      await must('-n', namespace, 'rollout', 'status', 'deployment', 'web', '--timeout=60s');
      const again = await kinit('up', '-i', inventory, '--kubeconfig-out', kubeconfig);
      expect([again.code, again.stderr]).toEqual([0, '']);
      await eventually(async () => expect(await must('get', 'node', 'w2')).toMatch(/ Ready /), 30_000);
      await must('delete', 'namespace', namespace);
    });
  });
}
