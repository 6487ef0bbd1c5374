/** Reserving with an object what another one has just let go, while the cache has not heard of it. */
import { describe, expect, it } from 'vitest';
import { invalid } from '../../../src/components/apiserver/errors.ts';
import type { RestDeps } from '../../../src/components/apiserver/rest/deps.ts';
import { reserve } from '../../../src/components/apiserver/rest/reserve.ts';
import type { Strategy, StrategyContext } from '../../../src/components/apiserver/strategies/strategy.ts';
import type { UnknownObject } from '../../../src/machinery/api/types.ts';

/** A cache that is behind etcd until somebody waits for it. */
function place(takenInEtcd: boolean) {
  let known = 6;
  const deps = {
    watchCache: {
      waitFor: async (revision: number) => {
        known = revision;
        return true;
      },
    },
    store: { etcd: { currentRevision: async () => 7 } },
  } as unknown as RestDeps;
  const strategy: Strategy = {
    reserve(next) {
      const { port } = next['spec'] as { port?: number };
      next['spec'] = { port: port ?? 0, seen: true };
      if (known < 7 || takenInEtcd)
        throw invalid('', 'Service', 'a', [{ type: 'FieldValueInvalid', field: 'spec', message: 'taken' }]);
      return { conditions: [], operations: [] };
    },
  };
  return { deps, strategy };
}
const context = {} as StrategyContext;

describe('reserve', () => {
  it('asks again with what the client wrote when the cache has caught up', async () => {
    const { deps, strategy } = place(false);
    const next: UnknownObject = { spec: { port: 80 } };
    expect(await reserve(deps, strategy, next, undefined, context)).toEqual({ conditions: [], operations: [] });
    expect(next['spec']).toEqual({ port: 80, seen: true });
  });

  it('refuses what is taken indeed', async () => {
    const { deps, strategy } = place(true);
    await expect(reserve(deps, strategy, { spec: {} }, undefined, context)).rejects.toMatchObject({ code: 422 });
  });

  it('is nothing for kinds that reserve nothing', async () => {
    expect(await reserve(place(true).deps, {}, { spec: {} }, undefined, context)).toBeUndefined();
  });
});
