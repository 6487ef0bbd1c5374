/** The bundle on its way to the hosts of a run: each gets what it lacks, from here or from a host of the run that has it. */
import { KinitError } from '../errors.ts';
import type { BundleSource } from '../inventory/types.ts';
import { ownAddress } from './documents.ts';
import type { HostFacts } from './facts.ts';
import type { Fleet, Member } from './fleet.ts';
import { isLost } from './lasting-connection.ts';
import { fetchParts, openPeer, type Peer } from './peer.ts';
import { isControlPlane } from './plan.ts';
import { arrivedOf, bytesOf, hasBundle, missingParts, sendPart, unpackBundle } from './ship.ts';

/** From so many hosts on that lack the bundle, the first passes it on. */
const enough = 3;
const attempts = 5;

export interface SupplyOptions {
  from: BundleSource;
  signal: AbortSignal;
  /** Connects anew to a host, with patience when the connection was lost, and looks at it again. */
  reconnect(member: Member, lost?: KinitError): Promise<void>;
}

interface Progress {
  arrived(bytes: number): void;
  /** After a new look at the host: what was on its way may have been lost. */
  restart(): void;
  /** Bytes that have come to the host. */
  moved(): number;
}

export class Supply {
  readonly #fleet: Fleet;
  readonly #options: SupplyOptions;
  readonly #supplied = new Map<Member, Promise<void>>();
  /** Those that lack the bundle and will get it in this run; control planes first. */
  #lacking: Member[] = [];
  readonly #peers = new Map<Member, Promise<Peer | undefined>>();

  constructor(fleet: Fleet, options: SupplyOptions) {
    this.#fleet = fleet;
    this.#options = options;
  }

  /** Says who will be supplied in this run, so that one of them can pass the bundle on. */
  expect(members: readonly Member[]): void {
    const lacking = members.filter(({ facts, connection, bundle }) => !hasBundle(facts, bundle) && !connection.local);
    const rank = ({ host }: Member) => (isControlPlane(host) ? 0 : 1);
    this.#lacking = lacking.sort((a, b) => rank(a) - rank(b));
  }

