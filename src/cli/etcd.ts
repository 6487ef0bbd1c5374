/** `kinit etcd status | member | defrag | alarm | snapshot | restore` */
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import type { EtcdAccess, EtcdFlags } from '../installer/etcd/access.ts';
import { localHost } from '../installer/host/host.ts';
import { addEtcdRestoreCommands } from './etcd-restore.ts';
import { addSnapshotCommands } from './etcd-snapshot.ts';
import { askPassphrase } from './passphrase.ts';
import { interruptSignal, list } from './session.ts';

export interface AskFlags extends EtcdFlags {
  output: string;
  inventory?: string;
  limit?: string[];
  acceptHostKeys?: boolean;
}

export const write = (text: string) => void process.stdout.write(text);
export const json = (value: unknown) => write(`${JSON.stringify(value, undefined, 2)}\n`);

/** Where etcd is, unless the manifests of this host say it, and whose etcd is asked. */
export function askOptions(command: Command): Command {
  return command
    .option('-o, --output <format>', 'text or json', 'text')
    .option('--endpoints <urls>', 'client addresses of an etcd that is elsewhere (default: the one of this host)', list)
    .option('--cacert <file>', 'with --endpoints: the authority of its certificates')
    .option('--cert <file>', 'with --endpoints: the certificate to log in with')
    .option('--key <file>', 'with --endpoints: its key')
    .option('-i, --inventory <file>', 'ask a control plane of an inventory, over SSH')
    .option('--limit <hosts>', 'with --inventory: one of these hosts', list)
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet');
}

/** Flags of a command as the kinit on a host gets them. */
export function wordsFor(command: Command, leaveOut: readonly string[] = []): string[] {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  const words = [...names, ...command.args];
  for (const option of command.options) {
    const name = option.attributeName();
    if (['inventory', 'limit', 'acceptHostKeys', ...leaveOut].includes(name)) continue;
    if (command.getOptionValueSource(name) !== 'cli') continue;
    const value: unknown = command.getOptionValue(name);
    if (typeof value === 'boolean') words.push(option.long as string);
    else words.push(option.long as string, String(value));
  }
  return words;
}

