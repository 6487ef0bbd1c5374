import { describe, expect, it } from 'vitest';
import { StatusError } from '../../../src/components/apiserver/errors.ts';
import { checkBudget, eviction, unhealthyMayGo } from '../../../src/components/apiserver/subresources/eviction.ts';
import type { CacheReader, LoopbackClient } from '../../../src/components/apiserver/types.ts';
import type { Pod, PodDisruptionBudget, UnknownObject } from '../../../src/machinery/api/types.ts';

const budget = (status: Partial<PodDisruptionBudget['status']>, generation = 1): PodDisruptionBudget =>
  ({
    metadata: { name: 'web', namespace: 'shop', generation },
    spec: { selector: { matchLabels: { app: 'web' } } },
    status: {
      observedGeneration: 1,
      disruptionsAllowed: 1,
      desiredHealthy: 2,
      currentHealthy: 2,
      expectedPods: 2,
      ...status,
    },
  }) as PodDisruptionBudget;

const pod = (phase: string, ready = true): Pod => ({
  metadata: { name: 'web-1', namespace: 'shop', labels: { app: 'web' } },
  status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

/** Objects by name, and what was done to them. */
function cluster(current: Pod, budgets: PodDisruptionBudget[]) {
  const deleted: string[] = [];
  const stored = new Map<string, UnknownObject>([
    ['pods/web-1', current as UnknownObject],
    ...budgets.map((one): [string, UnknownObject] => [
      `poddisruptionbudgets/${one.metadata?.name}`,
      one as unknown as UnknownObject,
    ]),
  ]);
  const loopback: LoopbackClient = {
    get: async ({ resource }, _namespace, name) => stored.get(`${resource}/${name}`),
    create: async (_resource, object) => object,
    update: async ({ resource }, _namespace, name, change) => {
      const before = stored.get(`${resource}/${name}`) as UnknownObject;
      const next = change(structuredClone(before)) ?? before;
      stored.set(`${resource}/${name}`, next);
      return next;
    },
    delete: async (_resource, _namespace, name) => void deleted.push(name),
  };
  const cache = { list: () => budgets as unknown as UnknownObject[] } as unknown as CacheReader;
  const evict = () =>
    eviction({ cache, loopback }).create({
      namespace: 'shop',
      name: 'web-1',
      object: { metadata: { name: 'web-1' } },
      user: { name: 'me', groups: [] },
      dryRun: false,
      warn: () => undefined,
    });
  return { evict, deleted, stored };
}

describe('evicting a pod', () => {
  it('takes one disruption from its budget, marks the pod and deletes it', async () => {
    const { evict, deleted, stored } = cluster(pod('Running'), [budget({})]);
    expect(await evict()).toMatchObject({ status: 'Success', code: 201 });
    expect(deleted).toEqual(['web-1']);
    const { status } = stored.get('poddisruptionbudgets/web') as unknown as PodDisruptionBudget;
    expect([status?.disruptionsAllowed, Object.keys(status?.disruptedPods ?? {})]).toEqual([0, ['web-1']]);
    expect((stored.get('pods/web-1') as Pod).status?.conditions?.at(-1)).toMatchObject({
      type: 'DisruptionTarget',
      reason: 'EvictionByEvictionAPI',
    });
  });

  it('is refused with 429 and the budget’s numbers when none is left', async () => {
    const { evict, deleted } = cluster(pod('Running'), [budget({ disruptionsAllowed: 0 })]);
    const error = await evict().then(
      () => undefined,
      (thrown: StatusError) => thrown,
    );
    expect([error?.code, error?.message, error?.status.details?.causes]).toEqual([
      429,
      "Cannot evict pod as it would violate the pod's disruption budget.",
      [{ reason: 'DisruptionBudget', message: 'The disruption budget web needs 2 healthy pods and has 2 currently' }],
    ]);
    expect(deleted).toEqual([]);
  });

  it.each(['Pending', 'Succeeded', 'Failed'])('a %s pod goes whatever the budget says', async (phase) => {
    const { evict, deleted } = cluster(pod(phase), [budget({ disruptionsAllowed: 0 })]);
    await evict();
    expect(deleted).toEqual(['web-1']);
  });

  it('two budgets for one pod are not supported', async () => {
    const { evict } = cluster(pod('Running'), [budget({}), budget({})]);
    await expect(evict()).rejects.toThrow('This pod has more than one PodDisruptionBudget');
  });

  it('a budget that the controller has not seen asks to come back', () => {
    expect(() => checkBudget(budget({}, 2))).toThrow(StatusError);
  });

  it.each([
    ['IfHealthyBudget', 2, true],
    ['IfHealthyBudget', 1, false],
    ['AlwaysAllow', 1, true],
  ])('an unready pod under %s with %i of 2 healthy may go: %s', (policy, currentHealthy, may) => {
    const with_ = budget({ currentHealthy });
    if (with_.spec) with_.spec.unhealthyPodEvictionPolicy = policy;
    expect(unhealthyMayGo(pod('Running', false), with_)).toBe(may);
  });
});
