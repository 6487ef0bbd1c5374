/** Whether something keeps the clock: certificates, leases and tokens depend on it. kinit only looks. */
import type { Host } from './host.ts';

const services = ['chronyd', 'chrony', 'systemd-timesyncd', 'ntpd', 'ntp', 'ntpsec', 'openntpd', 'vmtoolsd'];

/** The service that keeps time, or undefined. Containers (nspawn, LXC) have their host's clock. */
export async function timeKeeper(host: Host): Promise<string | undefined> {
  const virtual = await host.run('systemd-detect-virt', ['--container'], { observe: true });
  if (virtual.exitCode === 0) return `the host of this ${virtual.stdout.trim()} container`;
  const { stdout } = await host.run('systemctl', ['is-active', ...services], { observe: true });
  const states = stdout.split('\n');
  return services.find((_, index) => states[index]?.trim() === 'active');
}
