/** What breaks and heals: a worker cut off, every host rebooted, each process of the control plane killed under a writing client. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { apply, hosts, kubectl, must, onHost } from '../harness.ts';

const ns = 'failure-test';

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: steady }
spec:
  replicas: 2
  selector: { matchLabels: { app: steady } }
  template:
    metadata: { labels: { app: steady } }
    spec:
      terminationGracePeriodSeconds: 0
      tolerations:
        - { key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 3 }
        - { key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 3 }
      topologySpreadConstraints:
        - { maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: steady } } }
      containers: [{ name: box, image: "${busyboxImage}", command: [sleep, "36000"] }]
`;

const onWorker = (name: string, command: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  nodeName: w1
  containers: [{ name: box, image: "${busyboxImage}", command: [sh, -c, '${command}'] }]
`;

/** Writes config maps one after the other until told to stop; answers the names that were acknowledged. */
function startWriter(prefix: string): { stop(): Promise<string[]>; acknowledged: string[] } {
  const acknowledged: string[] = [];
  let running = true;
  const loop = (async () => {
    for (let i = 0; running; i++) {
      const name = `${prefix}-${i}`;
      const { code } = await kubectl(
        { timeoutMs: 20_000 },
        '-n',
        ns,
        'create',
        'configmap',
        name,
        `--from-literal=i=${i}`,
        '--request-timeout=5s',
      );
      if (code === 0) acknowledged.push(name);
    }
  })();
  return {
    acknowledged,
    stop: async () => {
      running = false;
      await loop;
      return acknowledged;
    },
  };
}

async function nodeReady(name: string): Promise<string> {
  return must('get', 'node', name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}');
}

async function allNodesReady(timeoutMs: number): Promise<void> {
  await eventually(async () => {
    for (const { name } of hosts()) expect(await nodeReady(name)).toBe('True');
  }, timeoutMs);
}

