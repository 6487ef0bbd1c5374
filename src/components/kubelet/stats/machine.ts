/** What the kernel tells of the whole machine: processor, memory, network, file systems, processes. */
import { readFile, statfs } from 'node:fs/promises';
import { text } from './cgroups.ts';

const ticksPerSecond = 100;
const nanosecondsPerTick = 1e9 / ticksPerSecond;

/** Time all processors have worked since the start, without waiting. */
export async function cpuNanoseconds(): Promise<number> {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (await readFile('/proc/stat', 'utf8'))
    .split('\n')[0]!
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * nanosecondsPerTick;
}

export interface MachineMemory {
  totalBytes: number;
  usageBytes: number;
  workingSetBytes: number;
  availableBytes: number;
  rssBytes: number;
  swapTotalBytes: number;
  swapFreeBytes: number;
  pageFaults: number;
  majorPageFaults: number;
}

export async function machineMemory(): Promise<MachineMemory> {
  const facts = lines(await readFile('/proc/meminfo', 'utf8'), /:\s+/, 1024);
  const faults = lines((await text('/proc/vmstat')) ?? '', ' ', 1);
  const total = facts['MemTotal'] ?? 0;
  const usage = total - (facts['MemFree'] ?? 0);
  const workingSet = Math.max(0, usage - (facts['Inactive(file)'] ?? 0));
  return {
    totalBytes: total,
    usageBytes: usage,
    workingSetBytes: workingSet,
    availableBytes: total - workingSet,
    rssBytes: facts['AnonPages'] ?? 0,
    swapTotalBytes: facts['SwapTotal'] ?? 0,
    swapFreeBytes: facts['SwapFree'] ?? 0,
    pageFaults: faults['pgfault'] ?? 0,
    majorPageFaults: faults['pgmajfault'] ?? 0,
  };
}

const lines = (table: string, separator: string | RegExp, factor: number): Record<string, number> =>
  Object.fromEntries(
    table
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(separator))
      .map(([key = '', value = '0']) => [key, Number.parseInt(value, 10) * factor]),
  );

export interface NetworkInterface {
  name: string;
  rxBytes: number;
  rxErrors: number;
  rxPackets: number;
  rxDropped: number;
  txBytes: number;
  txErrors: number;
  txPackets: number;
  txDropped: number;
}

/** Of no interest, as for upstream: the loopback and the host's ends of containers' links. */
const ignored = /^(lo|veth|docker|nerdctl)/;

/** @param pid of a process in the network namespace, or `self` */
export async function networkInterfaces(pid: number | 'self'): Promise<NetworkInterface[]> {
  const table = (await text(`/proc/${pid}/net/dev`)) ?? '';
  return table
    .split('\n')
    .slice(2)
    .filter(Boolean)
    .map((line) => {
      const [name = '', numbers = ''] = line.split(/:\s*/);
      const [
        rxBytes = 0,
        rxPackets = 0,
        rxErrors = 0,
        rxDropped = 0,
        ,
        ,
        ,
        ,
        txBytes = 0,
        txPackets = 0,
        txErrors = 0,
        txDropped = 0,
      ] = numbers.trim().split(/\s+/).map(Number);
      return { name: name.trim(), rxBytes, rxErrors, rxPackets, rxDropped, txBytes, txErrors, txPackets, txDropped };
    })
    .filter(({ name }) => !ignored.test(name));
}

export interface FileSystem {
  time: string;
  availableBytes: number;
  capacityBytes: number;
  usedBytes: number;
  inodesFree: number;
  inodes: number;
  inodesUsed: number;
}

export async function fileSystem(path: string): Promise<FileSystem> {
  const { bavail, blocks, bfree, bsize, ffree, files } = await statfs(path);
  return {
    time: goTime(),
    availableBytes: bavail * bsize,
    capacityBytes: blocks * bsize,
    usedBytes: (blocks - bfree) * bsize,
    inodesFree: ffree,
    inodes: files,
    inodesUsed: files - ffree,
  };
}

export async function processLimits(): Promise<{ time: string; maxpid: number; curproc: number }> {
  const [pidMax, threadsMax, load] = await Promise.all([
    readFile('/proc/sys/kernel/pid_max', 'utf8'),
    readFile('/proc/sys/kernel/threads-max', 'utf8'),
    readFile('/proc/loadavg', 'utf8'),
  ]);
  const running = Number(load.split(' ')[3]?.split('/')[1] ?? 0);
  return { time: goTime(), maxpid: Math.min(Number(pidMax), Number(threadsMax)), curproc: running };
}

/** Seconds, as times in the summary have them. */
export const goTime = (date = new Date()): string => date.toISOString().replace(/\.\d+Z$/, 'Z');
