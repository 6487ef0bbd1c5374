/** Statuses reach the API server, also when what the kubelet sees of an object is older than what it has written. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createStatusWriter } from '../../../src/components/kubelet/status/writer.ts';
import type { Pod, PodStatus } from '../../../src/machinery/api/types.ts';
import type { Client } from '../../../src/machinery/client/types.ts';

const statusOf = (ready: boolean): PodStatus => ({
  phase: 'Running',
  conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
});
const podOf = (resourceVersion: string, ready: boolean): Pod => ({
  metadata: { name: 'etcd-cp1', namespace: 'kube-system', uid: 'u', resourceVersion },
  status: statusOf(ready),
});

it('a status that was overtaken by an older one is written again when that is seen', async () => {
  const patches: boolean[] = [];
  const patch = (_: object, body: { status: PodStatus }) => {
    patches.push(body.status.conditions?.[0]?.status === 'True');
    return Promise.resolve();
  };
  let seen = podOf('1', true);
  const writer = createStatusWriter({
    client: { resource: () => ({ patch }) } as unknown as Client,
    object: () => seen,
    log: pino({ enabled: false }) as never,
    signal: new AbortController().signal,
  });
  const settled = () => expect.poll(() => writer.idle).toBe(true);
  writer.publish(seen, statusOf(false));
  await settled();
  // Ready again before the object was seen as it was written.
  writer.publish(seen, statusOf(true));
  await settled();
  expect(patches).toEqual([false]);
  seen = podOf('2', false);
  writer.poke();
  await settled();
  expect(patches).toEqual([false, true]);
  seen = podOf('3', true);
  writer.poke();
  writer.poke();
  await settled();
  expect(patches).toEqual([false, true]);
});