  /** Copies and unpacks what the host lacks; does nothing when it has the bundle. */
  supply(member: Member): Promise<void> {
    const begun = this.#supplied.get(member) ?? this.#supplyOnce(member);
    this.#supplied.set(member, begun);
    return begun;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers.values()) (await peer)?.close();
  }

  async #supplyOnce(member: Member): Promise<void> {
    if (hasBundle(member.facts, member.bundle)) return;
    const { name } = member;
    const fleet = this.#fleet;
    const { signal } = this.#options;
    for (let tries = 1; ; tries++) {
      if (!member.connection.local) {
        // A part that arrived damaged comes from here the next time.
        const peer = tries === 1 ? await this.#peerFor(member) : undefined;
        await fleet.step(name, 'ship', 'Copy the bundle', () => this.#ship(member, peer));
      }
      const keep = isControlPlane(member.host) || this.#seedOf(member) === member;
      let damaged: string | undefined;
      try {
        await fleet.step(name, 'unpack', 'Unpack the bundle', async () => {
          ({ damaged } = await unpackBundle(member.connection, member.bundle, keep, signal));
          return { changed: damaged === undefined, ...(damaged ? { detail: damaged } : {}) };
        });
      } catch (error) {
        if (signal.aborted || tries === attempts || !isLost(error)) throw error;
        await this.#options.reconnect(member, error);
        if (hasBundle(member.facts, member.bundle)) return;
        continue;
      }
      if (damaged === undefined) return;
      if (tries >= 3) {
        throw new KinitError('Bundle', 'the bundle arrives damaged again and again', { host: name, seen: damaged });
      }
      fleet.emit({ type: 'warning', host: name, message: `${damaged}; it is copied again from here` });
      await this.#options.reconnect(member);
    }
  }

  async #ship(member: Member, peer: Peer | undefined): Promise<{ changed: boolean; detail: string }> {
    const progress = this.#progressOf(member);
    const started = performance.now();
    const from = peer && (await this.#fetch(member, peer, progress)) ? ` from ${peer.host}` : '';
    if (!from) await this.#send(member, progress);
    const seconds = Math.max((performance.now() - started) / 1000, 0.001);
    const moved = progress.moved();
    const whole = bytesOf([member.bundle.decoder, ...member.bundle.parts]);
    const rest = moved < whole ? `, the rest of ${amount(whole)} was there` : '';
    return { changed: true, detail: `${amount(moved)}${from}, ${amount(moved / seconds)}/s${rest}` };
  }

  /** Answers whether it was possible. */
  async #fetch(member: Member, peer: Peer, { arrived, restart }: Progress): Promise<boolean> {
    const { signal, reconnect } = this.#options;
    const { connection, facts } = member;
    try {
      await fetchParts(connection, peer, missingParts(facts, member.bundle), facts.keptParts, { signal, arrived });
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof KinitError)) throw error;
      const message = `${error.message} (${error.details.seen ?? 'nothing was said'}); it is copied from here`;
      this.#fleet.emit({ type: 'warning', host: member.name, message });
      await reconnect(member, isLost(error) ? error : undefined);
      restart();
      return false;
    }
  }

  /** A transfer that broke off goes on where it ended. */
  async #send(member: Member, { arrived, restart }: Progress): Promise<void> {
    const { signal, reconnect } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        for (const part of missingParts(member.facts, member.bundle))
          await sendPart(member.connection, part, member.facts.keptParts, { signal, arrived });
        return;
      } catch (error) {
        if (signal.aborted || tries === attempts || !isLost(error)) throw error;
        await reconnect(member, error);
        restart();
      }
    }
  }

  #progressOf(member: Member): Progress {
    const present = () =>
      missingParts(member.facts, member.bundle).reduce((sum, part) => sum + arrivedOf(part, member.facts.keptParts), 0);
    const total = bytesOf(missingParts(member.facts, member.bundle));
    const before = present();
    const started = performance.now();
    let done = before;
    let reported = 0;
    return {
      moved: () => done - before,
      restart() {
        done = present();
      },
      arrived: (bytes) => {
        done += bytes;
        const now = performance.now();
        if (done < total && now - reported < 200) return;
        reported = now;
        const bytesPerSecond = Math.round(((done - before) * 1000) / Math.max(now - started, 1));
        this.#fleet.emit({ type: 'step-progress', host: member.name, step: 'ship', done, total, bytesPerSecond });
      },
    };
  }

  /** Whoever passes the bundle of this host on in this run. */
  #seedOf({ bundle }: Member): Member | undefined {
    const { from } = this.#options;
    if (from === 'workstation') return undefined;
    const parts = [bundle.decoder, ...bundle.parts];
    const hasParts = ({ keptParts }: HostFacts) => parts.every((part) => arrivedOf(part, keptParts) === part.size);
    const holder = this.#fleet.members.find(
      ({ facts, connection }) => !connection.local && hasBundle(facts, bundle) && hasParts(facts),
    );
    if (holder) return holder;
    const lacking = this.#lacking.filter((member) => member.bundle === bundle);
    return from === 'hosts' || lacking.length >= enough ? lacking[0] : undefined;
  }

  async #peerFor(member: Member): Promise<Peer | undefined> {
    const seed = this.#seedOf(member);
    if (!seed || seed === member) return undefined;
    const peer = this.#peers.get(seed) ?? this.#open(seed);
    this.#peers.set(seed, peer);
    return peer;
  }

  async #open(seed: Member): Promise<Peer | undefined> {
    try {
      await this.supply(seed);
      const address = ownAddress(seed.host, seed.facts) ?? seed.facts.addresses[0] ?? seed.host.address;
      const remove = !isControlPlane(seed.host);
      return await openPeer(seed.connection, address, { remove, signal: this.#options.signal });
    } catch {
      // What is wrong with that host is told where it matters; the others get the bundle from here.
      return undefined;
    }
  }
}

const amount = (bytes: number): string =>
  bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / (1 << 20))} MiB`;