/** Runs the command here, or, with an inventory, the same command on a control plane. */
export async function here(
  flags: AskFlags,
  command: Command,
  work: (access: EtcdAccess, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (!['text', 'plain', 'json'].includes(flags.output)) {
    throw new KinitError('Usage', `--output is "${flags.output}"; it takes text or json`);
  }
  const signal = interruptSignal();
  if (flags.inventory) {
    const { runThere, withControlPlane } = await import('../installer/fleet/on-control-plane.ts');
    const source = { ...flags, inventory: flags.inventory, askPassphrase };
    await withControlPlane(source, signal, (connection) =>
      runThere(connection, wordsFor(command), signal, (chunk) => process.stdout.write(chunk)),
    );
    return;
  }
  const { etcdAccess } = await import('../installer/etcd/access.ts');
  await work(await etcdAccess(localHost(), flags), signal);
}

export function addEtcdCommand(program: Command): void {
  const etcd = program.command('etcd').description('the cluster’s etcd: status, members, backup, restore');
  askOptions(
    etcd.command('status').description('what each member says of itself, and whether etcd takes writes'),
  ).action(status);
  const member = etcd.command('member').description('the members of etcd');
  askOptions(member.command('list').description('list the members')).action(memberList);
  askOptions(
    member
      .command('remove')
      .argument('<member>', 'name or id')
      .description('take a member out, unless that costs etcd its majority'),
  )
    .option('-f, --force', 'also when etcd is worse off without it')
    .option('--dry-run', 'tell what would be, and change nothing')
    .action(memberRemove);
  askOptions(
    member.command('promote').argument('<member>', 'name or id').description('give a learner its vote'),
  ).action(memberPromote);
  askOptions(
    etcd
      .command('defrag')
      .argument('[member]', 'only this one: name or id')
      .description('give free space of the databases back, one member after the other, the leader last'),
  )
    .option('--compact', 'forget old versions of objects first: they take most of the room')
    .action(defrag);
  const alarm = etcd.command('alarm').description('alarms of etcd, such as NOSPACE');
  askOptions(alarm.command('list').description('list the alarms')).action(alarmList);
  askOptions(
    alarm.command('disarm').description('clear all alarms, once their cause is gone (NOSPACE: when there is room)'),
  ).action(alarmDisarm);
  addSnapshotCommands(etcd);
  addEtcdRestoreCommands(etcd);
}

async function status(flags: AskFlags, command: Command): Promise<void> {
  await here(flags, command, async (access) => {
    const { etcdStatus } = await import('../installer/etcd/status.ts');
    const { formatEtcdStatus } = await import('./render/etcd.ts');
    const result = await etcdStatus(localHost(), access);
    if (flags.output === 'json') json(result);
    else write(formatEtcdStatus(result));
    if (!result.quorum.has) throw new KinitError('Timeout', `etcd has no majority: ${result.quorum.verdict}`);
  });
}

async function memberList(flags: AskFlags, command: Command): Promise<void> {
  await here(flags, command, async (access) => {
    const { memberStatuses } = await import('../installer/etcd/status.ts');
    const { formatMembers } = await import('./render/etcd.ts');
    const { members } = await memberStatuses(access);
    if (flags.output === 'json') json(members);
    else write(formatMembers(members));
  });
}

async function memberRemove(
  named: string,
  flags: AskFlags & { force?: boolean; dryRun?: boolean },
  command: Command,
): Promise<void> {
  await here(flags, command, async (access, signal) => {
    const { planRemoval, removeMember } = await import('../installer/etcd/maintenance.ts');
    const plan = await planRemoval(access, named);
    const { member, afterwards, danger } = plan;
    const text = flags.output !== 'json';
    if (text)
      write(
        `member ${member.id} (${member.name || 'not started'}, ${member.peerUrls.join(', ')})\nwithout it ${afterwards}\n`,
      );
    if (flags.dryRun) {
      if (text) write(danger ? `it would not be removed: ${danger}\n` : 'nothing was changed (dry run)\n');
      else json({ member: member.id, name: member.name, afterwards, ...(danger ? { danger } : {}), removed: false });
      return;
    }
    await removeMember(access, plan, { force: flags.force ?? false, signal });
    if (text) write(`removed; its host is to be reset before it joins again\n`);
    else json({ member: member.id, name: member.name, afterwards, removed: true });
  });
}

async function memberPromote(named: string, flags: AskFlags, command: Command): Promise<void> {
  await here(flags, command, async (access, signal) => {
    const { promoteMember } = await import('../installer/etcd/maintenance.ts');
    const promoted = await promoteMember(access, named, signal);
    if (flags.output === 'json') json({ member: named, promoted });
    else write(promoted ? `${named} has a vote now\n` : `${named} had a vote already\n`);
  });
}

async function defrag(
  named: string | undefined,
  flags: AskFlags & { compact?: boolean },
  command: Command,
): Promise<void> {
  await here(flags, command, async (access, signal) => {
    const { defragment } = await import('../installer/etcd/maintenance.ts');
    const { formatBytes } = await import('./render/etcd.ts');
    if (flags.compact) {
      const { compact } = await import('../installer/etcd/space.ts');
      await compact(access);
    }
    const results: unknown[] = [];
    await defragment(access, {
      ...(named ? { only: named } : {}),
      signal,
      done: (result) => {
        results.push(result);
        const { member, beforeBytes, afterBytes, ms } = result;
        if (flags.output !== 'json') {
          write(
            `${member}: ${formatBytes(beforeBytes)} before, ${formatBytes(afterBytes)} now (${(ms / 1000).toFixed(2)} s)\n`,
          );
        }
      },
    });
    if (flags.output === 'json') json(results);
  });
}

async function alarmList(flags: AskFlags, command: Command): Promise<void> {
  await here(flags, command, async (access) => {
    const { memberStatuses } = await import('../installer/etcd/status.ts');
    const { members } = await memberStatuses(access);
    const alarms = members.flatMap(({ id, name, alarms }) => alarms.map((alarm) => ({ member: id, name, alarm })));
    if (flags.output === 'json') return json(alarms);
    write(alarms.length ? alarms.map(({ name, alarm }) => `${name}: ${alarm}\n`).join('') : 'no alarms\n');
  });
}

async function alarmDisarm(flags: AskFlags, command: Command): Promise<void> {
  await here(flags, command, async (access) => {
    const { disarm, roomOf } = await import('../installer/etcd/space.ts');
    const disarmed = await disarm(access, access.external ? undefined : await roomOf(localHost()));
    if (flags.output === 'json') json({ disarmed });
    else write(disarmed ? `${disarmed} cleared\n` : 'no alarms\n');
  });
}
