/** Leader election over a Lease: one of several processes does the work, another takes over when it stops renewing. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Lease } from '../api/types.ts';
import { isNotFound } from '../client/errors.ts';
import { leases } from '../client/resources.ts';
import type { Client } from '../client/types.ts';
import { aborted, pause } from '../process/pause.ts';
import { heldByOther, holderOf, type Observation, observe, releasedLease, takenLease } from './record.ts';

const firstRetryMs = 200;
const retryGrowth = 1.3;

export interface LeaderElectionOptions {
  client: Client;
  /** For example `kube-scheduler`. */
  name: string;
  /** Default `kube-system`. */
  namespace?: string;
  /** Default `hostname_uuid`. */
  identity?: string;
  /** How long others wait for a silent leader; default 15 s. */
  leaseDurationMs?: number;
  /** How long the leader tries to renew before it gives up; default 10 s. */
  renewDeadlineMs?: number;
  /** Between two tries; default 2 s. */
  retryPeriodMs?: number;
  /** Told of each new holder, this process included. */
  onNewLeader?(identity: string): void;
  onError?(error: Error): void;
}

export interface Elector {
  readonly identity: string;
  readonly isLeader: boolean;
  /** A health check: answers why not when this process holds a lease it could not renew for too long. */
  check(): string | undefined;
  /**
   * Waits for the lease, runs `lead`, renews meanwhile. Releases the lease when the signal fires.
   * Throws LeadershipLost when it could not be renewed: the process has to exit then.
   */
  run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void>;
}

export class LeadershipLost extends Error {
  constructor() {
    super('leaderelection lost');
    this.name = 'LeadershipLost';
  }
}

export function createElector(options: LeaderElectionOptions): Elector {
  const { client, name, namespace = 'kube-system', identity = `${hostname()}_${randomUUID()}` } = options;
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
  const api = client.resource(leases);
  const terms = { identity, leaseDurationMs };
  let current: Lease | undefined;
  let seen: Observation | undefined;
  let reported: string | undefined;
  let leading = false;
  let renewedAt = 0;

  const noticed = (lease: Lease) => {
    current = lease;
    seen = observe(seen, lease, Date.now());
    const holder = holderOf(lease);
    if (holder !== '' && holder !== reported) {
      reported = holder;
      options.onNewLeader?.(holder);
    }
  };
  const call = { timeoutMs: Math.max(1000, renewDeadlineMs / 2) };
  const written = (lease: Lease) => {
    noticed(lease);
    renewedAt = Date.now();
    return true;
  };

  /** One try; answers whether this process holds the lease afterwards. */
  const tryAcquireOrRenew = async (signal: AbortSignal): Promise<boolean> => {
    if (leading && current) {
      // The holder needs no read: its own last write is what lies there, or the write conflicts.
      const renewed = { ...current, spec: takenLease(current, terms, new Date()) };
      try {
        return written(await api.update(renewed, { ...call, signal }));
      } catch (error) {
        if (signal.aborted) throw error;
        options.onError?.(error as Error);
      }
    }
    let lease: Lease;
    try {
      lease = await api.get({ namespace, name }, { ...call, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const fresh = { metadata: { namespace, name }, spec: takenLease(undefined, terms, new Date()) };
      return written(await api.create(fresh, { ...call, signal }));
    }
    noticed(lease);
    if (seen && heldByOther(lease, seen, terms, Date.now())) return false;
    return written(await api.update({ ...lease, spec: takenLease(lease, terms, new Date()) }, { ...call, signal }));
  };

  let failures = 0;
  const attempt = async (signal: AbortSignal): Promise<boolean> => {
    try {
      const holds = await tryAcquireOrRenew(signal);
      failures = 0;
      return holds;
    } catch (error) {
      failures += 1;
      if (!signal.aborted) options.onError?.(error as Error);
      return false;
    }
  };

  const acquire = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      if (await attempt(signal)) return;
      // An API server that is only just starting is asked again sooner than one that says who leads.
      const waitMs =
        failures > 0 ? Math.min(retryPeriodMs, firstRetryMs * retryGrowth ** (failures - 1)) : retryPeriodMs;
      await pause(waitMs * (1 + Math.random() * 0.2), signal);
    }
  };

  /** Answers when the lease could not be renewed within the deadline, or the signal has fired. */
  const keep = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await pause(retryPeriodMs, signal);
      if (signal.aborted) return;
      const left = renewedAt + renewDeadlineMs - Date.now();
      const held = left > 0 && (await attempt(AbortSignal.any([signal, AbortSignal.timeout(left)])));
      if (!held && Date.now() - renewedAt >= renewDeadlineMs) return;
      if (!held && current && holderOf(current) !== identity) return;
    }
  };

  const release = async () => {
    if (!current || holderOf(current) !== identity) return;
    try {
      await api.update({ ...current, spec: releasedLease(current, new Date()) }, { timeoutMs: 3000 });
    } catch (error) {
      options.onError?.(error as Error);
    }
  };

  return {
    identity,
    get isLeader() {
      return leading;
    },
    check: () =>
      leading && Date.now() - renewedAt > leaseDurationMs + 20_000
        ? `failed election to renew leadership on lease ${name}`
        : undefined,
    async run(signal, lead) {
      await acquire(signal);
      if (signal.aborted) return;
      leading = true;
      const work = new AbortController();
      const workSignal = AbortSignal.any([signal, work.signal]);
      const working = lead(workSignal);
      const kept = keep(signal);
      try {
        await Promise.race([kept, working.then(() => aborted(workSignal))]);
      } finally {
        leading = false;
        work.abort(new LeadershipLost());
        if (signal.aborted) await release();
      }
      if (!signal.aborted) {
        // The process ends now; how its work ends no longer matters, but it must not end it with an unhandled error.
        working.catch((error: Error) => options.onError?.(error));
        throw new LeadershipLost();
      }
      await working;
    },
  };
}

/** Runs `lead` while this process is the leader; see Elector.run. */
export const runLeaderElected = (
  options: LeaderElectionOptions,
  signal: AbortSignal,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> => createElector(options).run(signal, lead);