export function failures(): void {
  describe('failures', () => {
    beforeAll(async () => {
      await must('create', 'namespace', ns);
      await apply(manifest, '-n', ns);
      await must('-n', ns, 'rollout', 'status', 'deployment/steady', '--timeout=90s');
    });
    afterAll(async () => {
      await kubectl('delete', 'namespace', ns, '--timeout=60s');
    });

    // By the names of processes, which the kernel cuts off after 15 characters.
    const killed = [
      ['etcd', 'etcd'],
      ['kube-apiserver', 'kube-apiserver'],
      ['kube-controller-manager', 'kube-controller'],
      ['kube-scheduler', 'kube-scheduler'],
      ['kubelet', 'kubelet'],
    ] as const;

    it.each(killed)(
      '%s killed with -9 under a writing client loses nothing that was acknowledged',
      async (name, process) => {
        const writer = startWriter(name.replace('kube-', ''));
        await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(2), 60_000);
        const [pid] = (await onHost('cp1', `pgrep -x '${process}' | head -1`)).trim().split('\n');
        expect(Number(pid)).toBeGreaterThan(1);
        await onHost('cp1', `kill -9 ${pid}`);
        await eventually(async () => {
          const [now] = (await onHost('cp1', `pgrep -x '${process}' | head -1`)).trim().split('\n');
          expect(Number(now)).toBeGreaterThan(1);
          expect(now).not.toBe(pid);
        }, 120_000);
        const restarted = writer.acknowledged.length;
        await eventually(async () => expect(writer.acknowledged.length).toBeGreaterThan(restarted + 2), 120_000);
        const acknowledged = await writer.stop();
        const there = new Set(
          (await must('-n', ns, 'get', 'configmaps', '-o', 'jsonpath={.items[*].metadata.name}')).split(' '),
        );
        expect(acknowledged.filter((written) => !there.has(written))).toEqual([]);
      },
    );

    it('containers outlive a restart of the kubelet', async () => {
      const states = () =>
        must(
          '-n',
          ns,
          'get',
          'pods',
          '-l',
          'app=steady',
          '-o',
          'jsonpath={range .items[*]}{.status.containerStatuses[0].containerID}{" "}{.status.containerStatuses[0].restartCount}{"\\n"}{end}',
        );
      const before = await states();
      await onHost('w1', 'systemctl restart kubelet');
      await allNodesReady(60_000);
      expect(await states()).toBe(before);
    });

    it('a worker that is cut off is NotReady after some 40 s, its pods run elsewhere, and it returns when healed', async () => {
      const w1 = hosts().find((host) => host.name === 'w1')!;
      await w1.cut();
      const started = Date.now();
      try {
        await eventually(async () => expect(await nodeReady('w1')).toBe('Unknown'), 90_000);
        expect(Date.now() - started).toBeGreaterThan(25_000);
        await eventually(async () => {
          const running = await must(
            '-n',
            ns,
            'get',
            'pods',
            '-l',
            'app=steady',
            '--field-selector=spec.nodeName=w2,status.phase=Running',
            '-o',
            'name',
          );
          expect(running.trim().split('\n')).toHaveLength(2);
        }, 90_000);
      } finally {
        await w1.heal();
      }
      await allNodesReady(90_000);
      expect(await must('get', 'node', 'w1', '-o', 'jsonpath={.spec.taints}')).toBe('');
    }, 300_000);

    it('a worker that shuts down ends its pods first, tells so, and takes no new ones', async () => {
      const setting = (whole: number, critical: number) =>
        `sed -i 's/^shutdownGracePeriod: .*/shutdownGracePeriod: ${whole}s/; s/^shutdownGracePeriodCriticalPods: .*/shutdownGracePeriodCriticalPods: ${critical}s/' /var/lib/kubelet/config.yaml && systemctl restart kubelet`;
      try {
        await onHost('w1', setting(10, 3));
        await eventually(async () => expect(await onHost('w1', 'systemd-inhibit --list')).toContain('kubelet'), 30_000);
        await apply(onWorker('polite', 'trap "sleep 4; exit 0" TERM; while :; do sleep 0.1; done'), '-n', ns);
        await apply(onWorker('stubborn', 'exec sleep 36000'), '-n', ns);
        await must('-n', ns, 'wait', '--for=condition=Ready', 'pod/polite', 'pod/stubborn', '--timeout=60s');
        const started = Date.now();
        const rebooted = hosts()
          .find((host) => host.name === 'w1')!
          .reboot();
        await eventually(async () => {
          const message = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}';
          expect(await must('get', 'node', 'w1', '-o', message)).toBe('node is shutting down');
        }, 15_000);
        await apply(onWorker('late', 'exec sleep 36000'), '-n', ns);
        await rebooted;
        // systemd alone waits 90 s for what does not heed it.
        expect(Date.now() - started).toBeLessThan(60_000);
        await allNodesReady(60_000);
        const ended = async (name: string) => {
          const pod = JSON.parse(await must('-n', ns, 'get', 'pod', name, '-o', 'json'));
          const state = pod.status.containerStatuses?.[0]?.state;
          return [pod.status.phase, pod.status.reason, pod.status.message, state?.terminated?.exitCode];
        };
        const message = 'Pod was terminated in response to imminent node shutdown.';
        await eventually(async () => {
          expect(await ended('polite')).toEqual(['Failed', 'Terminated', message, 0]);
          expect(await ended('stubborn')).toEqual(['Failed', 'Terminated', message, 137]);
        }, 30_000);
        const refusal = 'Pod was rejected as the node is shutting down.';
        expect((await ended('late')).slice(0, 3)).toEqual(['Failed', 'NodeShutdown', refusal]);
      } finally {
        await eventually(() => onHost('w1', setting(0, 0)), 60_000);
      }
      await must('-n', ns, 'delete', 'pod', 'polite', 'stubborn', 'late');
      await allNodesReady(60_000);
    }, 300_000);

    it('after a reboot of all hosts the cluster is back with all objects and pods', async () => {
      const before = await must('-n', ns, 'get', 'configmaps', '-o', 'name');
      const started = Date.now();
      await Promise.all(hosts().map((host) => host.reboot()));
      // The pods heed no SIGTERM, for which systemd alone would wait 90 s.
      expect(Date.now() - started).toBeLessThan(80_000);
      await eventually(async () => {
        const { code, stderr } = await kubectl('get', '--raw', '/readyz');
        expect(code, stderr).toBe(0);
      }, 180_000);
      await allNodesReady(180_000);
      expect(await must('-n', ns, 'get', 'configmaps', '-o', 'name')).toBe(before);
      await eventually(async () => {
        const ready = await must('-n', ns, 'get', 'deployment', 'steady', '-o', 'jsonpath={.status.readyReplicas}');
        expect(ready).toBe('2');
        const dns = await must(
          '-n',
          'kube-system',
          'get',
          'deployment',
          'coredns',
          '-o',
          'jsonpath={.status.readyReplicas}/{.spec.replicas}',
        );
        expect(dns).toBe('2/2');
      }, 180_000);
    }, 600_000);
  });
}
