/**
 * `kinit upgrade apply --inventory`: the bundle and its images to all hosts, then the control planes one at a time, then the workers
 * in batches, each drained, upgraded, seen Ready and opened again. The first failure stops it; a host that failed is back at what it
 * was, and the same command goes on from there.
 */
import type { Node } from '../../machinery/api/types.ts';
import { pause } from '../../machinery/process/pause.ts';
import { kubernetesVersion } from '../../machinery/version.ts';
import { bundlePaths } from '../config/paths.ts';
import { asKinitError, KinitError } from '../errors.ts';
import { checkRequested } from '../phases/run-upgrade.ts';
import type { UpgradeKind } from '../phases/upgrade.ts';
import { nodeGate } from '../upgrade/gates.ts';
import { findNodes, isReady, kubectl, waitForNodes } from './cluster.ts';
import { type FleetResult, inFleet } from './commands.ts';
import { type Connection, quote } from './connection.ts';
import { founderOf } from './control-planes.ts';
import { type DrainOptions, drain } from './drain.ts';
import { fleetError, type HostFailure, type Outcomes } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import type { JobSpec } from './job.ts';
import { controlPlaneOf, type FleetCommandOptions, isControlPlane, planOf } from './plan.ts';
import { hasBundle } from './ship.ts';
import { batchesOf, cordonAnnotation, cordonOf, inTurns, isDone, maxUnavailableOf } from './upgrade-order.ts';

export interface UpgradeFleetOptions extends FleetCommandOptions {
  /** Given on the command line; has to be this kinit's. */
  version?: string;
  /** Of the workers: `1`, `25%`. */
  maxUnavailable: string;
  drain: DrainOptions;
  /** Flags of kinit on the first control plane, and on the other hosts. */
  words: Record<UpgradeKind, string[]>;
}

/** The new kinit: the one that the host runs from is the old one until its turn comes. */
const program = `${bundlePaths.prefix}/bin/kinit`;

const readyMs = 300_000;
const answerMs = 60_000;

/** An SSH server gives a connection ten sessions (MaxSessions); a batch may be larger. */
const sessions = 8;

export async function upgradeFleet(options: UpgradeFleetOptions): Promise<FleetResult> {
  checkRequested(options.version, kubernetesVersion);
  const plan = await planOf(options);
  const first = controlPlaneOf(plan);
  const hosts = plan.hosts.includes(first) ? plan.hosts : [first, ...plan.hosts];
  const workers = hosts.filter((host) => !isControlPlane(host)).length;
  const size = maxUnavailableOf(options.maxUnavailable, workers);
  return inFleet(hosts, plan, options, async (fleet) => {
    const founder = founderOf(fleet, plan);
    checkNodes(fleet, founder);
    const run = new FleetUpgrade(fleet, founder, options);
    if (options.dryRun) {
      await run.dryRun();
      return [];
    }
    await run.prepare();
    await run.controlPlanes();
    await run.workers(size);
    return run.finish();
  });
}

function checkNodes(fleet: Fleet, founder: Member): void {
  const strangers = fleet.members.filter(
    ({ facts, host }) => !(isControlPlane(host) ? facts.isControlPlane : facts.isNode),
  );
  if (!strangers.length) return;
  throw new KinitError(
    'Preflight',
    `these hosts are no nodes of the cluster: ${strangers.map(({ name }) => name).join(', ')}`,
    {
      host: founder.name,
      advice:
        'join them with the bundle that the cluster runs from, or leave them out with --limit; nothing was changed',
    },
  );
}

class FleetUpgrade {
  readonly #fleet: Fleet;
  readonly #founder: Member;
  readonly #options: UpgradeFleetOptions;
  readonly #done: string[] = [];
  /** Questions to the founder that are under way, and those that wait for their turn. */
  #asking = 0;
  readonly #turns: (() => void)[] = [];

  constructor(fleet: Fleet, founder: Member, options: UpgradeFleetOptions) {
    this.#fleet = fleet;
    this.#founder = founder;
    this.#options = options;
  }

