/** One cgroup driver for containerd and kubelet. */
import type { HostConfiguration } from '../config/types.ts';
import type { HostFacts } from './facts.ts';

export type CgroupDriver = 'systemd' | 'cgroupfs';

/**
 * systemd owns the one tree of cgroup v2, so there it has to make the cgroups. On cgroup v1 the drivers work side by
 * side; cgroupfs also works with old systemd (CentOS 7) and inside containers.
 * @param runtime what a runtime says that kinit does not configure
 */
export function chooseCgroupDriver(
  wanted: HostConfiguration['cgroupDriver'],
  facts: HostFacts,
  runtime?: CgroupDriver,
): CgroupDriver {
  if (wanted !== 'auto') return wanted;
  if (runtime) return runtime;
  return facts.systemd && facts.cgroupVersion === 2 ? 'systemd' : 'cgroupfs';
}
