/**
 * Slices of the service manager: made and changed over its bus, as what is written past it into control groups is lost with
 * its next reload.
 */
import { run } from '../../../machinery/process/run.ts';
import type { LinuxContainerResources } from '../cri/types.ts';
import { sharesToWeight } from './resources.ts';

/** `[name, type, value]` as busctl takes them. */
type Property = [name: string, type: 'b' | 's' | 't', value: string];

/** Makes the slice, with those above it, or changes it when it is there. */
export async function setSlice(name: string, resources: LinuxContainerResources, version: 1 | 2): Promise<void> {
  const limits = limitProperties(resources, version);
  const accounting = ['CPUAccounting', 'MemoryAccounting', 'TasksAccounting'].map((on): Property => [on, 'b', 'true']);
  const made = await call(
    'StartTransientUnit',
    'ssa(sv)a(sa(sv))',
    name,
    'replace',
    ...list([...accounting, ...limits]),
    '0',
  );
  if (made.code === 0 || !limits.length) return;
  const set = await call('SetUnitProperties', 'sba(sv)', name, 'true', ...list(limits));
  if (set.code !== 0) throw new Error(`cannot set limits of ${name}: ${set.stderr.trim()}`);
}

/** Shares and limits under the names of systemd.resource-control(5). */
export function limitProperties(resources: LinuxContainerResources, version: 1 | 2): Property[] {
  const { cpuShares, cpuQuota, cpuPeriod = 100_000, memoryLimitInBytes } = resources;
  const properties: Property[] = [];
  if (cpuShares)
    properties.push(
      version === 2 ? ['CPUWeight', 't', String(sharesToWeight(cpuShares))] : ['CPUShares', 't', String(cpuShares)],
    );
  if (cpuQuota && cpuQuota > 0) {
    // Whole hundredths of a second, rounded up: the service manager knows no finer ones.
    const perSecond = Math.ceil((cpuQuota * 1_000_000) / cpuPeriod / 10_000) * 10_000;
    properties.push(['CPUQuotaPerSecUSec', 't', String(perSecond)]);
  }
  if (memoryLimitInBytes)
    properties.push([version === 2 ? 'MemoryMax' : 'MemoryLimit', 't', String(memoryLimitInBytes)]);
  return properties;
}

const list = (properties: Property[]) => [String(properties.length), ...properties.flat()];

const call = (method: string, signature: string, ...values: string[]) =>
  run('busctl', [
    'call',
    'org.freedesktop.systemd1',
    '/org/freedesktop/systemd1',
    'org.freedesktop.systemd1.Manager',
    method,
    signature,
    ...values,
  ]);
