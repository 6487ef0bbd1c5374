/** A control group per host, in every version 1 hierarchy or in the unified one: hosts do not see each other's groups. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = '/sys/fs/cgroup';
const parent = 'kinit-lab';

/** The hierarchies that a host gets a group in. */
function hierarchies(): string[] {
  if (existsSync(join(root, 'cgroup.controllers'))) return [root];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name));
}

/** Makes the groups; answers the files that a process writes itself into to belong to them. */
export async function makeHostCgroups(name: string): Promise<string[]> {
  const files: string[] = [];
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, parent, name);
    await mkdir(group, { recursive: true });
    if (existsSync(join(group, 'cpuset.cpus'))) {
      for (const setting of ['cpuset.cpus', 'cpuset.mems']) {
        const inherited = await readFile(join(hierarchy, setting), 'utf8');
        for (const level of [join(hierarchy, parent), group]) await writeFile(join(level, setting), inherited);
      }
    }
    files.push(join(group, 'cgroup.procs'));
  }
  return files;
}

/** Removes the groups of a host, deepest first; processes in them must have ended. */
export async function removeHostCgroups(name: string): Promise<void> {
  for (const hierarchy of hierarchies()) {
    await removeTree(join(hierarchy, parent, name));
    await rmdir(join(hierarchy, parent)).catch(ignoreMissingOrBusy);
  }
}

async function removeTree(group: string): Promise<void> {
  if (!existsSync(group)) return;
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) await removeTree(join(group, entry.name));
  await rmdir(group).catch(ignoreMissingOrBusy);
}

function ignoreMissingOrBusy(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT' && error.code !== 'EBUSY' && error.code !== 'ENOTEMPTY') throw error;
}

/** Stops all processes of a host where they are, or lets them go on: to others it is a host that hangs. */
export async function setFrozen(name: string, frozen: boolean): Promise<void> {
  const unified = join(root, parent, name, 'cgroup.freeze');
  const separate = join(root, 'freezer', parent, name, 'freezer.state');
  if (existsSync(unified)) await writeFile(unified, frozen ? '1' : '0');
  else if (existsSync(separate)) await writeFile(separate, frozen ? 'FROZEN' : 'THAWED');
}

/** Ids of all processes in a host's groups. */
export async function hostProcesses(name: string): Promise<number[]> {
  const found = new Set<number>();
  const visit = async (group: string) => {
    const text = await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const line of text.split('\n')) if (line) found.add(Number(line));
    if (!existsSync(group)) return;
    for (const entry of readdirSync(group, { withFileTypes: true }))
      if (entry.isDirectory()) await visit(join(group, entry.name));
  };
  for (const hierarchy of hierarchies()) await visit(join(hierarchy, parent, name));
  return [...found];
}
