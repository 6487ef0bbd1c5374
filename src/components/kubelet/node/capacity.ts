/** What the machine has, and what of it pods may use. */
import { readdir, readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import {
  formatQuantity,
  parseQuantity,
  type Quantity,
  quantityOf,
  subtractQuantities,
} from '../../../machinery/api/quantity.ts';
import type { Configuration } from '../config/settings.ts';

export interface Machine {
  cpus: number;
  memoryBytes: number;
  swapBytes: number;
  /** Page size in bytes → number of pages. */
  hugepages: Map<number, number>;
  /** Of the file system with the pods' writable data. */
  diskBytes: number;
  pidLimit: number;
}

/** @param rootDir on the file system whose size is reported as ephemeral storage */
export async function inspectMachine(rootDir: string): Promise<Machine> {
  const meminfo = await readFile('/proc/meminfo', 'utf8');
  const disk = await statfs(rootDir);
  return {
    // What the machine has, not what this process may use.
    cpus: cpus().length || availableParallelism(),
    memoryBytes: meminfoBytes(meminfo, 'MemTotal') ?? 0,
    swapBytes: meminfoBytes(meminfo, 'SwapTotal') ?? 0,
    hugepages: await readHugepages(),
    diskBytes: disk.blocks * disk.bsize,
    pidLimit: await readPidLimit(),
  };
}

export function meminfoBytes(text: string, field: string): number | undefined {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text);
  return match ? Number(match[1]) * 1024 : undefined;
}

async function readHugepages(): Promise<Map<number, number>> {
  const folder = '/sys/kernel/mm/hugepages';
  const pages = new Map<number, number>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const size = /^hugepages-(\d+)kB$/.exec(name)?.[1];
    if (size) pages.set(Number(size) * 1024, Number(await readFile(join(folder, name, 'nr_hugepages'), 'utf8')));
  }
  return pages;
}

async function readPidLimit(): Promise<number> {
  const [pidMax, threadsMax] = await Promise.all(
    ['pid_max', 'threads-max'].map(async (name) => Number(await readFile(`/proc/sys/kernel/${name}`, 'utf8'))),
  );
  return Math.min(pidMax ?? 0, threadsMax ?? 0);
}

const bytes = (value: number): Quantity => quantityOf(value, 'BinarySI');

export function capacityOf(machine: Machine, configuration: Configuration): Record<string, Quantity> {
  const byCore = configuration.podsPerCore * machine.cpus;
  const capacity: Record<string, Quantity> = {
    cpu: quantityOf(machine.cpus),
    'ephemeral-storage': bytes(machine.diskBytes),
  };
  for (const [size, count] of [...machine.hugepages].sort(([a], [b]) => b - a))
    capacity[`hugepages-${formatQuantity(bytes(size))}`] = bytes(size * count);
  capacity['memory'] = bytes(machine.memoryBytes);
  capacity['pods'] = quantityOf(byCore > 0 ? Math.min(byCore, configuration.maxPods) : configuration.maxPods);
  return capacity;
}

/** Capacity less what is reserved for the system and the kubelet, and what eviction keeps free. */
export function allocatableOf(
  capacity: Record<string, Quantity>,
  configuration: Configuration,
): Record<string, Quantity> {
  const allocatable: Record<string, Quantity> = {};
  const signals: Record<string, string> = { memory: 'memory.available', 'ephemeral-storage': 'nodefs.available' };
  for (const [name, total] of Object.entries(capacity)) {
    let left = total;
    for (const reserved of [configuration.systemReserved[name], configuration.kubeReserved[name]])
      if (reserved !== undefined) left = subtractQuantities(left, parseQuantity(reserved));
    const threshold = configuration.evictionHard[signals[name] ?? ''];
    if (threshold !== undefined) left = subtractQuantities(left, thresholdOf(threshold, total));
    if (name === 'memory')
      for (const [page, size] of Object.entries(capacity))
        if (page.startsWith('hugepages-')) left = subtractQuantities(left, size);
    allocatable[name] = left.nano < 0n ? { ...left, nano: 0n } : left;
  }
  return allocatable;
}

/** `10%` of the whole, or a quantity. */
export function thresholdOf(text: string, whole: Quantity): Quantity {
  const percent = /^([\d.]+)%$/.exec(text)?.[1];
  if (percent === undefined) return parseQuantity(text);
  // Upstream computes with 32-bit floats.
  const fraction = Math.fround(Math.fround(Number(percent)) / 100);
  return { nano: BigInt(Math.floor((Number(whole.nano) / 1e9) * fraction)) * 1_000_000_000n, format: 'BinarySI' };
}
