/** What a namespace lets in: limits, quotas, pod security, budgets, on a real API server with the controllers that count. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../../../src/machinery/api/types.ts';
import { createClient } from '../../../src/machinery/client/client.ts';
import { ApiError } from '../../../src/machinery/client/errors.ts';
import { loadKubeconfig } from '../../../src/machinery/client/kubeconfig.ts';
import {
  limitRanges,
  namespaces,
  podDisruptionBudgets,
  pods,
  resourceQuotas,
  serviceAccounts,
} from '../../../src/machinery/client/resources.ts';
import type { Client } from '../../../src/machinery/client/types.ts';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

let plane: ControlPlane;
let client: Client;

beforeAll(async () => {
  plane = await startControlPlane({ components: ['controller-manager'] });
  client = createClient(await loadKubeconfig(plane.kubeconfig('admin')));
});
afterAll(async () => {
  client.close();
  await plane.stop();
});

async function waitFor<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The message of the refusal. */
async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ApiError) return `${error.code} ${error.status.message}`;
    throw error;
  }
  throw new Error('expected the request to be refused');
}

/** A namespace whose service account exists already. */
async function makeNamespace(name: string, labels: Record<string, string> = {}): Promise<string> {
  await client.resource(namespaces).create({ metadata: { name, labels } });
  await waitFor('the service account', async () =>
    (await client.resource(serviceAccounts).list({ namespace: name })).items.find(
      ({ metadata }) => metadata?.name === 'default',
    ),
  );
  return name;
}

const pod = (
  namespace: string,
  name: string,
  spec: Partial<Pod['spec']> = {},
  labels: Record<string, string> = {},
): Pod => ({
  metadata: { namespace, name, labels },
  spec: { containers: [{ name: 'c', image: 'example.com/none' }], ...spec },
});

describe('a namespace', () => {
  it('gives containers its defaults and keeps them within its bounds', async () => {
    const namespace = await makeNamespace('limits');
    await client.resource(limitRanges).create({
      metadata: { namespace, name: 'l' },
      spec: { limits: [{ type: 'Container', default: { cpu: '500m' }, max: { cpu: '1' } } as never] },
    });
    const made = await client.resource(pods).create(pod(namespace, 'fine'));
    expect(made.spec?.containers[0]?.resources?.limits).toEqual({ cpu: '500m' });
    const large = { containers: [{ name: 'c', image: 'x', resources: { limits: { cpu: '2' } } }] };
    expect(await refusal(client.resource(pods).create(pod(namespace, 'large', large)))).toBe(
      '403 pods "large" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
    );
  });

  it('lets in no more than its quota, however many come at once, and again when some go', async () => {
    const namespace = await makeNamespace('quota');
    const quotas = client.resource(resourceQuotas);
    await quotas.create({ metadata: { namespace, name: 'q' }, spec: { hard: { pods: '3' } } });
    const used = async () => (await quotas.get({ namespace, name: 'q' })).status?.used?.['pods'];
    await waitFor('the quota to be counted', used);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => client.resource(pods).create(pod(namespace, `p${i}`))),
    );
    const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(made).toHaveLength(3);
    expect(await used()).toBe('3');
    expect(await refusal(client.resource(pods).create(pod(namespace, 'late')))).toBe(
      '403 pods "late" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3',
    );
    await client.resource(pods).delete({ namespace, name: made[0]?.metadata?.name ?? '' }, { gracePeriodSeconds: 0 });
    await waitFor('the quota to shrink', async () => ((await used()) === '2' ? true : undefined));
    await client.resource(pods).create(pod(namespace, 'late'));
  });

  it('keeps the Pod Security Standard of its label', async () => {
    const namespace = await makeNamespace('careful', { 'pod-security.kubernetes.io/enforce': 'baseline' });
    await client.resource(pods).create(pod(namespace, 'plain'));
    expect(await refusal(client.resource(pods).create(pod(namespace, 'host', { hostNetwork: true })))).toBe(
      '403 pods "host" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    );
  });
});

describe('eviction', () => {
  it('stops where the budget is used up', async () => {
    const namespace = await makeNamespace('budget');
    for (const name of ['a', 'b']) {
      const made = await client.resource(pods).create(pod(namespace, name, {}, { app: 'web' }));
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
      await client.resource(pods).updateStatus({ ...made, status });
    }
    const budgets = client.resource(podDisruptionBudgets);
    await budgets.create({
      metadata: { namespace, name: 'web' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } } },
    });
    await waitFor('the budget to be counted', async () => {
      const { status } = await budgets.get({ namespace, name: 'web' });
      return status?.disruptionsAllowed === 1 ? true : undefined;
    });
    const evict = (name: string) =>
      client.resource(pods).createSubresource({ namespace, name }, 'eviction', {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { namespace, name },
      });
    expect(await evict('a')).toMatchObject({ status: 'Success' });
    expect(await refusal(evict('b'))).toBe("429 Cannot evict pod as it would violate the pod's disruption budget.");
  });
});
