/** Kernel modules that pods' networking and images need: loaded now and at every boot. */
import { KinitError } from '../errors.ts';
import type { Changes } from './changes.ts';
import { exists, type Host, readText } from './host.ts';

export const neededModules = ['overlay', 'br_netfilter'] as const;
const loadPath = '/etc/modules-load.d/k8s.conf';

/** Something that is there only when the module is loaded or built in. */
const evidence: Record<string, (host: Host) => Promise<boolean>> = {
  overlay: async (host) => /^\s*(nodev)?\s*overlay$/m.test((await readText(host, '/proc/filesystems')) ?? ''),
  br_netfilter: (host) => exists(host, '/proc/sys/net/bridge/bridge-nf-call-iptables'),
};

export async function isLoaded(host: Host, module: string): Promise<boolean> {
  if (await exists(host, `/sys/module/${module}`)) return true;
  return (await evidence[module]?.(host)) ?? false;
}

export async function loadModules(changes: Changes): Promise<boolean> {
  const { host, journal } = changes;
  let changed = await changes.file(loadPath, `${neededModules.join('\n')}\n`);
  for (const name of neededModules) {
    if (await isLoaded(host, name)) continue;
    await journal.record({ kind: 'module', name });
    const result = await host.run('modprobe', [name]);
    if (!host.dryRun && !(await isLoaded(host, name))) {
      throw new KinitError('Command', `the kernel module ${name} cannot be loaded`, {
        seen: result.stderr || `modprobe ${name} ended with ${result.exitCode}, but the module is not there`,
        advice:
          "install the kernel's modules (apt: linux-modules-extra or linux-image; rpm: kernel-modules) and reboot into that kernel",
      });
    }
    changed = true;
  }
  return changed;
}
