/** A control plane with controller-manager and hollow nodes for one test file, and the looks at it that such tests share. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import type { KubeObject, Pod, PodTemplateSpec } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import { coreEvents, pods, serviceAccounts } from '../../../src/machinery/client/resources.ts';
import type { Client, ResourceClient, ResourceType } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';
import { type HollowNodes, startHollowNodes } from './hollow-nodes.ts';

export const namespace = 'default';

/** Calls `look` until it answers something. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 30): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
    await delay(50);
  }
}

export const nameOf = ({ metadata }: KubeObject): string => metadata?.name ?? '';
export const imageOf = ({ spec }: Pod): string => spec?.containers[0]?.image ?? '';
export const selectorOf = (app: string) => ({ matchLabels: { app } });
export const template = (app: string, image = 'v1', annotations: Record<string, string> = {}): PodTemplateSpec => ({
  metadata: { labels: { app }, annotations },
  spec: { containers: [{ name: 'c', image }] },
});
export const withImage = (image: string) => ({ spec: { template: { spec: { containers: [{ name: 'c', image }] } } } });

export interface HollowCluster {
  resource<T extends KubeObject>(type: ResourceType<T>): ResourceClient<T>;
  /** Resolves with the object when it is as wanted. */
  when<T extends KubeObject>(type: ResourceType<T>, name: string, test: (object: T) => boolean): Promise<T>;
  listed<T extends KubeObject>(type: ResourceType<T>, labelSelector: string): Promise<T[]>;
  /** Pods with the label `app` that are not being deleted. */
  podsOf(app: string): Promise<Pod[]>;
  /** Resolves when an event on the object says `reason: message`. Events come a little after what they tell. */
  told(kind: string, name: string, message: string | RegExp): Promise<string>;
  patch<T extends KubeObject>(type: ResourceType<T>, name: string, body: object): Promise<T>;
}

/** Starts it before and ends it after the tests of the file that calls this. */
export function useHollowCluster(nodeNames: string[]): HollowCluster {
  let plane: ControlPlane | undefined;
  let client: Client | undefined;
  let hollow: HollowNodes | undefined;
  const resource = <T extends KubeObject>(type: ResourceType<T>): ResourceClient<T> => {
    if (!client) throw new Error('the control plane has not started');
    return client.resource(type);
  };
  beforeAll(async () => {
    plane = await startControlPlane({ components: ['controller-manager'] });
    client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
    await until('the default service account', () => resource(serviceAccounts).find({ namespace, name: 'default' }));
    hollow = await startHollowNodes(client, nodeNames);
  });
  afterAll(async () => {
    hollow?.stop();
    client?.close();
    await plane?.stop();
  });
  const listed = async <T extends KubeObject>(type: ResourceType<T>, labelSelector: string): Promise<T[]> =>
    (await resource(type).list({ namespace, labelSelector })).items;
  return {
    resource,
    listed,
    when: (type, name, test) =>
      until(`${type.kind} ${name}`, async () => {
        const object = await resource(type).find({ namespace, name });
        return object && test(object) ? object : undefined;
      }),
    podsOf: async (app) => (await listed(pods, `app=${app}`)).filter(({ metadata }) => !metadata?.deletionTimestamp),
    told: (kind, name, message) =>
      until(`event "${message}" on ${kind} ${name}`, async () => {
        const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
        const { items } = await resource(coreEvents).list({ namespace, fieldSelector });
        const texts = items.map((event) => `${event.reason}: ${event.message}`);
        return texts.find((text) => (typeof message === 'string' ? text === message : message.test(text)));
      }),
    patch: (type, name, body) => resource(type).patch({ namespace, name }, body, { type: 'strategic' }),
  };
}
