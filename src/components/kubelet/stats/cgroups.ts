/** What control groups, versions 1 and 2, tell of processor, memory and processes. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const mountPoint = '/sys/fs/cgroup';

export interface CgroupUsage {
  cpuNanoseconds?: number;
  memoryBytes?: number;
  workingSetBytes?: number;
  rssBytes?: number;
  cacheBytes?: number;
  swapBytes?: number;
  pageFaults?: number;
  majorPageFaults?: number;
  /** Absent: none. */
  memoryLimitBytes?: number;
  processes?: number;
}

/** Version 1 has one tree per controller. */
const folderOf = (controller: string, root: string): string =>
  existsSync(join(root, 'cgroup.controllers')) ? root : join(root, controller);

/** @param path below the root, for example `/kubepods/burstable` */
export async function cgroupUsage(path: string, root = mountPoint): Promise<CgroupUsage> {
  const unified = existsSync(join(root, 'cgroup.controllers'));
  const read = (controller: string, file: string) => text(join(folderOf(controller, root), path, file));
  if (unified) {
    const [cpu, memory, stat, swap, limit, pids] = await Promise.all(
      ['cpu.stat', 'memory.current', 'memory.stat', 'memory.swap.current', 'memory.max', 'pids.current'].map((file) =>
        read('', file),
      ),
    );
    const usec = table(cpu)['usage_usec'];
    const facts = table(stat);
    return usage(usec === undefined ? undefined : usec * 1000, number(memory), number(limit), number(pids), {
      inactiveFile: facts['inactive_file'],
      rss: facts['anon'],
      cache: facts['file'],
      swap: number(swap),
      faults: facts['pgfault'],
      majorFaults: facts['pgmajfault'],
    });
  }
  const [cpu, memory, stat, limit, pids] = await Promise.all([
    read('cpuacct', 'cpuacct.usage'),
    read('memory', 'memory.usage_in_bytes'),
    read('memory', 'memory.stat'),
    read('memory', 'memory.limit_in_bytes'),
    read('pids', 'pids.current'),
  ]);
  const facts = table(stat);
  return usage(number(cpu), number(memory), number(limit), number(pids), {
    inactiveFile: facts['total_inactive_file'],
    rss: facts['total_rss'],
    cache: facts['total_cache'],
    swap: facts['total_swap'],
    faults: facts['total_pgfault'],
    majorFaults: facts['total_pgmajfault'],
  });
}

/** Limits above this are version 1's way of saying "none". */
const noLimit = 2 ** 62;

function usage(
  cpu: number | undefined,
  memory: number | undefined,
  limit: number | undefined,
  pids: number | undefined,
  facts: Record<'inactiveFile' | 'rss' | 'cache' | 'swap' | 'faults' | 'majorFaults', number | undefined>,
): CgroupUsage {
  return {
    ...(cpu === undefined ? {} : { cpuNanoseconds: cpu }),
    ...(memory === undefined
      ? {}
      : { memoryBytes: memory, workingSetBytes: Math.max(0, memory - (facts.inactiveFile ?? 0)) }),
    ...(facts.rss === undefined ? {} : { rssBytes: facts.rss }),
    ...(facts.cache === undefined ? {} : { cacheBytes: facts.cache }),
    ...(facts.swap === undefined ? {} : { swapBytes: facts.swap }),
    ...(facts.faults === undefined ? {} : { pageFaults: facts.faults }),
    ...(facts.majorFaults === undefined ? {} : { majorPageFaults: facts.majorFaults }),
    ...(limit === undefined || limit > noLimit ? {} : { memoryLimitBytes: limit }),
    ...(pids === undefined ? {} : { processes: pids }),
  };
}

/** The groups of pods below `/kubepods` (or `/kubepods.slice`): pod uid → path. */
export async function podCgroups(podsCgroup: string, root = mountPoint): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const scan = async (path: string, depth: number): Promise<void> => {
    for (const name of await folders(join(folderOf('memory', root), path))) {
      const uid = podUidOf(name);
      if (uid) found.set(uid, `${path}/${name}`);
      else if (depth > 0 && /burstable|besteffort/.test(name)) await scan(`${path}/${name}`, depth - 1);
    }
  };
  await scan(podsCgroup, 1);
  return found;
}

/** `pod<uid>`, or `kubepods-burstable-pod<uid>.slice` with underscores in the uid. */
function podUidOf(name: string): string | undefined {
  const plain = /^pod([0-9a-f-]+)$/.exec(name)?.[1];
  return plain ?? /-pod([0-9a-f_]+)\.slice$/.exec(name)?.[1]?.replaceAll('_', '-');
}

/** Any process of a group or of the groups below it. */
export async function processOf(path: string, root = mountPoint): Promise<number | undefined> {
  const base = join(folderOf('memory', root), path);
  const own = number((await text(join(base, 'cgroup.procs')))?.split('\n')[0]);
  if (own) return own;
  for (const name of await folders(base)) {
    const pid = await processOf(`${path}/${name}`, root);
    if (pid) return pid;
  }
  return undefined;
}

async function folders(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Groups come and go: what is not there is not known. */
export async function text(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'ENOTDIR', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined;
    throw error;
  }
}

function number(value: string | undefined): number | undefined {
  const trimmed = value?.trim();
  return trimmed && /^\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}

const table = (value: string | undefined): Record<string, number> =>
  Object.fromEntries(
    (value ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' '))
      .map(([key, amount]) => [key, Number(amount)]),
  );
