/** The whole cluster to the next version, while what has two replicas and a budget goes on serving. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../../images/build.ts';
import { inventoryVariables } from '../../parts/cluster-files.ts';
import { buildNextBundle, type NextBundle } from '../../parts/next-bundle.ts';
import { apply, eventually, inventory, lab, must, network, onHost, root, run } from '../harness.ts';

const namespace = 'upgrade';
const clusterIP = '10.96.77.77';
const serving = `apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${namespace}}
spec:
  clusterIP: ${clusterIP}
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: ${namespace}}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${namespace}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: main
        image: ${busyboxImage}
        # It goes on answering until the proxies have heard that it ends.
        command: [sh, -c, 'echo ok > /tmp/index.html; trap "sleep 3; exit 0" TERM; httpd -f -p 8080 -h /tmp & wait']
        readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
`;

const log = '/var/tmp/upgrade-probe.log';
/** Asks ten times a second until its folder is gone, and writes down what was not answered. */
const probe = `mkdir -p ${log}.d; : > ${log}; setsid sh -c 'while [ -d ${log}.d ]; do
  timeout 2 bash -c "exec 3<>/dev/tcp/${clusterIP}/80; printf \\"GET /index.html HTTP/1.0\\r\\n\\r\\n\\" >&3; grep -q ok <&3" 2>/dev/null && echo ok >> ${log} || { date +%T.%N >> ${log}; }
  sleep 0.1
done' > /dev/null 2>&1 < /dev/null &`;

const kubelets = async () =>
  (
    await must(
      'get',
      'nodes',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion}{"\\n"}{end}',
    )
  )
    .trim()
    .split('\n');
const images = () =>
  must('-n', 'kube-system', 'get', 'pods', '-o', 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\\n"}{end}');

export function upgrade(): void {
  describe('the next version', () => {
    const folder = join(root, '.cache/next');
    let next: NextBundle;
    const kinit = (...args: string[]) =>
      run(join(root, 'node_modules/.bin/node'), [next.program, ...args], {
        timeoutMs: 600_000,
        env: { ...process.env, ...inventoryVariables(lab, network) },
      });
    const upgradeAll = (...more: string[]) =>
      kinit(
        'upgrade',
        'apply',
        next.kubernetes,
        '-i',
        inventory,
        '--bundle',
        next.file,
        '--yes',
        '--output',
        'plain',
        ...more,
      );

    beforeAll(async () => {
      next = await buildNextBundle(folder);
      await apply(serving);
      await must('-n', namespace, 'rollout', 'status', 'deployment', 'web', '--timeout=60s');
      await onHost('cp1', probe);
      await eventually(async () => expect(await onHost('cp1', `cat ${log}`)).toContain('ok'), 20_000);
    });
    afterAll(async () => {
      await onHost('cp1', `rm -rf ${log} ${log}.d /var/backups/kinit`);
      await must('delete', 'namespace', namespace, '--ignore-not-found');
      await rm(folder, { recursive: true, force: true });
    });

    it('reaches every host, and two replicas with a budget serve all the time', async () => {
      const { code, stdout, stderr } = await upgradeAll('--delete-emptydir-data', '--drain-force');
      expect([code, stderr]).toEqual([0, '']);
      expect(await kubelets()).toEqual(['cp1', 'w1', 'w2'].map((name) => `${name} ${next.kubernetes}`));
      expect(await images()).toContain(`kinit.local/kube-apiserver:${next.kubernetes}`);
      expect(await images()).not.toMatch(
        new RegExp(`kinit\\.local/kube-(?!.*${next.kubernetes.replaceAll('.', '\\.')})`),
      );
      expect(await must('get', 'nodes')).not.toContain('SchedulingDisabled');
      expect(stdout.indexOf('[w1] [drain]')).toBeGreaterThan(stdout.indexOf('[cp1] [post-upgrade]'));
      const answers = (await onHost('cp1', `rm -rf ${log}.d; cat ${log}`)).trim().split('\n');
      expect(answers.length).toBeGreaterThan(50);
      expect(answers.filter((line) => line !== 'ok')).toEqual([]);
    }, 600_000);

    it('has been brought by one link, after a snapshot of etcd', async () => {
      for (const name of ['cp1', 'w1', 'w2'])
        expect(await onHost(name, 'readlink /opt/kinit/current')).toBe(`/opt/kinit/${next.kinit}\n`);
      expect(await onHost('cp1', 'ls /var/backups/kinit/etcd')).toMatch(/^before-upgrade-.*\.db$/m);
    });

    it('has nothing to do a second time, drains nobody and says so', async () => {
      const { code, stdout } = await upgradeAll();
      expect(code).toBe(0);
      expect(stdout).not.toContain('[drain]');
      expect(stdout).toContain('nothing had to be changed');
    }, 300_000);
  });
}
