/** The pure part of leader election: what a Lease says, and what it becomes when one takes, renews or gives it up. */
import { formatMicroTime } from '../api/time.ts';
import type { Lease } from '../api/types.ts';

export interface LeaseTerms {
  identity: string;
  leaseDurationMs: number;
}

/** When this process last saw the record change, by its own clock: other machines' clocks do not matter. */
export interface Observation {
  record: string;
  atMs: number;
}

export const holderOf = (lease: Lease): string => lease.spec?.holderIdentity ?? '';

/** The part of a Lease whose change shows that its holder is alive. */
export const recordOf = (lease: Lease): string =>
  JSON.stringify([
    lease.spec?.holderIdentity,
    lease.spec?.renewTime,
    lease.spec?.acquireTime,
    lease.spec?.leaseTransitions,
  ]);

export function observe(before: Observation | undefined, lease: Lease, nowMs: number): Observation {
  const record = recordOf(lease);
  return before?.record === record ? before : { record, atMs: nowMs };
}

/** Whether somebody else holds the lease and has renewed it within its duration. */
export function heldByOther(lease: Lease, seen: Observation, { identity, leaseDurationMs }: LeaseTerms, nowMs: number) {
  const holder = holderOf(lease);
  if (holder === '' || holder === identity) return false;
  return seen.atMs + (lease.spec?.leaseDurationSeconds ?? leaseDurationMs / 1000) * 1000 > nowMs;
}

/** The lease as its holder writes it. */
export function takenLease(before: Lease | undefined, terms: LeaseTerms, now: Date): Lease['spec'] {
  const time = formatMicroTime(now);
  const mine = before !== undefined && holderOf(before) === terms.identity;
  const transitions = before?.spec?.leaseTransitions ?? 0;
  return {
    ...before?.spec,
    holderIdentity: terms.identity,
    leaseDurationSeconds: Math.round(terms.leaseDurationMs / 1000),
    acquireTime: (mine && before?.spec?.acquireTime) || time,
    renewTime: time,
    leaseTransitions: before === undefined || mine ? transitions : transitions + 1,
  };
}

/** The lease as left by a holder that stops: free at once. */
export function releasedLease(before: Lease, now: Date): Lease['spec'] {
  const time = formatMicroTime(now);
  return {
    ...before.spec,
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: time,
    renewTime: time,
    leaseTransitions: before.spec?.leaseTransitions ?? 0,
  };
}
