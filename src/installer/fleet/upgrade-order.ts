/** In which order the hosts of an inventory are upgraded, and what becomes of a node before its turn and after. */
import type { Node } from '../../machinery/api/types.ts';
import { KinitError } from '../errors.ts';

/** `2` or `25%` of the workers: rounded down as Kubernetes does, and at least one. */
export function maxUnavailableOf(text: string, workers: number): number {
  const [, digits, percent] = /^(\d+)(%?)$/.exec(text.trim()) ?? [];
  const number = Number(digits);
  if (digits === undefined || number < 1 || (percent && number > 100)) {
    throw new KinitError(
      'Usage',
      `--max-unavailable is "${text}"; it takes a number of workers, or a part of them like 25%`,
    );
  }
  return percent ? Math.max(1, Math.floor((workers * number) / 100)) : number;
}

export function batchesOf<T>(items: readonly T[], size: number): T[][] {
  const batches: T[][] = [];
  for (let at = 0; at < items.length; at += size) batches.push(items.slice(at, at + size));
  return batches;
}

/** What is run for each of many at once, but for those that take turns, one after the other as they come. One that fails ends no turn but its own. */
export function inTurns<T>(
  takesTurns: (each: T) => boolean,
  run: (each: T) => Promise<unknown>,
): (each: T) => Promise<void> {
  let turn = Promise.resolve();
  return async (each) => {
    if (!takesTurns(each)) return void (await run(each));
    const own = turn.then(() => run(each));
    turn = own.then(
      () => undefined,
      () => undefined,
    );
    await own;
  };
}

/** Set on a node before it is cordoned: a run after one that was broken off knows whose doing that was. */
export const cordonAnnotation = 'kinit.local/cordoned-for-upgrade';

/**
 * Whether a node is to be cordoned and, afterwards, uncordoned. One that its owner has cordoned is drained of what is left there,
 * and stays cordoned.
 */
export function cordonOf({ metadata, spec }: Pick<Node, 'metadata' | 'spec'>): 'ours' | 'theirs' | 'open' {
  if (metadata?.annotations?.[cordonAnnotation] !== undefined) return 'ours';
  return spec?.unschedulable ? 'theirs' : 'open';
}

export interface HostUpgradeState {
  /** Where the bundle lies that it runs from. */
  currentBundle?: string;
  /** The last upgrade there has ended well. */
  isUpgraded: boolean;
}

/** Whether a host needs neither a drain nor an upgrade. A host that was made with the bundle was never upgraded to it. */
export function isDone(
  { currentBundle, isUpgraded }: HostUpgradeState,
  prefix: string,
  node: Node | undefined,
  version: string,
): boolean {
  if (currentBundle !== prefix || node?.status?.nodeInfo?.kubeletVersion !== version) return false;
  return isUpgraded || cordonOf(node) !== 'ours';
}
