/** Swap that is meant to stay. */
import { activeSwap } from '../host/swap.ts';
import { type Check, warning } from './check.ts';

export const swap: Check = async ({ host, keepSwap }) =>
  keepSwap && (await activeSwap(host)).length
    ? [warning('Swap', 'swap is on and stays on; the kubelet is told to tolerate it (failSwapOn: false)')]
    : [];
