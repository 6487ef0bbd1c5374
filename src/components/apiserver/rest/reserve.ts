/** Asks a kind's strategy for what it reserves with an object (addresses, ports): never refused for what was let go a moment ago. */
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { StatusError } from '../errors.ts';
import type { Accompanying } from '../storage/store.ts';
import type { Strategy, StrategyContext } from '../strategies/strategy.ts';
import { catchUp } from './catch-up.ts';
import type { RestDeps } from './deps.ts';

/**
 * @param next gets what is reserved
 * @returns what is to be written with it
 * @throws StatusError 422 when what it asks for is taken
 */
export async function reserve(
  deps: RestDeps,
  strategy: Strategy,
  next: UnknownObject,
  old: UnknownObject | undefined,
  context: StrategyContext,
): Promise<Accompanying | undefined> {
  if (!strategy.reserve) return undefined;
  const asked = structuredClone(next['spec']);
  try {
    return strategy.reserve(next, old, context);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    // Perhaps the cache has not heard yet that it is free.
    await catchUp(deps);
    next['spec'] = asked;
    return strategy.reserve(next, old, context);
  }
}
