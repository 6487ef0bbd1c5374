/** Kernel settings for pods' traffic: now and at every boot. */
import type { Changes } from './changes.ts';
import { sysctlPath } from './changes.ts';
import { exists } from './host.ts';

export const neededSettings: Record<string, string> = {
  'net.bridge.bridge-nf-call-iptables': '1',
  'net.bridge.bridge-nf-call-ip6tables': '1',
  'net.ipv4.ip_forward': '1',
};

/** Set where the kernel has them: hosts without IPv6 do not. */
export const optionalSettings: Record<string, string> = { 'net.ipv6.conf.all.forwarding': '1' };

/** Sorted among the files of other programs by its name. */
export const settingsPath = '/etc/sysctl.d/99-kubernetes.conf';

export async function applySettings(changes: Changes): Promise<boolean> {
  const wanted = { ...neededSettings };
  for (const [key, value] of Object.entries(optionalSettings)) {
    if (await exists(changes.host, sysctlPath(key))) wanted[key] = value;
  }
  const text = Object.entries(wanted)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('');
  let changed = await changes.file(settingsPath, text);
  for (const [key, value] of Object.entries(wanted)) {
    if (changes.host.dryRun && !(await exists(changes.host, sysctlPath(key)))) continue;
    // Also when it is right already: what was there before kinit stays known, whoever changes it in between.
    await changes.rememberSysctl(key);
    if (await changes.sysctl(key, value)) changed = true;
  }
  return changed;
}
