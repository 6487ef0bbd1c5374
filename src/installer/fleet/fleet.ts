/** The hosts of an inventory at work: connected, known, supplied with the bundle, running kinit. */
import type { KinitError } from '../errors.ts';
import type { BundleSource, InventoryHost } from '../inventory/types.ts';
import type { EventError, PhaseEvent } from '../phases/events.ts';
import { bundleFor, type FleetBundle, openBundles } from './bundles.ts';
import { waitWhileBusy } from './busy.ts';
import { connectLasting } from './connect-host.ts';
import type { Traffic } from './connection.ts';
import type { FleetEvent, FleetSink, FleetStep } from './events.ts';
import { gatherFacts, type HostFacts } from './facts.ts';
import { fleetError, type HostFailure, type Outcomes, onAll } from './failures.ts';
import {
  type EndedEvent,
  failureOf,
  followJob,
  forgetJob,
  isPassing,
  type Job,
  type JobSpec,
  startJob,
} from './job.ts';
import {
  connectAgain,
  connectingAgain,
  defaultPatienceMs,
  isLost,
  type LastingConnection,
} from './lasting-connection.ts';
import { checkRoom } from './ship.ts';
import { Supply } from './supply.ts';

export interface FleetOptions {
  /** The `.run` file; those of other architectures lie beside it. Absent: no host gets one. */
  bundlePath?: string;
  /** Where hosts get it from. */
  bundleFrom?: BundleSource;
  /** On so many hosts at once; default 20. */
  parallel?: number;
  signal: AbortSignal;
  events: FleetSink;
  env?: NodeJS.ProcessEnv;
}

export interface OpenOptions {
  /** False: nothing is copied to the hosts. */
  needsRoom?: boolean;
  /** The others go on without hosts that cannot be reached or worked on. */
  tolerant?: boolean;
}

const defaultParallel = 20;

export interface Member {
  readonly name: string;
  readonly host: InventoryHost;
  readonly connection: LastingConnection;
  facts: HostFacts;
  /** The one for its architecture. */
  readonly bundle: FleetBundle;
}

type EventBody = FleetEvent extends infer E ? (E extends FleetEvent ? Omit<E, 'time'> : never) : never;

export const eventError = (error: KinitError): EventError => ({
  code: error.code,
  exitCode: error.exitCode,
  message: error.message,
  ...(error.details.phase ? { phase: error.details.phase } : {}),
  ...(error.details.seen ? { seen: error.details.seen } : {}),
  ...(error.details.advice ? { advice: error.details.advice } : {}),
});

/** Said to the workstation, which tells the other hosts. */
function withoutStored(event: PhaseEvent): PhaseEvent {
  if (event.type !== 'ended' || !event.ok) return event;
  const { stored: _stored, ...others } = event;
  return others;
}

export class Fleet {
  readonly members: Member[];
  readonly #options: FleetOptions;
  readonly #supply: Supply;
  /** What went over the connections to each host. */
  readonly traffic = new Map<string, Traffic>();
  /** Hosts on which something was changed in this run. */
  readonly changed = new Set<string>();
  /** Of a tolerant fleet: the hosts that are no members. */
  absent: HostFailure[] = [];

  private constructor(members: Member[], options: FleetOptions) {
    this.members = members;
    this.#options = options;
    const { signal, bundleFrom = 'auto' } = options;
    const reconnect = (member: Member, lost?: KinitError) => this.#reconnect(member, lost);
    this.#supply = new Supply(this, { from: bundleFrom, signal, reconnect });
  }

  /**
   * Connects to all hosts at once and looks at them; nothing is changed yet.
   * @throws KinitError when any host (of a tolerant fleet: every one) cannot be reached, or has no room for the bundle
   */
  static async open(
    hosts: readonly InventoryHost[],
    options: FleetOptions,
    { needsRoom = true, tolerant = false }: OpenOptions = {},
  ): Promise<Fleet> {
    const bundles = options.bundlePath === undefined ? undefined : await openBundles(options.bundlePath);
    const members: Member[] = [];
    const fleet = new Fleet(members, options);
    const { failures } = await onAll(
      hosts,
      (host) =>
        fleet.step(host.name, 'connect', 'Connect', async () => {
          const connection = await fleet.#connect(host);
          try {
            await fleet.#waitWhileBusy(host.name, connection);
            const facts = await gatherFacts(connection, host, options.signal);
            const bundle = bundles && bundleFor(host.name, facts.architecture, bundles);
            if (needsRoom && bundle) checkRoom(host.name, facts, bundle, connection.local);
            members.push({
              name: host.name,
              host,
              connection,
              facts,
              get bundle() {
                if (bundle) return bundle;
                throw new Error(`${host.name} gets no bundle in this run`);
              },
            });
            return { changed: false, detail: `${facts.system || 'Linux'}, ${facts.architecture}, ${facts.kernel}` };
          } catch (error) {
            connection.close();
            throw error;
          }
        }),
      (failure) => fleet.failed(failure, 'unreachable'),
      options.parallel ?? defaultParallel,
    );
    fleet.absent = failures;
    if (failures.length && (options.signal.aborted || !tolerant || failures.length === hosts.length)) {
      await fleet.close();
      options.signal.throwIfAborted();
      const others = hosts.filter(({ name }) => !failures.some(({ host }) => host === name)).map(({ name }) => name);
      throw fleetError(failures, others.length ? `nothing was changed on ${others.join(', ')}` : 'nothing was changed');
    }
    members.sort((a, b) => hosts.indexOf(a.host) - hosts.indexOf(b.host));
    return fleet;
  }

