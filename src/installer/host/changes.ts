/**
 * The only way in which phases change a host: look, record in the journal, act. Every function answers whether it had to
 * change anything.
 */
import { dirname } from 'node:path';
import { KinitError } from '../errors.ts';
import { exists, type Host, readText, runOrFail, type WriteFileOptions } from './host.ts';
import type { Journal, PreviousPath } from './journal.ts';

export interface UnitState {
  enabled: boolean;
  active: boolean;
}

export interface PathOwner {
  uid: number;
  gid: number;
  /** Absent: as it is. */
  mode?: number;
}

export interface Changes {
  readonly host: Host;
  readonly journal: Journal;
  /** Content, mode and existence; makes missing parent folders. */
  file(path: string, content: string | Buffer, options?: WriteFileOptions): Promise<boolean>;
  link(path: string, target: string): Promise<boolean>;
  removeFile(path: string): Promise<boolean>;
  /** A folder whose whole content is kinit's from now on. @param mode a folder that is there and more open gets it, too */
  folder(path: string, mode?: number): Promise<boolean>;
  /** Owner and mode of what is there; a link itself gets none. */
  owner(path: string, owner: PathOwner): Promise<boolean>;
  sysctl(key: string, value: string): Promise<boolean>;
  /**
   * Remembers what is at a path that not kinit itself will make or fill, but what it starts.
   * @param as `shared`: others may use the folder too; it goes away when it is empty
   */
  claim(path: string, as: 'folder' | 'shared' | 'file'): Promise<void>;
  /** Remembers a setting that what kinit starts may change. */
  rememberSysctl(key: string): Promise<void>;
  /** Enables and starts a systemd unit (or the reverse). */
  unit(name: string, state: UnitState): Promise<boolean>;
}

export async function previousOf(host: Host, path: string): Promise<PreviousPath> {
  const facts = await host.stat(path);
  if (!facts) return { type: 'missing' };
  if (facts.type === 'symlink') return { type: 'symlink', target: facts.target ?? '' };
  if (facts.type !== 'file') throw new KinitError('Command', `${path} is a ${facts.type}, not a file`);
  const content = await host.readFile(path);
  const { mode, uid, gid } = facts;
  return { type: 'file', content: (content ?? Buffer.alloc(0)).toString('base64'), mode, uid, gid };
}

export const sysctlPath = (key: string) => `/proc/sys/${key.replaceAll('.', '/')}`;

/** Enablement (`enabled`, `disabled`, `masked`, `static`, `not-found`, …) and activity of a unit. */
export async function unitState(host: Host, unit: string): Promise<{ enablement: string; active: boolean }> {
  const { stdout } = await host.run('systemctl', ['show', '--property=UnitFileState,ActiveState', unit], {
    observe: true,
  });
  const property = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  const activity = property('ActiveState');
  return {
    enablement: property('UnitFileState') || 'not-found',
    active: activity === 'active' || activity === 'activating' || activity === 'reloading',
  };
}

