/** Plays a host's journal back, newest entry first, so that the host is as it was before kinit. */
import { basename, dirname } from 'node:path';
import { removeLeftovers } from './account-leftovers.ts';
import { removeAccount } from './accounts.ts';
import { sysctlPath, unitState } from './changes.ts';
import { exists, type Host, readText } from './host.ts';
import type { JournalEntry, PreviousPath } from './journal.ts';
import { mountsIn } from './mounts.ts';
import { removePackages } from './packages.ts';
import { activeSwap } from './swap.ts';

export interface UndoReport {
  /** What could not be put back; the rest was. */
  problems: string[];
}

/** Idempotent: what is as it was is left alone. */
export async function undoAll(host: Host, entries: readonly JournalEntry[]): Promise<UndoReport> {
  const problems: string[] = [];
  const startLater: string[] = [];
  for (const entry of entries.toReversed()) {
    try {
      await undo(host, entry, { problems, startLater });
    } catch (error) {
      problems.push(`${describe(entry)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  await removeLeftovers(host, entries);
  if (entries.some(({ kind }) => kind === 'unit')) await host.run('systemctl', ['daemon-reload']);
  for (const unit of startLater) {
    const result = await host.run('systemctl', ['start', unit]);
    if (result.exitCode !== 0) problems.push(`${unit} does not start again: ${result.stderr.trim()}`);
  }
  return { problems };
}

function describe(entry: JournalEntry): string {
  return 'path' in entry ? entry.path : 'key' in entry ? entry.key : entry.kind;
}

interface UndoState {
  problems: string[];
  startLater: string[];
}

async function undo(host: Host, entry: JournalEntry, { problems, startLater }: UndoState): Promise<void> {
  switch (entry.kind) {
    case 'path':
      await host.remove(`${dirname(entry.path)}/.${basename(entry.path)}.kinit-draft`);
      return restorePath(host, entry.path, entry.previous);
    case 'folder': {
      // Behind a mount there is what belongs to somebody else, such as the data of a volume.
      const mounted = host.dryRun ? [] : await mountsIn(host, [entry.path]);
      if (mounted.length > 0)
        throw new Error(`nothing is removed, as there is something mounted: ${mounted.join(', ')}`);
      const kept = new Set(entry.kept);
      for (const name of await host.list(entry.path)) if (!kept.has(name)) await host.remove(`${entry.path}/${name}`);
      // A folder that is a mount point cannot go away; it is empty then.
      if (!entry.existed) return host.removeEmptyDirectory(entry.path);
      const now = await host.stat(entry.path);
      if (now && entry.mode !== undefined && now.mode !== entry.mode)
        await host.run('chmod', [entry.mode.toString(8).padStart(4, '0'), entry.path]);
      return;
    }
    case 'parent':
      return host.removeEmptyDirectory(entry.path);
    case 'user':
    case 'group': {
      const problem = await removeAccount(host, entry.kind, entry.name);
      if (problem) problems.push(`the ${entry.kind} ${entry.name} stays: ${problem}`);
      return;
    }
    case 'owner': {
      const now = await host.stat(entry.path);
      if (!now || (now.uid === entry.uid && now.gid === entry.gid && now.mode === entry.mode)) return;
      await host.setOwner(entry.path, entry.uid, entry.gid);
      await host.run('chmod', [entry.mode.toString(8).padStart(4, '0'), entry.path]);
      return;
    }
    case 'sysctl': {
      const path = sysctlPath(entry.key);
      if (!(await exists(host, path)) || (await readText(host, path))?.trim() === entry.previous) return;
      return host.writeKernel(path, `${entry.previous}\n`);
    }
    case 'module':
      // In use by something else by now: it stays, which does no harm.
      await host.run('modprobe', ['-r', entry.name]);
      return;
    case 'swap': {
      if ((await activeSwap(host)).some(({ device }) => device === entry.device)) return;
      const priority = entry.priority >= 0 ? ['-p', String(entry.priority)] : [];
      const result = await host.run('swapon', [...priority, entry.device]);
      if (result.exitCode !== 0) problems.push(`swap on ${entry.device}: ${result.stderr.trim()}`);
      return;
    }
    case 'selinux':
      await host.run('setenforce', [entry.previous === 'Enforcing' ? '1' : '0']);
      return;
    case 'unit': {
      const now = await unitState(host, entry.unit);
      const wasEnabled = entry.enablement === 'enabled';
      if (now.active) await host.run('systemctl', ['stop', entry.unit]);
      if (now.enablement === 'enabled' && !wasEnabled) await host.run('systemctl', ['disable', entry.unit]);
      if (wasEnabled && now.enablement !== 'enabled') await host.run('systemctl', ['enable', entry.unit]);
      if (entry.enablement === 'masked') await host.run('systemctl', ['mask', entry.unit]);
      await host.run('systemctl', ['reset-failed', entry.unit]);
      if (entry.active) startLater.push(entry.unit);
      return;
    }
    case 'firewalld': {
      const scope = [...(entry.permanent ? ['--permanent'] : []), `--zone=${entry.zone}`];
      await host.run('firewall-cmd', [...scope, `--remove-${entry.rule}`]);
      return;
    }
    case 'ufw':
      await host.run(
        'ufw',
        entry.rule[0] === 'route' ? ['route', 'delete', ...entry.rule.slice(1)] : ['delete', ...entry.rule],
      );
      return;
    case 'packages':
      problems.push(...(await removePackages(host, entry.manager, entry.names)));
      return;
    // The containers and images of a runtime are removed while it runs, by phases of their own.
    case 'runtime':
    case 'image':
    case 'note':
      return;
  }
}

async function restorePath(host: Host, path: string, previous: PreviousPath): Promise<void> {
  switch (previous.type) {
    case 'missing':
      return host.remove(path);
    case 'symlink':
      if ((await host.stat(path))?.target !== previous.target) await host.symlink(path, previous.target);
      return;
    case 'file': {
      const { mode, uid, gid } = previous;
      const content = Buffer.from(previous.content, 'base64');
      const now = await host.stat(path);
      const same = now?.type === 'file' && now.mode === mode && now.uid === uid && now.gid === gid;
      if (same && (await host.readFile(path))?.equals(content)) return;
      return host.writeFile(path, content, { mode, uid, gid });
    }
  }
}