  member(name: string): Member {
    const found = this.members.find((member) => member.name === name);
    if (!found) throw new Error(`no host ${name} in this fleet`);
    return found;
  }

  emit(body: EventBody): void {
    this.#options.events({ time: new Date().toISOString(), ...body } as FleetEvent);
  }

  /** Runs a step of the workstation and tells of it. */
  async step<T extends { changed: boolean; detail?: string }>(
    host: string,
    step: FleetStep,
    title: string,
    work: () => Promise<T>,
  ): Promise<T> {
    const started = performance.now();
    const ms = () => Math.round(performance.now() - started);
    this.emit({ type: 'step-started', host, step, title });
    try {
      const result = await work();
      if (result.changed) this.changed.add(host);
      const outcome = result.changed ? 'changed' : 'unchanged';
      const detail = result.detail ? { detail: result.detail } : {};
      this.emit({ type: 'step-ended', host, step, title, outcome, ms: ms(), ...detail });
      return result;
    } catch (error) {
      this.emit({ type: 'step-ended', host, step, title, outcome: 'failed', ms: ms() });
      throw error;
    }
  }

  /** Work on several members at once, each to its own end. */
  all<T>(members: readonly Member[], work: (member: Member) => Promise<T>): Promise<Outcomes<T>> {
    return onAll(members, work, (failure) => this.failed(failure), this.#options.parallel ?? defaultParallel);
  }

  /** These will be supplied in this run: see Supply. */
  expect(members: readonly Member[]): void {
    this.#supply.expect(members);
  }

  /** Copies and unpacks the bundle unless it is there. */
  supply(member: Member): Promise<void> {
    return this.#supply.supply(member);
  }

  /** Runs kinit on the host to its end. @throws KinitError what stopped it there */
  async run(member: Member, spec: JobSpec): Promise<EndedEvent & { ok: true }> {
    const { signal, events } = this.#options;
    const { name } = member;
    const job = await this.#startJob(member, spec);
    const ended = await followJob(member.connection, job, {
      signal,
      events: (event) => {
        if (event.type === 'phase-ended' && event.outcome === 'changed') this.changed.add(name);
        events({ ...withoutStored(event), host: name });
      },
      lost: () => this.#tellLost(name),
    });
    if (isPassing(spec)) await forgetJob(member.connection, job);
    if (ended.ok) return ended;
    if (ended.error.code === 'Locked') {
      // Somebody else was faster; what they did need not be done again.
      await this.#waitWhileBusy(name, member.connection);
      signal.throwIfAborted();
      return this.run(member, spec);
    }
    throw failureOf(ended, name);
  }

  /** A connection that is lost just then does not tell whether kinit has begun: it is waited for then, and run once more. */
  async #startJob(member: Member, spec: JobSpec): Promise<Job> {
    const { signal } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        return await startJob(member.connection, spec);
      } catch (error) {
        if (signal.aborted || tries === 5 || !isLost(error)) throw error;
        await this.#reconnect(member, error);
      }
    }
  }

  async close(): Promise<void> {
    await this.#supply.close();
    for (const { connection } of this.members) connection.close();
  }

  #waitWhileBusy(host: string, connection: LastingConnection): Promise<void> {
    return waitWhileBusy(connection, this.#options.signal, (what) => {
      const message = `kinit is at work on this host already; waiting until it has ended (${what})`;
      this.emit({ type: 'warning', host, message });
    });
  }

  failed({ host, error }: HostFailure, outcome: 'failed' | 'unreachable' = 'failed'): void {
    this.emit({ type: 'host-failed', host, outcome, error: eventError(error) });
  }

  #tellLost(host: string): void {
    this.emit({ type: 'warning', host, message: connectingAgain });
  }

  /** Looks at the host over a new connection; what had begun there has ended then. @param lost why there must be one */
  async #reconnect(member: Member, lost?: KinitError): Promise<void> {
    const { signal } = this.#options;
    if (lost) this.#tellLost(member.name);
    const connect = () => member.connection.renew();
    await (lost ? connectAgain(connect, lost, defaultPatienceMs, signal) : connect());
    await this.#waitWhileBusy(member.name, member.connection);
    member.facts = await gatherFacts(member.connection, member.host, signal);
  }

  async #connect(host: InventoryHost): Promise<LastingConnection> {
    const { signal, env } = this.#options;
    const traffic = this.traffic.get(host.name) ?? { commands: 0, sent: 0, received: 0 };
    this.traffic.set(host.name, traffic);
    return connectLasting(host, { signal, env, traffic, lost: () => this.#tellLost(host.name) });
  }
}
