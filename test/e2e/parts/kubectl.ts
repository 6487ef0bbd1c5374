/** Stock kubectl against the cluster: the commands that people type every day. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage, echoImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { apply, kubectl, kubectlPath, must, script, useKubeconfig } from '../harness.ts';

const deployment = (name: string, replicas: number, image = echoImage) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: main
          image: ${image}
          imagePullPolicy: IfNotPresent
          ports: [{ containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
`;

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export function kubectlCommands(): void {
  describe('stock kubectl', () => {
    const ns = 'kubectl-test';
    let folder: string;
    let pod: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'kinit-e2e-'));
      await must('create', 'namespace', ns);
      await apply(deployment('web', 1), '-n', ns);
      await must('-n', ns, 'rollout', 'status', 'deployment/web', '--timeout=90s');
      pod = (await must('-n', ns, 'get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
    });
    afterAll(async () => {
      await kubectl('delete', 'namespace', ns, '--wait=false');
      await rm(folder, { recursive: true, force: true });
    });

    it('get prints tables, wide, yaml, json and custom columns', async () => {
      expect(await must('-n', ns, 'get', 'pods')).toMatch(
        /NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\n\S+\s+1\/1\s+Running/,
      );
      expect(await must('-n', ns, 'get', 'pods', '-o', 'wide')).toMatch(/IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES/);
      expect(await must('-n', ns, 'get', 'deployment', 'web', '-o', 'yaml')).toContain('kind: Deployment');
      expect(await must('-n', ns, 'get', 'deploy', '-o', 'custom-columns=N:.metadata.name,R:.spec.replicas')).toMatch(
        /N\s+R\nweb\s+1/,
      );
      expect(await must('get', 'nodes', '-o', 'wide')).toMatch(
        /INTERNAL-IP\s+EXTERNAL-IP\s+OS-IMAGE\s+KERNEL-VERSION\s+CONTAINER-RUNTIME/,
      );
    });

    it('describe tells of a pod its events and conditions', async () => {
      const text = await must('-n', ns, 'describe', 'pod', pod);
      expect(text).toContain('Successfully assigned');
      expect(text).toMatch(/ContainersReady\s+True/);
    });

    it('create, label, annotate and delete change an object', async () => {
      await must('-n', ns, 'create', 'configmap', 'settings', '--from-literal=a=1');
      await must('-n', ns, 'label', 'configmap', 'settings', 'tier=test');
      await must('-n', ns, 'annotate', 'configmap', 'settings', 'note=x');
      expect(await must('-n', ns, 'get', 'configmap', '-l', 'tier=test', '-o', 'name')).toBe('configmap/settings\n');
      await must('-n', ns, 'delete', 'configmap', 'settings');
      const gone = await kubectl('-n', ns, 'get', 'configmap', 'settings');
      expect(gone.stderr).toContain('Error from server (NotFound): configmaps "settings" not found');
    });

    it('scale, rollout history and undo move a deployment between its revisions', async () => {
      await must('-n', ns, 'scale', 'deployment/web', '--replicas=2');
      await must('-n', ns, 'rollout', 'status', 'deployment/web', '--timeout=60s');
      await must('-n', ns, 'set', 'env', 'deployment/web', 'COLOUR=blue');
      await must('-n', ns, 'rollout', 'status', 'deployment/web', '--timeout=90s');
      expect(await must('-n', ns, 'rollout', 'history', 'deployment/web')).toMatch(/^1\s.*\n2\s/m);
      await must('-n', ns, 'rollout', 'undo', 'deployment/web');
      await must('-n', ns, 'rollout', 'status', 'deployment/web', '--timeout=90s');
      expect(
        await must('-n', ns, 'get', 'deployment', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].env}'),
      ).toBe('');
      await must('-n', ns, 'scale', 'deployment/web', '--replicas=1');
      await must('-n', ns, 'rollout', 'status', 'deployment/web', '--timeout=60s');
      await eventually(async () => {
        const names = (await must('-n', ns, 'get', 'pods', '-l', 'app=web', '-o', 'name')).trim().split('\n');
        expect(names).toHaveLength(1);
        pod = names[0]?.replace('pod/', '') ?? '';
      }, 60_000);
    });

    it('expose makes a service with endpoints', async () => {
      await must('-n', ns, 'expose', 'deployment', 'web', '--port=80', '--target-port=8080');
      await eventually(async () => {
        expect(await must('-n', ns, 'get', 'endpointslices', '-l', 'kubernetes.io/service-name=web')).toMatch(
          /8080\s+10\.244\./,
        );
      }, 30_000);
    });

    it('logs -f follows what a container says', async () => {
      expect(await must('-n', ns, 'logs', pod)).toContain('listening on 8080');
      const follow = execa(kubectlPath(), ['-n', ns, 'logs', '-f', '--tail=1', pod], {
        env: useKubeconfig(),
        reject: false,
      });
      try {
        let seen = '';
        follow.stdout.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
        });
        await must(
          '-n',
          ns,
          'exec',
          pod,
          '--',
          'node',
          '-e',
          'fetch("http://127.0.0.1:8080/followed").then((r) => r.text())',
        );
        await eventually(async () => expect(seen).toContain('GET /followed'), 20_000);
      } finally {
        follow.kill();
        await follow;
      }
    });

    it('exec runs a command, passes its exit code on, and offers a terminal with -it', async () => {
      expect(await must('-n', ns, 'exec', pod, '--', 'node', '-p', '6*7')).toBe('42\n');
      const failed = await kubectl('-n', ns, 'exec', pod, '--', 'node', '-e', 'process.exit(3)');
      expect(failed.stderr).toContain('command terminated with exit code 3');
      const piped = await kubectl(
        { input: 'hello' },
        '-n',
        ns,
        'exec',
        '-i',
        pod,
        '--',
        'node',
        '-e',
        'process.stdin.pipe(process.stdout)',
      );
      expect(piped.stdout).toBe('hello');
      expect(await script(`${kubectlPath()} -n ${ns} exec -it ${pod} -- node -p process.stdout.isTTY`)).toContain(
        'true',
      );
    });

    it('attach shows the output of the running process', async () => {
      const attached = execa(kubectlPath(), ['-n', ns, 'attach', pod], { env: useKubeconfig(), reject: false });
      try {
        let seen = '';
        attached.stdout.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
        });
        await eventually(async () => {
          await must(
            '-n',
            ns,
            'exec',
            pod,
            '--',
            'node',
            '-e',
            'fetch("http://127.0.0.1:8080/attached").then((r) => r.text())',
          );
          expect(seen).toContain('GET /attached');
        }, 20_000);
      } finally {
        attached.kill();
        await attached;
      }
    });

    it('cp copies a file in and out', async () => {
      await apply(
        `apiVersion: v1\nkind: Pod\nmetadata: { name: box }\nspec: { terminationGracePeriodSeconds: 0, containers: [{ name: box, image: "${busyboxImage}", command: [sleep, "3600"] }] }\n`,
        '-n',
        ns,
      );
      await must('-n', ns, 'wait', '--for=condition=Ready', 'pod/box', '--timeout=60s');
      const sent = join(folder, 'sent');
      await writeFile(sent, 'over and back\n');
      await must('-n', ns, 'cp', sent, 'box:/tmp/file');
      await must('-n', ns, 'cp', 'box:/tmp/file', join(folder, 'received'));
      expect(await readFile(join(folder, 'received'), 'utf8')).toBe('over and back\n');
    });

    it('port-forward reaches a pod', async () => {
      const port = await freePort();
      const forward = execa(kubectlPath(), ['-n', ns, 'port-forward', `pod/${pod}`, `${port}:8080`], {
        env: useKubeconfig(),
        reject: false,
      });
      try {
        await eventually(async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/forwarded`);
          expect(await answer.text()).toContain('/forwarded');
        }, 20_000);
      } finally {
        forward.kill();
        await forward;
      }
    });

    it('events, wait and explain', async () => {
      expect(await must('-n', ns, 'events')).toContain('SuccessfulCreate');
      await must('-n', ns, 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
      expect(await must('explain', 'deployment.spec.strategy')).toContain('rollingUpdate');
    });

    it('diff, apply and apply --server-side agree on what is there', async () => {
      const file = join(folder, 'web.yaml');
      await writeFile(file, deployment('web', 1));
      const same = await kubectl('-n', ns, 'diff', '-f', file);
      expect(same.code, same.stdout + same.stderr).toBe(0);
      await writeFile(file, deployment('web', 2));
      const different = await kubectl('-n', ns, 'diff', '-f', file);
      expect(different.code).toBe(1);
      expect(different.stdout).toMatch(/-\s+replicas: 1\n\+\s+replicas: 2/);
      const conflict = await kubectl('-n', ns, 'apply', '--server-side', '--field-manager=somebody', '-f', file);
      expect(conflict.stderr).toContain('conflict');
      await must('-n', ns, 'apply', '--server-side', '--field-manager=somebody', '--force-conflicts', '-f', file);
      expect(await must('-n', ns, 'get', 'deployment', 'web', '-o', 'jsonpath={.spec.replicas}')).toBe('2');
    });

    it('a manifest with an unknown field is refused by its path', async () => {
      const refused = await kubectl(
        { input: deployment('bad', 1).replace('replicas:', 'replicaz:') },
        '-n',
        ns,
        'apply',
        '-f',
        '-',
      );
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('unknown field "spec.replicaz"');
    });

    it('auth can-i answers for oneself and for others', async () => {
      expect(await must('auth', 'can-i', '*', '*')).toBe('yes\n');
      const other = await kubectl('auth', 'can-i', 'list', 'secrets', '--as=system:serviceaccount:default:default');
      expect(other.stdout).toBe('no\n');
    });
  });
}
