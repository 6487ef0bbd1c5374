/** A host that keeps writes in memory and runs only commands that look: what a dry run and `--dry-run` output are made of. */
import { basename, dirname } from 'node:path';
import type { WrittenFile } from './differences.ts';
import type { FileFacts, Host } from './host.ts';

export interface PlannedChange {
  action: 'write' | 'remove' | 'link' | 'run' | 'set' | 'create' | 'change' | 'add';
  what: string;
  /** Of objects of the cluster; that of files is told by `written`. */
  difference?: string;
}

export interface DryRunHost extends Host {
  readonly planned: PlannedChange[];
  /** Files that would be there with another content. */
  written(): Promise<WrittenFile[]>;
  /** Files that would be made and removed again. */
  passing(): Promise<Set<string>>;
}

type Overlay = { facts: FileFacts; content?: Buffer } | 'removed';

/** Layers an overlay over `real`; `planned` collects what would have been done. */
export function dryRunHost(real: Host): DryRunHost {
  const overlay = new Map<string, Overlay>();
  const planned: PlannedChange[] = [];
  const hidden = (path: string) => {
    for (let at = path; at !== '/' && at !== '.'; at = dirname(at)) if (overlay.get(at) === 'removed') return true;
    return false;
  };
  const facts = (type: FileFacts['type'], mode: number, size = 0): FileFacts => ({ type, mode, uid: 0, gid: 0, size });
  const put = (path: string, content: Buffer, mode: number) =>
    overlay.set(path, { facts: facts('file', mode, content.length), content });
  return {
    dryRun: true,
    planned,
    async written() {
      const paths = [...new Set(planned.filter(({ action }) => action === 'write').map(({ what }) => what))];
      const files: WrittenFile[] = [];
      for (const path of paths) {
        const entry = overlay.get(path);
        if (!entry || entry === 'removed' || !entry.content) continue;
        files.push({ path, before: await real.readFile(path), after: entry.content, mode: entry.facts.mode });
      }
      return files;
    },
    async passing() {
      const removed = new Set(planned.filter(({ action }) => action === 'remove').map(({ what }) => what));
      const paths = planned.filter(({ action, what }) => action === 'write' && removed.has(what));
      const found = new Set<string>();
      for (const { what } of paths) if (overlay.get(what) === 'removed' && !(await real.stat(what))) found.add(what);
      return found;
    },
    async readFile(path) {
      const found = overlay.get(path);
      if (found && found !== 'removed') return found.content;
      return hidden(path) ? undefined : real.readFile(path);
    },
    async stat(path) {
      const found = overlay.get(path);
      if (found && found !== 'removed') return found.facts;
      return hidden(path) ? undefined : real.stat(path);
    },
    async list(path) {
      const names = new Set(hidden(path) ? [] : await real.list(path));
      for (const [at, entry] of overlay) {
        if (dirname(at) !== path) continue;
        if (entry === 'removed') names.delete(basename(at));
        else names.add(basename(at));
      }
      return [...names].sort();
    },
    async writeFile(path, content, { mode = 0o644 } = {}) {
      planned.push({ action: 'write', what: path });
      put(path, Buffer.from(content), mode);
    },
    async writeNewFile(path, content) {
      if (await this.stat(path)) return false;
      await this.writeFile(path, content);
      return true;
    },
    async appendFile(path, content, mode = 0o600) {
      put(path, Buffer.concat([(await this.readFile(path)) ?? Buffer.alloc(0), Buffer.from(content)]), mode);
    },
    async writeKernel(path, value) {
      planned.push({ action: 'set', what: `${path} = ${value.trim()}` });
      put(path, Buffer.from(value), 0o644);
    },
    async symlink(path, target) {
      planned.push({ action: 'link', what: `${path} -> ${target}` });
      overlay.set(path, { facts: { ...facts('symlink', 0o777), target } });
    },
    async makeDirectory(path, mode = 0o755) {
      if (!(await this.stat(path))) overlay.set(path, { facts: facts('directory', mode) });
    },
    async setOwner(path, uid, gid) {
      const found = await this.stat(path);
      if (!found) return;
      // Of what would be made it goes without saying.
      if (!overlay.has(path)) planned.push({ action: 'set', what: `owner of ${path} = ${uid}:${gid}` });
      const before = overlay.get(path);
      const content =
        before && before !== 'removed' ? before.content : found.type === 'file' ? await real.readFile(path) : undefined;
      overlay.set(path, { facts: { ...found, uid, gid }, ...(content ? { content } : {}) });
    },
    async remove(path) {
      if (!(await this.stat(path))) return;
      planned.push({ action: 'remove', what: path });
      for (const at of [...overlay.keys()]) if (at.startsWith(`${path}/`)) overlay.delete(at);
      overlay.set(path, 'removed');
    },
    async removeEmptyDirectory(path) {
      if ((await this.stat(path)) && (await this.list(path)).length === 0) overlay.set(path, 'removed');
    },
    async run(command, args, options) {
      if (options?.observe) return real.run(command, args, options);
      planned.push({ action: 'run', what: [command, ...args].join(' ') });
      return { exitCode: 0, stdout: '', stderr: '' };
    },
    timeSyncs: (folder, options) => real.timeSyncs(folder, options),
  };
}
