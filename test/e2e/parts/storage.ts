/** Claims of a StatefulSet: written on a worker, read by the pod that follows, and gone with the claim. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../../images/build.ts';
import { eventually } from '../../parts/eventually.ts';
import { apply, must, onHost } from '../harness.ts';

const ns = 'storage-test';
const directory = '/var/lib/kinit-storage';

const manifest = `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: store }
spec:
  serviceName: store
  replicas: 2
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: { whenDeleted: Retain, whenScaled: Retain }
  selector: { matchLabels: { app: store } }
  template:
    metadata: { labels: { app: store } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: box
          image: "${busyboxImage}"
          command: [sleep, "36000"]
          volumeMounts: [{ name: data, mountPath: /data }]
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
`;

export function storage(): void {
  describe('a StatefulSet with claims', () => {
    const inPod = (pod: string, command: string) => must('-n', ns, 'exec', pod, '--', 'sh', '-c', command);
    const nodeOf = (pod: string) => must('-n', ns, 'get', 'pod', pod, '-o', 'jsonpath={.spec.nodeName}');
    const volumeOf = (pod: string) => must('-n', ns, 'get', 'pvc', `data-${pod}`, '-o', 'jsonpath={.spec.volumeName}');
    const rolledOut = () => must('-n', ns, 'rollout', 'status', 'statefulset/store', '--timeout=60s');

    beforeAll(async () => {
      await must('create', 'namespace', ns);
      await apply(manifest, '-n', ns);
      await rolledOut();
    }, 90_000);

    afterAll(async () => {
      await must('delete', 'namespace', ns, '--ignore-not-found', '--timeout=60s');
    }, 90_000);

    it('gets directories of the nodes from the default class', async () => {
      expect(await must('get', 'storageclass', '--no-headers')).toMatch(
        /^local-path \(default\) +kinit\.local\/local-path/,
      );
      for (const pod of ['store-0', 'store-1']) {
        await inPod(pod, `echo of ${pod} > /data/word`);
        const folder = `${directory}/${await volumeOf(pod)}_${ns}_data-${pod}`;
        expect(await onHost(await nodeOf(pod), `cat ${folder}/word; stat -c %a ${directory}`)).toBe(`of ${pod}\n700\n`);
      }
    });

    it('finds its data again in the pods that follow, on the same nodes', async () => {
      const [before, uid] = [await nodeOf('store-0'), await uidOf('store-0')];
      await must('-n', ns, 'delete', 'pod', 'store-0', '--wait=false');
      await eventually(async () => expect(await uidOf('store-0')).not.toBe(uid), 30_000);
      await rolledOut();
      expect([await nodeOf('store-0'), await inPod('store-0', 'cat /data/word')]).toEqual([before, 'of store-0\n']);
    }, 90_000);

    it('leaves nothing on the nodes when the claims are deleted', async () => {
      const nodes = new Set(await Promise.all(['store-0', 'store-1'].map(nodeOf)));
      const volumes = await Promise.all(['store-0', 'store-1'].map(volumeOf));
      await must('-n', ns, 'delete', 'statefulset/store', 'pvc/data-store-0', 'pvc/data-store-1', '--timeout=60s');
      await eventually(async () => {
        const left = await must('get', 'persistentvolumes', '-o', 'name');
        for (const volume of volumes) expect(left).not.toContain(volume);
      }, 60_000);
      for (const node of nodes) expect(await onHost(node, `ls ${directory}`), `on ${node}`).not.toContain(ns);
    }, 90_000);

    const uidOf = (pod: string) =>
      must('-n', ns, 'get', 'pod', pod, '--ignore-not-found', '-o', 'jsonpath={.metadata.uid}');
  });
}
