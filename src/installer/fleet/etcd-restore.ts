/** `kinit etcd restore --inventory`: one control plane gets the data of a snapshot; the others are reset, to join again. */
import { randomBytes } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { basename } from 'node:path';
import { transferFolder } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { infoPath, pkiPath, verifySnapshot } from '../etcd/snapshot-file.ts';
import { kubectl } from './cluster.ts';
import { type FleetResult, inFleet } from './commands.ts';
import { quote } from './connection.ts';
import { ensureEndpoint } from './control-planes.ts';
import { initDocuments } from './documents.ts';
import type { FleetSink } from './events.ts';
import { fleetError } from './failures.ts';
import type { Fleet, Member } from './fleet.ts';
import { type FleetCommandOptions, isControlPlane, planOf } from './plan.ts';

export interface RestoreFleetOptions extends FleetCommandOptions {
  /** Path on the workstation. */
  snapshot: string;
  /** Name of the control plane that gets the data; the first one without it. */
  onto?: string;
  /** Path on the workstation. */
  pkiKeyFile?: string;
}

export async function restoreFleet(options: RestoreFleetOptions): Promise<FleetResult> {
  const plan = await planOf(options);
  const hosts = plan.hosts.filter(isControlPlane);
  const { snapshot, onto = hosts[0]?.name, signal, dryRun = false } = options;
  const { sha256 } = await verifySnapshot(snapshot);
  if (!hosts.some(({ name }) => name === onto)) {
    throw new KinitError('Usage', `there is no control plane "${onto}" in ${plan.inventory.path}`, {
      seen: `control planes: ${hosts.map(({ name }) => name).join(', ')}`,
    });
  }
  let checking = false;
  // What a check would change is told only to who asked for a dry run.
  const events: FleetSink = (event) => {
    if (dryRun || !checking || event.type === 'warning') options.events(event);
  };
  return inFleet(hosts, plan, { ...options, events }, async (fleet) => {
    ensureEndpoint(fleet, plan);
    const target = fleet.member(onto as string);
    if (!dryRun) await fleet.supply(target);
    const folder = `${transferFolder}/kinit-restore-${randomBytes(6).toString('hex')}`;
    const remote = await ship(fleet, target, options, folder, sha256);
    try {
      // Before the others go: a snapshot that cannot be restored costs nothing.
      const check = [remote, '--force', '--dry-run', ...keyWords(options, folder)];
      const config = initDocuments(plan.inventory, target.host, target.facts, plan.given);
      checking = true;
      await fleet.run(target, { command: 'etcd restore', arguments: check, config });
      checking = false;
      if (dryRun) return [];
      const others = fleet.members.filter((member) => member !== target && member.facts.isControlPlane);
      const outcome = await fleet.all(others, (member) =>
        fleet.run(member, { command: 'reset', arguments: ['--force', '--skip-phases', 'remove-etcd-member'] }),
      );
      if (outcome.failures.length) throw fleetError(outcome.failures, `${target.name} was not changed`);
      const words = [remote, '--force', ...keyWords(options, folder)];
      await fleet.run(target, { command: 'etcd restore', arguments: words, config });
      await forgetNodes(fleet, target, others, signal);
    } finally {
      await target.connection.root(`rm -rf ${quote(folder)}`, { signal: AbortSignal.timeout(20_000) });
    }
    signal.throwIfAborted();
    return [];
  });
}

/** The snapshot knows the nodes of hosts that have been reset since, as Ready as they were then: they could not join under their names. */
async function forgetNodes(fleet: Fleet, target: Member, others: readonly Member[], signal: AbortSignal) {
  if (!others.length) return;
  await fleet.step(target.name, 'node', 'Remove the nodes that are to join again', async () => {
    const names = others.map(({ host }) => quote(host.nodeName)).join(' ');
    // A virtual address needs some seconds until it is there: its Lease of the snapshot has another holder.
    const patiently = (command: string) => `(for try in $(seq 20); do ${command} && exit 0; sleep 2; done; exit 1)`;
    const removed = await target.connection.must(
      'removing the nodes of the other control planes',
      patiently(`${kubectl} delete node ${names} --ignore-not-found`),
      { signal },
    );
    return { changed: removed.includes('deleted') };
  });
}

const keyWords = ({ pkiKeyFile }: RestoreFleetOptions, folder: string) =>
  pkiKeyFile ? ['--pki-key-file', `${folder}/pki.key`] : [];

/** Copies the snapshot with what lies beside it into a folder that only root reads. @returns its path there */
async function ship(
  fleet: Fleet,
  { name, connection }: Member,
  { snapshot, pkiKeyFile, signal }: RestoreFleetOptions,
  folder: string,
  sha256: string,
): Promise<string> {
  const remote = `${folder}/${basename(snapshot)}`;
  await fleet.step(name, 'snapshot', 'Copy the snapshot', async () => {
    await connection.must('making a folder for the snapshot', `umask 077; mkdir -p ${quote(folder)}`, { signal });
    const files: [string, string][] = [
      [infoPath(snapshot), infoPath(remote)],
      [pkiPath(snapshot), pkiPath(remote)],
      ...(pkiKeyFile ? [[pkiKeyFile, `${folder}/pki.key`] as [string, string]] : []),
      [snapshot, remote],
    ];
    for (const [from, to] of files) {
      if (!existsSync(from)) continue;
      const stdin = createReadStream(from);
      await connection.must(`copying ${from}`, `umask 077; cat > ${quote(to)}`, { stdin, signal, timeoutMs: 0 });
    }
    const there = await connection.must('checking the snapshot', `sha256sum ${quote(remote)}`, {
      signal,
      timeoutMs: 0,
    });
    if (!there.startsWith(sha256)) {
      throw new KinitError('Connection', 'the snapshot has not arrived as it was sent', {
        host: name,
        seen: there.trim(),
      });
    }
    return { changed: false };
  });
  return remote;
}
