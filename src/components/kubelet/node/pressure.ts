/** Memory, disk and process pressure: signals measured every ten seconds against the eviction thresholds. */
import { readFile, statfs } from 'node:fs/promises';
import { quantityOf, quantityValue } from '../../../machinery/api/quantity.ts';
import { parseDuration } from '../../../machinery/api/time.ts';
import type { Logger } from '../../../machinery/logging/logger.ts';
import type { Configuration } from '../config/settings.ts';
import { type Machine, meminfoBytes, thresholdOf } from './capacity.ts';
import type { Pressure } from './status.ts';

export interface Signal {
  available: number;
  capacity: number;
}
export type Signals = Partial<Record<string, Signal>>;

export interface PressureWatch {
  current(): Pressure;
  /** Signals whose hard thresholds (or soft ones for long enough) are met now. */
  met(): string[];
  signals(): Signals;
}

const intervalMs = 10_000;

const conditionOf: Record<string, keyof Pressure> = {
  'memory.available': 'memory',
  'allocatableMemory.available': 'memory',
  'nodefs.available': 'disk',
  'nodefs.inodesFree': 'disk',
  'imagefs.available': 'disk',
  'imagefs.inodesFree': 'disk',
  'containerfs.available': 'disk',
  'containerfs.inodesFree': 'disk',
  'pid.available': 'pid',
};

/** Names of signals below their threshold. */
export function belowThreshold(signals: Signals, thresholds: Record<string, string>): string[] {
  return Object.entries(thresholds)
    .filter(([name, text]) => {
      const signal = signals[name];
      if (!signal || signal.capacity <= 0) return false;
      return signal.available < quantityValue(thresholdOf(text, quantityOf(signal.capacity, 'BinarySI')));
    })
    .map(([name]) => name);
}

export function watchPressure(options: {
  configuration: Configuration;
  rootDir: string;
  machine: Machine;
  /** The file system that images are on. */
  imageFs?: () => Promise<(Signal & { inodes: number; inodesFree: number }) | undefined>;
  onChange(): void;
  onMet?(signals: string[]): void;
  log: Logger;
  signal: AbortSignal;
}): PressureWatch {
  const { configuration, rootDir, machine, onChange, log, signal } = options;
  const lastMet = new Map<keyof Pressure, number>();
  const softSince = new Map<string, number>();
  let signals: Signals = {};
  let met: string[] = [];
  let pressure: Pressure = { memory: false, disk: false, pid: false };

  const measure = async (): Promise<Signals> => {
    const meminfo = await readFile('/proc/meminfo', 'utf8');
    const disk = await statfs(rootDir);
    const loadavg = await readFile('/proc/loadavg', 'utf8');
    const processes = Number(/\d+\/(\d+)/.exec(loadavg)?.[1] ?? 0);
    const images = await options.imageFs?.();
    return {
      'memory.available': { available: meminfoBytes(meminfo, 'MemAvailable') ?? 0, capacity: machine.memoryBytes },
      'nodefs.available': { available: disk.bavail * disk.bsize, capacity: disk.blocks * disk.bsize },
      'nodefs.inodesFree': { available: disk.ffree, capacity: disk.files },
      'pid.available': { available: machine.pidLimit - processes, capacity: machine.pidLimit },
      ...(images
        ? {
            'imagefs.available': images,
            'imagefs.inodesFree': { available: images.inodesFree, capacity: images.inodes },
          }
        : {}),
    };
  };
  const look = async () => {
    signals = await measure();
    const now = Date.now();
    const hard = belowThreshold(signals, configuration.evictionHard);
    const below = belowThreshold(signals, configuration.evictionSoft);
    for (const name of softSince.keys()) if (!below.includes(name)) softSince.delete(name);
    for (const name of below) if (!softSince.has(name)) softSince.set(name, now);
    const soft = below.filter((name) => {
      const grace = parseDuration(configuration.evictionSoftGracePeriod[name] ?? '0s');
      return now - (softSince.get(name) ?? now) >= grace;
    });
    met = [...new Set([...hard, ...soft])];
    for (const name of [...hard, ...below]) {
      const condition = conditionOf[name];
      if (condition) lastMet.set(condition, now);
    }
    // A condition stays for a while, so that it does not flap.
    const holds = (condition: keyof Pressure) =>
      now - (lastMet.get(condition) ?? 0) < Math.max(configuration.evictionPressureTransitionPeriod, 1);
    const next: Pressure = { memory: holds('memory'), disk: holds('disk'), pid: holds('pid') };
    const changed = JSON.stringify(next) !== JSON.stringify(pressure);
    pressure = next;
    if (changed) onChange();
    if (met.length) options.onMet?.(met);
  };
  const tick = () => {
    look().catch((error: Error) => log.warn(`cannot measure resources: ${error.message}`));
  };
  const timer = setInterval(tick, intervalMs);
  signal.addEventListener('abort', () => clearInterval(timer));
  tick();
  return { current: () => pressure, met: () => met, signals: () => signals };
}
