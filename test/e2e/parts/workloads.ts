/** A Deployment on both workers, reached by pod address, service, name and node port. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage, echoImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { apply, hosts, kubectl, must } from '../harness.ts';

const ns = 'workload-test';

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: echo }
spec:
  replicas: 3
  selector: { matchLabels: { app: echo } }
  template:
    metadata: { labels: { app: echo } }
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: echo
          image: ${echoImage}
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec:
  type: NodePort
  selector: { app: echo }
  ports:
    - { name: http, port: 80, targetPort: http, nodePort: 30080 }
---
apiVersion: v1
kind: Service
metadata: { name: echo-headless }
spec:
  clusterIP: None
  selector: { app: echo }
  ports: [{ name: http, port: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: sticky }
spec:
  selector: { app: echo }
  sessionAffinity: ClientIP
  ports: [{ port: 80, targetPort: http }]
---
apiVersion: v1
kind: Service
metadata: { name: elsewhere }
spec: { type: ExternalName, externalName: echo.${ns}.svc.cluster.local }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: box }
spec:
  selector: { matchLabels: { app: box } }
  template:
    metadata: { labels: { app: box } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: box, image: "${busyboxImage}", command: [sleep, "36000"] }]
`;

export function workloads(): void {
  describe('a workload over both workers', () => {
    let boxes: string[];
    let echoIPs: string[];

    const inBox = (box: string, ...command: string[]) => must('-n', ns, 'exec', box, '--', ...command);
    const get = (box: string, url: string) => inBox(box, 'wget', '-q', '-T', '5', '-O', '-', url);

    beforeAll(async () => {
      await must('create', 'namespace', ns);
      await apply(manifest, '-n', ns);
      await must('-n', ns, 'rollout', 'status', 'deployment/echo', '--timeout=120s');
      await must('-n', ns, 'rollout', 'status', 'daemonset/box', '--timeout=120s');
      boxes = (await must('-n', ns, 'get', 'pods', '-l', 'app=box', '-o', 'jsonpath={.items[*].metadata.name}')).split(
        ' ',
      );
      echoIPs = (
        await must('-n', ns, 'get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[*].status.podIP}')
      ).split(' ');
    });
    afterAll(async () => {
      await kubectl('delete', 'namespace', ns, '--timeout=60s');
    });

    it('is spread over both workers and keeps off the control plane', async () => {
      const nodes = new Set(
        (await must('-n', ns, 'get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[*].spec.nodeName}')).split(' '),
      );
      expect([...nodes].sort()).toEqual(['w1', 'w2']);
      expect(boxes).toHaveLength(2);
    });

    it('each pod reaches every other by its address', async () => {
      for (const box of boxes) {
        for (const ip of echoIPs) expect(await get(box, `http://${ip}:8080/pod`)).toContain(' /pod ');
      }
    });

    it('answers by ClusterIP and spreads requests over its pods', async () => {
      const ip = await must('-n', ns, 'get', 'service', 'echo', '-o', 'jsonpath={.spec.clusterIP}');
      for (const box of boxes) {
        const seen = new Set<string>();
        await eventually(async () => {
          seen.add((await get(box, `http://${ip}/`)).split(' ')[0] ?? '');
          expect(seen.size).toBeGreaterThan(1);
        }, 30_000);
      }
    });

    it('answers by name, short and long, headless and external', async () => {
      for (const box of boxes) {
        for (const name of ['echo', `echo.${ns}`, `echo.${ns}.svc.cluster.local`, 'elsewhere']) {
          expect(await get(box, `http://${name}/dns`)).toContain(' /dns ');
        }
        const headless = await inBox(box, 'nslookup', `echo-headless.${ns}.svc.cluster.local`);
        for (const ip of echoIPs) expect(headless).toContain(ip);
      }
    });

    it('a client with session affinity stays with one pod', async () => {
      const seen = new Set<string>();
      for (let i = 0; i < 8; i++) seen.add((await get(boxes[0] as string, 'http://sticky/')).split(' ')[0] ?? '');
      expect(seen.size).toBe(1);
    });

    it('answers from outside by NodePort on every host', async () => {
      for (const host of hosts()) {
        const answer = await fetch(`http://${host.ip}:30080/node`, { signal: AbortSignal.timeout(10_000) });
        expect(await answer.text()).toContain(' /node ');
      }
    });

    it('a killed container is started again', async () => {
      const pod = (
        await must('-n', ns, 'get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[0].metadata.name}')
      ).trim();
      await get(
        boxes[0] as string,
        `http://${(await must('-n', ns, 'get', 'pod', pod, '-o', 'jsonpath={.status.podIP}')).trim()}:8080/quit`,
      );
      await eventually(async () => {
        expect(
          await must(
            '-n',
            ns,
            'get',
            'pod',
            pod,
            '-o',
            'jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}',
          ),
        ).toBe('1 true');
      }, 60_000);
    });
  });
}