export function createChanges(host: Host, journal: Journal): Changes {
  const ownFolders = new Set(
    journal.entries.flatMap((entry) => (entry.kind === 'folder' && !entry.existed ? [entry.path] : [])),
  );
  /** In a folder that kinit made, everything goes away with the folder. */
  const isInOwnFolder = (path: string) => {
    for (let at = dirname(path); at !== '/'; at = dirname(at)) if (ownFolders.has(at)) return true;
    return false;
  };
  const parents = async (path: string) => {
    const missing: string[] = [];
    for (let at = dirname(path); at !== '/' && !(await exists(host, at)); at = dirname(at)) missing.unshift(at);
    for (const folder of missing) {
      if (!isInOwnFolder(folder)) await journal.record({ kind: 'parent', path: folder });
      await host.makeDirectory(folder);
    }
  };
  const recordFolder = async (path: string) => {
    if (journal.has(`folder:${path}`)) return;
    const facts = await host.stat(path);
    const mode = facts ? { mode: facts.mode } : {};
    await journal.record({ kind: 'folder', path, existed: facts !== undefined, kept: await host.list(path), ...mode });
    if (!facts) ownFolders.add(path);
  };
  const recordPath = async (path: string) => {
    if (!journal.has(`path:${path}`) && !isInOwnFolder(path)) {
      await journal.record({ kind: 'path', path, previous: await previousOf(host, path) });
    }
  };
  return {
    host,
    journal,
    async file(path, content, options = {}) {
      const mode = options.mode ?? 0o644;
      const wanted = Buffer.from(content);
      const facts = await host.stat(path);
      if (facts?.type === 'file' && facts.mode === mode && (await host.readFile(path))?.equals(wanted)) return false;
      await parents(path);
      await recordPath(path);
      await host.writeFile(path, wanted, { ...options, mode });
      return true;
    },
    async link(path, target) {
      if ((await host.stat(path))?.target === target) return false;
      await parents(path);
      await recordPath(path);
      await host.symlink(path, target);
      return true;
    },
    async removeFile(path) {
      if (!(await exists(host, path))) return false;
      await recordPath(path);
      await host.remove(path);
      return true;
    },
    async folder(path, mode) {
      const existed = await exists(host, path);
      if (!journal.has(`folder:${path}`)) {
        if (!existed) await parents(path);
        await recordFolder(path);
      }
      if (existed) {
        const now = (await host.stat(path))?.mode ?? 0;
        if (mode === undefined || (now & ~mode) === 0) return false;
        // Somebody else made it for us, more open than it should be; the journal knows how it was.
        await runOrFail(host, 'chmod', [mode.toString(8).padStart(4, '0'), path]);
        return true;
      }
      await host.makeDirectory(path, mode ?? 0o755);
      return true;
    },
    async owner(path, { uid, gid, mode }) {
      const now = await host.stat(path);
      if (!now || now.type === 'symlink') return false;
      const wanted = mode ?? now.mode;
      if (now.uid === uid && now.gid === gid && now.mode === wanted) return false;
      // What kinit has made goes away altogether, and what it has replaced comes back as it was.
      if (!isInOwnFolder(path) && !ownFolders.has(path) && !journal.has(`path:${path}`))
        await journal.record({ kind: 'owner', path, uid: now.uid, gid: now.gid, mode: now.mode });
      if (now.uid !== uid || now.gid !== gid) await host.setOwner(path, uid, gid);
      // A change of the owner may take bits away.
      if (now.mode !== wanted) await runOrFail(host, 'chmod', [wanted.toString(8).padStart(4, '0'), path]);
      return true;
    },
    async claim(path, as) {
      if (as === 'folder') return recordFolder(path);
      if (as === 'file') return recordPath(path);
      if (!(await exists(host, path))) await journal.record({ kind: 'parent', path });
    },
    async rememberSysctl(key) {
      const previous = (await readText(host, sysctlPath(key)))?.trim();
      if (previous !== undefined) await journal.record({ kind: 'sysctl', key, previous });
    },
    async sysctl(key, value) {
      const path = sysctlPath(key);
      const current = (await readText(host, path))?.trim();
      if (current === undefined) {
        throw new KinitError('Command', `the kernel has no setting ${key}`, {
          seen: `${path} does not exist`,
          advice: key.startsWith('net.bridge') ? 'load the module br_netfilter' : 'check the kernel version',
        });
      }
      if (current.split(/\s+/).join(' ') === value) return false;
      await journal.record({ kind: 'sysctl', key, previous: current });
      await host.writeKernel(path, `${value}\n`);
      const seen = (await readText(host, path))?.trim().split(/\s+/).join(' ');
      if (seen !== value) {
        throw new KinitError('Command', `${key} stayed ${seen} although ${value} was written`, {
          advice: 'check what else sets it on this host',
        });
      }
      return true;
    },
    async unit(name, { enabled, active }) {
      const before = await unitState(host, name);
      const isEnabled = before.enablement === 'enabled' || before.enablement === 'static';
      if (isEnabled === enabled && before.active === active) return false;
      await journal.record({ kind: 'unit', unit: name, ...before });
      if (before.enablement === 'masked') await runOrFail(host, 'systemctl', ['unmask', name]);
      if (!isEnabled && !before.active && enabled && active) {
        await runOrFail(host, 'systemctl', ['enable', '--now', name], {
          advice: `look at: journalctl -u ${name} -n 50`,
        });
        return true;
      }
      if (isEnabled !== enabled) await runOrFail(host, 'systemctl', [enabled ? 'enable' : 'disable', name]);
      if (before.active !== active) {
        await runOrFail(host, 'systemctl', [active ? 'start' : 'stop', name], {
          advice: `look at: journalctl -u ${name} -n 50`,
        });
      }
      return true;
    },
  };
}