  async dryRun(): Promise<void> {
    for (const member of this.#fleet.members) {
      if (!hasBundle(member.facts, member.bundle)) {
        const what = `the bundle to the host, and run kinit upgrade ${member === this.#founder ? 'apply' : 'node'}`;
        this.#fleet.emit({ type: 'planned', host: member.name, action: 'copy', what });
      } else if (member === this.#founder) await this.#fleet.run(member, this.#job(member, ['--dry-run']));
    }
  }

  /** What changes nothing of what runs: bundle, checks, images. */
  async prepare(): Promise<void> {
    const { members } = this.#fleet;
    this.#fleet.expect(members);
    // It keeps a disk busy, and etcd waits for the disks of more than half of its members.
    const gently = (run: (member: Member) => Promise<unknown>) =>
      inTurns(({ host }: Member) => isControlPlane(host), run);
    this.#stopAt(
      await this.#fleet.all(
        members,
        gently((member) => this.#fleet.supply(member)),
      ),
    );
    this.#stopAt(
      await this.#fleet.all([this.#founder], (member) => this.#fleet.run(member, this.#phase(member, 'preflight'))),
    );
    // The add-ons come to all nodes at once, and nobody can pull their images.
    this.#stopAt(
      await this.#fleet.all(
        members,
        gently((member) => this.#fleet.run(member, this.#phase(member, 'images', 'load'))),
      ),
    );
  }

  /** The founder first; the pods of a control plane keep running while its kubelet starts anew, so it is not drained. */
  async controlPlanes(): Promise<void> {
    const others = this.#fleet.members.filter((member) => member !== this.#founder && isControlPlane(member.host));
    for (const member of [this.#founder, ...others]) {
      const upgraded = await this.#fleet.all([member], async () => {
        await this.#fleet.run(member, this.#job(member));
        await this.#seenReady(member);
      });
      this.#settle(upgraded);
    }
  }

  async workers(size: number): Promise<void> {
    const nodes = await this.#nodes();
    const left: Member[] = [];
    for (const member of this.#fleet.members.filter(({ host }) => !isControlPlane(host))) {
      const node = nodes.find(({ metadata }) => metadata?.name === member.host.nodeName);
      if (isDone(member.facts, bundlePaths.prefix, node, kubernetesVersion)) {
        if (node && cordonOf(node) === 'ours') await this.#open(member);
        this.#done.push(member.name);
      } else left.push(member);
    }
    for (const batch of batchesOf(left, size)) {
      this.#settle(await this.#fleet.all(batch, (member) => this.#worker(member)));
    }
  }

  async finish(): Promise<Node[]> {
    const nodes = await this.#nodes();
    const names = this.#fleet.members.map(({ host }) => host.nodeName);
    const unwell = nodes
      .filter(({ metadata }) => names.includes(metadata?.name ?? ''))
      .map((node) => [node.metadata?.name, nodeGate(node, kubernetesVersion)])
      .filter(([, reason]) => reason !== undefined);
    if (!unwell.length) return nodes;
    throw new KinitError('Timeout', 'all hosts are upgraded, but not all nodes are well', {
      seen: unwell.map(([name, reason]) => `${name}: ${reason}`).join('\n'),
      advice: 'kinit doctor --inventory says more',
    });
  }

  async #worker(member: Member): Promise<void> {
    const { drain: draining, signal } = this.#options;
    const { nodeName } = member.host;
    const cordon = cordonOf((await this.#node(nodeName)) ?? {});
    if (cordon === 'open') {
      const mark = `${kubectl} annotate node ${quote(nodeName)} --overwrite ${cordonAnnotation}=true`;
      await this.#ask((founder) => founder.must('marking the node', mark, { signal }));
    }
    try {
      await this.#fleet.step(member.name, 'drain', 'Drain the node', () =>
        this.#ask((connection) => drain({ connection, nodeName }, draining, signal, cordon === 'theirs')),
      );
      await this.#fleet.run(member, this.#job(member));
      await this.#seenReady(member);
    } catch (thrown) {
      // Interrupted, its turn comes again; otherwise it is as it was, and serves again when it can.
      signal.throwIfAborted();
      if (cordon !== 'theirs') await this.#openAgain(member);
      throw thrown;
    }
    if (cordon !== 'theirs') await this.#open(member);
  }

  /** After a failure, which is what will be told. */
  async #openAgain(member: Member): Promise<void> {
    try {
      const node = await this.#node(member.host.nodeName);
      if (node && isReady(node)) await this.#open(member);
    } catch (thrown) {
      const { message } = asKinitError(thrown);
      this.#fleet.emit({ type: 'warning', host: member.name, message: `the node stays cordoned: ${message}` });
    }
  }

  /** The gate behind a host: what others see of it. When it stays shut, the host goes back. */
  async #seenReady(member: Member): Promise<void> {
    const { signal } = this.#options;
    const { nodeName } = member.host;
    try {
      await this.#fleet.step(member.name, 'ready', 'Wait until the node is Ready', async () => {
        await this.#ask((founder) => waitForNodes(founder, [nodeName], signal, () => undefined, readyMs));
        return { changed: false };
      });
    } catch (thrown) {
      signal.throwIfAborted();
      const failure = asKinitError(thrown, { host: member.name });
      // Whoever cannot be asked has not said that the node is not well.
      if (failure.code !== 'Timeout') throw failure;
      await this.#fleet.run(member, { command: 'upgrade rollback', program, arguments: [] });
      const advice = [failure.details.advice, 'the host is back at its earlier bundle'].filter(Boolean).join('; ');
      throw new KinitError(failure.code, failure.message, { ...failure.details, advice });
    }
  }

  /** Over the connection to the founder, which all hosts of a batch share. */
  async #ask<T>(question: (founder: Connection) => Promise<T>): Promise<T> {
    while (this.#asking >= sessions) await new Promise<void>((turn) => this.#turns.push(turn));
    this.#asking++;
    try {
      return await question(this.#founder.connection);
    } finally {
      this.#asking--;
      this.#turns.shift()?.();
    }
  }

  async #node(name: string): Promise<Node | undefined> {
    return (await this.#nodes()).find(({ metadata }) => metadata?.name === name);
  }

  async #open(member: Member): Promise<void> {
    const { signal } = this.#options;
    const name = quote(member.host.nodeName);
    await this.#fleet.step(member.name, 'uncordon', 'Let pods come again', async () => {
      const words = `${kubectl} uncordon ${name} && ${kubectl} annotate node ${name} ${cordonAnnotation}-`;
      await this.#ask((founder) => founder.must('uncordon', words, { signal }));
      return { changed: true };
    });
  }

  async #nodes(): Promise<Node[]> {
    const { signal } = this.#options;
    // The founder's API server may be starting anew, or electing with others.
    const deadline = Date.now() + answerMs;
    do {
      const nodes = await this.#ask((founder) => findNodes(founder, signal));
      if (nodes) return nodes;
      await pause(1_000, signal);
    } while (Date.now() < deadline);
    throw new KinitError('Api', 'the API server does not answer', {
      host: this.#founder.name,
      advice: 'look at: kinit doctor',
    });
  }

  #job(member: Member, more: readonly string[] = []): JobSpec {
    const kind = member === this.#founder ? 'apply' : 'node';
    return { command: `upgrade ${kind}`, program, arguments: [...this.#options.words[kind], ...more] };
  }

  #phase(member: Member, ...words: string[]): JobSpec {
    const job = this.#job(member);
    return { ...job, arguments: ['phase', ...words, ...job.arguments] };
  }

  #settle({ done, failures }: Outcomes<void>): void {
    this.#done.push(...done.keys());
    this.#stopAt({ failures });
  }

  /** @throws KinitError that says what of the cluster is new */
  #stopAt({ failures }: { failures: readonly HostFailure[] }): void {
    if (!failures.length) return;
    const rest = this.#fleet.members
      .map(({ name }) => name)
      .filter((name) => !this.#done.includes(name) && !failures.some(({ host }) => host === name));
    const texts = [
      ...(this.#done.length ? [`upgraded: ${this.#done.join(', ')}`] : []),
      ...(rest.length ? [`not upgraded: ${rest.join(', ')}`] : []),
      'the same command goes on from there',
    ];
    throw fleetError(failures, texts.join('; '));
  }
}
