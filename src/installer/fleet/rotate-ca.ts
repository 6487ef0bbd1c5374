/**
 * `kinit certs rotate-ca`: all authorities of a cluster anew, in steps of which each leaves everybody able to believe everybody.
 * In each step the control planes come one after the other, then the kubelets; then the pods have what the next step needs. How far it
 * has come stands on the hosts, so that the same command goes on after a run that was broken off.
 */
import { defaultCertificatesDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { makeCertificateKey } from '../pki/transfer.ts';
import { keyId, type RotatedName, type RotationStep, readTrusted, rotatedFiles } from '../rotation/authorities.ts';
import { formatOrder, type RotationOrder, type RotationPart } from '../rotation/order.ts';
import { parseRecord, planSteps, type Request, type RotationRecord, recordPath } from '../rotation/record.ts';
import { crossedPath } from '../rotation/shared.ts';
import { findNodes, isReady, waitForNodes } from './cluster.ts';
import { type FleetResult, inFleet } from './commands.ts';
import { quote } from './connection.ts';
import { founderOf } from './control-planes.ts';
import { fleetError } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { type FleetCommandOptions, isControlPlane, type Plan, planOf } from './plan.ts';
import { batchesOf, maxUnavailableOf } from './upgrade-order.ts';

export interface RotateOptions extends FleetCommandOptions, Request {
  /** Of the workers' kubelets: `1`, `25%`. */
  maxUnavailable: string;
}

export interface RotateResult extends FleetResult {
  names: readonly RotatedName[];
  /** The last step that is through. */
  step?: RotationStep;
}

const readyMs = 180_000;

export async function rotateFleet(options: RotateOptions, given?: Plan): Promise<RotateResult> {
  const plan = given ?? (await planOf(options));
  const { hosts } = plan.inventory;
  const size = maxUnavailableOf(options.maxUnavailable, hosts.filter((host) => !isControlPlane(host)).length);
  let names: readonly RotatedName[] = [];
  let last: RotationStep | undefined;
  const result = await inFleet(
    hosts,
    plan,
    options,
    async (fleet) => {
      const { founder, record } = await findFounder(fleet, plan, options.signal);
      const nodes = await checkNodes(fleet, founder, options.signal);
      const steps = planSteps(record, options);
      names = record ? steps.names : await presentOf(founder, plan, steps.names, options);
      const rotation = new Rotation({ fleet, founder, plan, names, size, signal: options.signal });
      for (const step of steps.steps) {
        if (options.dryRun) rotation.tell(step);
        else {
          await rotation.make(step);
          last = step;
        }
      }
      return nodes;
    },
    { needsRoom: false },
  );
  return { ...result, names, ...(last ? { step: last } : {}) };
}

/** The control plane where a rotation has begun; otherwise the one that others join. */
async function findFounder(
  fleet: Fleet,
  plan: Plan,
  signal: AbortSignal,
): Promise<{ founder: Member; record?: RotationRecord }> {
  const planes = fleet.members.filter(({ facts }) => facts.isControlPlane);
  const found: { founder: Member; record: RotationRecord }[] = [];
  for (const founder of planes) {
    const { stdout } = await founder.connection.root(`cat ${recordPath} 2>/dev/null`, { signal });
    if (stdout.trim()) found.push({ founder, record: parseRecord(stdout) });
  }
  const [first, second] = found;
  if (!first) return { founder: founderOf(fleet, plan) };
  if (!second) return first;
  throw new KinitError('Validation', 'two control planes say that a rotation has begun there', {
    seen: found.map(({ founder, record }) => `${founder.name}: ${record.names.join(', ')}, ${record.step}`).join('\n'),
    advice: `take ${recordPath} away on the one whose authorities the others do not have`,
  });
}

/** Everybody has to be there: a node that does not hear of the new authority is lost when the old one goes. */
async function checkNodes(fleet: Fleet, founder: Member, signal: AbortSignal) {
  const nodes = await findNodes(founder.connection, signal);
  if (!nodes) {
    throw new KinitError('Api', 'the API server does not answer', {
      host: founder.name,
      advice: 'look at: kinit doctor',
    });
  }
  const known = new Set(fleet.members.map(({ host }) => host.nodeName));
  const strangers = nodes.map(({ metadata }) => metadata?.name ?? '').filter((name) => !known.has(name));
  const away = nodes.filter((node) => !isReady(node)).map(({ metadata }) => metadata?.name ?? '');
  const others = fleet.members.filter(({ facts }) => !facts.isNode && !facts.isControlPlane).map(({ name }) => name);
  const seen = [
    ...(strangers.length ? [`nodes that are not among these hosts: ${strangers.join(', ')}`] : []),
    ...(away.length ? [`nodes that are not Ready: ${away.join(', ')}`] : []),
    ...(others.length ? [`hosts that are no nodes: ${others.join(', ')}`] : []),
  ];
  if (!seen.length) return nodes;
  throw new KinitError('Preflight', 'authorities are rotated with all nodes of the cluster, and nothing was changed', {
    host: founder.name,
    seen: seen.join('\n'),
    advice: 'name all nodes in the inventory; mend or remove (kinit nodes remove) those that are not Ready',
  });
}

const folderOf = ({ inventory, given }: Plan): string =>
  inventory.cluster.certificatesDir ?? given.ClusterConfiguration?.certificatesDir ?? defaultCertificatesDir;

/** Without names: those whose keys are here. An etcd or an authority that is elsewhere is its owner's to rotate. */
async function presentOf(
  founder: Member,
  plan: Plan,
  names: readonly RotatedName[],
  { names: asked, signal }: RotateOptions,
) {
  const folder = folderOf(plan);
  const present: RotatedName[] = [];
  for (const name of names) {
    const { code } = await founder.connection.root(`test -s ${quote(`${folder}/${rotatedFiles[name].key}`)}`, {
      signal,
    });
    if (code === 0) present.push(name);
  }
  const missing = names.filter((name) => !present.includes(name));
  if (present.length && (!missing.length || asked?.length !== 1)) return present;
  throw new KinitError('Validation', `the key of ${missing.join(', ')} is not on this host`, {
    host: founder.name,
    advice: 'whoever has that key rotates it',
  });
}

interface RotationParts {
  fleet: Fleet;
  founder: Member;
  plan: Plan;
  names: readonly RotatedName[];
  /** Of a batch of workers. */
  size: number;
  signal: AbortSignal;
}

class Rotation {
  readonly #parts: RotationParts;

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  /** Of a dry run. */
  tell(step: RotationStep): void {
    const { fleet, founder, names } = this.#parts;
    const list = names.join(', ');
    const what: Record<RotationStep, string> = {
      trust: `new keys (${list}) on ${founder.name}; all hosts believe the old and the new authority`,
      issue: `all certificates, kubeconfigs and tokens from the new authority (${list})`,
      finish: `the old authority (${list}) is believed no more`,
    };
    for (const { name } of fleet.members) fleet.emit({ type: 'planned', host: name, action: step, what: what[step] });
  }

  async make(step: RotationStep): Promise<void> {
    const { fleet, founder, names } = this.#parts;
    const certificateKey = makeCertificateKey();
    await this.#plane(founder, { part: 'begin', certificateKey }, step);
    const crossed = names.includes('ca') ? await this.#read(founder, crossedPath) : '';
    for (const member of this.#planes().filter((one) => one !== founder))
      await this.#plane(member, { part: 'follow', certificateKey, ...(crossed ? { crossed } : {}) }, step);
    await this.#run([founder], 'cluster', step);
    await this.#nodes(step);
    const others = fleet.members.filter((member) => member !== founder);
    // The record goes last: without it nobody knows that there is something left to do.
    if (step === 'finish') await this.#run(others, 'end', step);
    await this.#run([founder], 'end', step);
  }

  /** Kubelets and pods, which have to do with the cluster's own authority and the keys of tokens. */
  async #nodes(step: RotationStep): Promise<void> {
    const { fleet, founder, names, size } = this.#parts;
    const tokens = names.includes('sa') && step === 'issue';
    if (!names.includes('ca') && !tokens) return;
    const folder = folderOf(this.#parts.plan);
    const trusted = await this.#read(founder, `${folder}/${rotatedFiles.ca.trusted}`);
    const [signs] = tokens ? readTrusted(await this.#read(founder, `${folder}/${rotatedFiles.sa.trusted}`)) : [];
    const more = { trusted, ...(signs ? { tokenKey: keyId(signs.key) } : {}) };
    const workers = fleet.members.filter(({ host }) => !isControlPlane(host));
    for (const batch of [...this.#planes().map((member) => [member]), ...batchesOf(workers, size)]) {
      await this.#run(batch, 'kubelet', step, more);
      await this.#ready(batch);
    }
    if (step !== 'finish') await this.#run(fleet.members, 'pods', step, more);
  }

  #planes(): Member[] {
    return this.#parts.fleet.members.filter(({ facts }) => facts.isControlPlane);
  }

  async #plane(
    member: Member,
    order: Partial<RotationOrder> & { part: RotationPart },
    step: RotationStep,
  ): Promise<void> {
    const { part, ...more } = order;
    await this.#run([member], part, step, more);
    await this.#ready([member]);
  }

  async #run(members: readonly Member[], part: RotationPart, step: RotationStep, more: Partial<RotationOrder> = {}) {
    const { fleet, names } = this.#parts;
    const config = formatOrder({ ...more, part, step, names: [...names] });
    const { failures } = await fleet.all(members, (member) =>
      fleet.run(member, { command: 'certs rotate-node', arguments: [], config }),
    );
    if (failures.length)
      throw fleetError(failures, `the step ${step} is not through; the same command goes on from there`);
  }

  /** As the others see them. */
  async #ready(members: readonly Member[]): Promise<void> {
    const { fleet, founder, signal } = this.#parts;
    const nodeNames = members.map(({ host }) => host.nodeName);
    await fleet.step(members[0]!.name, 'ready', `Wait until ${nodeNames.join(', ')} is Ready`, async () => {
      for (const deadline = Date.now() + readyMs; ; ) {
        try {
          await waitForNodes(founder.connection, nodeNames, signal, () => undefined, deadline - Date.now());
          return { changed: false };
        } catch (error) {
          // A question that was not answered in time is asked again.
          if (!(error instanceof KinitError && error.code === 'Timeout') || Date.now() >= deadline) throw error;
        }
      }
    });
  }

  /** What of it is public. */
  async #read({ connection }: Member, path: string): Promise<string> {
    const { stdout } = await connection.root(`cat ${quote(path)} 2>/dev/null`, { signal: this.#parts.signal });
    return stdout;
  }
}
