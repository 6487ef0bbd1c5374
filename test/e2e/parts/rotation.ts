/** New authorities for the cluster, step by step, with clients that look on through it all. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { apply, inventory, kinit, kubeconfig, kubectlPath, must, onHost, run } from '../harness.ts';

const namespace = 'rotation';
const before = `${kubeconfig}.before-rotation`;

/** Asks again and again; answers what went wrong. */
function watch(ask: () => Promise<string | undefined>): () => Promise<string[]> {
  const wrong: string[] = [];
  let over = false;
  const running = (async () => {
    while (!over) {
      const problem = await ask();
      if (problem !== undefined) wrong.push(problem);
      await delay(300);
    }
  })();
  return async () => {
    over = true;
    await running;
    return wrong;
  };
}

/** With one control plane its API server is away while it starts anew; nobody must be refused. */
const refused = (problems: readonly string[]) => problems.filter((text) => /x509|certificate|Unauthorized/i.test(text));

const asOwner = (file: string) =>
  run(kubectlPath(), ['--kubeconfig', file, '--request-timeout', '5s', 'get', 'namespace', namespace]);

/** As a program in the pod asks: with the bundle and the token that the kubelet has put there. */
const asPod = (uid: string) => `v=$(echo /var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~projected/kube-api-access-*)
/opt/kinit/current/bin/kubectl --kubeconfig /dev/null --server https://10.96.0.1 --certificate-authority $v/ca.crt \\
  --token "$(cat $v/token)" --request-timeout 5s auth whoami -o name 2>&1 || true`;

async function rotate(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kinit('certs', 'rotate-ca', ...args, '-i', inventory, '-o', 'plain');
  expect(code, `${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

export function rotation(): void {
  describe('new authorities', () => {
    let uid: string;
    let pins: string;
    const state = () =>
      must(
        '-n',
        namespace,
        'get',
        'pod',
        'looks-on',
        '-o',
        'jsonpath={.metadata.uid} {.status.containerStatuses[0].restartCount}',
      );
    const authorities = () =>
      onHost('cp1', 'cd /etc/kubernetes/pki && sha256sum ca.key front-proxy-ca.key etcd/ca.key sa.key');

    beforeAll(async () => {
      await writeFile(before, await readFile(kubeconfig), { mode: 0o600 });
      pins = await authorities();
      await must('create', 'namespace', namespace);
      await apply(
        `apiVersion: v1\nkind: Pod\nmetadata: { name: looks-on, namespace: ${namespace} }\n` +
          `spec: { nodeName: w1, terminationGracePeriodSeconds: 0, containers: [{ name: box, image: "${busyboxImage}", command: [sleep, "3600"] }] }\n`,
      );
      await must('-n', namespace, 'wait', '--for=condition=Ready', 'pod/looks-on', '--timeout=60s');
      uid = (await state()).split(' ')[0] ?? '';
    }, 120_000);
    afterAll(async () => {
      await rm(before, { force: true });
      await must('delete', 'namespace', namespace, '--ignore-not-found');
    }, 120_000);

    it('are told before anything changes', async () => {
      expect(await rotate('--dry-run')).toMatch(/would trust .*\n[\s\S]*would issue .*\n[\s\S]*would finish .*\n/);
      expect(await authorities()).toBe(pins);
      const early = await kinit('certs', 'rotate-ca', '--step', 'finish', '-i', inventory);
      expect([early.code === 0, early.stderr]).toEqual([false, expect.stringContaining('begin with --step trust')]);
    });

    it('come step by step, and neither an administrator with an old kubeconfig nor a pod is refused', async () => {
      const owner = watch(async () => {
        const { code, stderr } = await asOwner(before);
        return code === 0 ? undefined : stderr;
      });
      const pod = watch(async () => {
        const answer = await onHost('w1', asPod(uid));
        return answer.startsWith('selfsubjectreview') ? undefined : answer;
      });
      await rotate('--step', 'trust');
      await rotate('--step', 'issue');
      expect((await kinit('certs', 'rotate-ca', 'status', '-i', inventory)).stdout).toContain('issue is done');
      expect(refused(await owner())).toEqual([]);
      await rotate();
      expect(refused(await pod())).toEqual([]);
      expect(await onHost('w1', asPod(uid))).toContain('selfsubjectreview');
      const now = (await authorities()).split('\n');
      for (const line of pins.trim().split('\n')) expect(now).not.toContain(line);
    }, 600_000);

    it('end those of before, and leave a cluster that is well', async () => {
      const old = await asOwner(before);
      expect([old.code === 0, old.stderr]).toEqual([false, expect.stringMatching(/x509|certificate/)]);
      const up = await kinit('up', '-i', inventory, '--kubeconfig-out', kubeconfig, '-o', 'plain');
      expect(up.code, up.stdout + up.stderr).toBe(0);
      expect(await state()).toBe(`${uid} 0`);
      const { stdout } = await kinit('certs', 'rotate-ca', 'status', '-i', inventory, '-o', 'json');
      const hosts = JSON.parse(stdout) as {
        status: { rotation?: object; authorities: { trusted: string[]; others: string[] }[] };
      }[];
      for (const { status } of hosts) {
        expect(status.rotation).toBeUndefined();
        for (const { trusted, others } of status.authorities) expect([trusted.length, others]).toEqual([1, []]);
      }
      await eventually(async () => {
        const { code, stdout: told } = await kinit('doctor', '-i', inventory);
        expect([code, told]).toEqual([0, expect.stringMatching(/Nothing is wrong|\b0 errors/)]);
      }, 60_000);
      expect(await onHost('cp1', 'kinit certs check-expiration')).toMatch(/admin\.conf .* 364d .* no/);
      await must('-n', namespace, 'get', 'configmap', 'kube-root-ca.crt');
    }, 180_000);
  });
}
