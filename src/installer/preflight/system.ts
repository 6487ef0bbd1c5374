/** Kernel, cgroups and init system. */
import { exists } from '../host/host.ts';
import { type Check, error, type Finding, warning } from './check.ts';
import { kernelConfig } from './kernel-config.ts';

/** Kernel and cgroups, as kubeadm's SystemVerification; and systemd, which starts the kubelet. */
export const systemVerification: Check = async ({ host, facts }) => {
  const findings: Finding[] = [];
  const [major = 0, minor = 0] = facts.kernel.split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 10)) {
    findings.push(error('SystemVerification', `the kernel ${facts.kernel} is older than 3.10`));
  }
  if (facts.cgroupVersion === 1) {
    for (const controller of ['cpu', 'memory', 'pids']) {
      if (await exists(host, `/sys/fs/cgroup/${controller}`)) continue;
      findings.push(
        error(
          'SystemVerification',
          `the cgroup controller ${controller} is missing`,
          `/sys/fs/cgroup/${controller} does not exist`,
        ),
      );
    }
    findings.push(
      warning('SystemVerification', 'cgroups v1 support is in maintenance mode, please migrate to cgroups v2'),
    );
  }
  findings.push(...(await kernelConfig(host, facts.kernel)));
  if (!facts.systemd) findings.push(error('SystemVerification', 'PID 1 of this host is not systemd'));
  return findings;
};
