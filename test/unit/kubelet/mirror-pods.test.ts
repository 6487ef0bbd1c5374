/** Mirror pods are made anew whatever order the API server's answers and the watch's events come in. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createMirrorPods } from '../../../src/components/kubelet/api/mirror-pods.ts';
import { podAnnotations } from '../../../src/components/kubelet/cri/labels.ts';
import type { Node, Pod } from '../../../src/machinery/api/types.ts';
import type { Client } from '../../../src/machinery/client/types.ts';

const annotated = (hash: string, annotation: string): Pod => ({
  metadata: { name: 'etcd-n1', namespace: 'kube-system', annotations: { [annotation]: hash } },
});

it('a mirror whose end the watch tells before the call is answered is made again at once', async () => {
  const calls: string[] = [];
  const answered = Promise.withResolvers<void>();
  const made = Promise.withResolvers<void>();
  const resource = {
    delete: async () => {
      calls.push('delete');
      await answered.promise;
    },
    create: async () => {
      calls.push('create');
      made.resolve();
    },
  };
  const known = new Map([['etcd-n1_kube-system', annotated('old', podAnnotations.configMirror)]]);
  const stop = new AbortController();
  const mirrors = createMirrorPods({
    client: { resource: () => resource } as unknown as Client,
    nodeName: 'n1',
    node: () => ({ metadata: { name: 'n1', uid: 'u' } }) as Node,
    mirrors: () => known,
    log: pino({ level: 'silent' }),
    signal: stop.signal,
  });
  const wanted = [annotated('new', podAnnotations.configHash)];
  mirrors.reconcile(wanted);
  known.clear();
  mirrors.reconcile(wanted);
  expect(calls).toEqual(['delete']);
  answered.resolve();
  await made.promise;
  expect(calls).toEqual(['delete', 'create']);
  stop.abort();
});
