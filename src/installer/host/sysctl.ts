/** Kernel settings: those that pods' traffic needs, and those of the configuration; now and at every boot. */
import { KinitError } from '../errors.ts';
import type { Changes } from './changes.ts';
import { sysctlPath } from './changes.ts';
import { exists, readText } from './host.ts';

export const neededSettings: Record<string, string> = {
  'net.bridge.bridge-nf-call-iptables': '1',
  'net.bridge.bridge-nf-call-ip6tables': '1',
  'net.ipv4.ip_forward': '1',
};

/** Set where the kernel has them: hosts without IPv6 do not. */
export const optionalSettings: Record<string, string> = { 'net.ipv6.conf.all.forwarding': '1' };

/** Sorted among the files of other programs by its name. */
export const settingsPath = '/etc/sysctl.d/99-kubernetes.conf';

export interface SettingsOptions {
  /** Beside those that Kubernetes needs. */
  given?: Record<string, string>;
  /** Those that kinit once set and that are not given any more go back to what they were. */
  prune?: boolean;
  /** Told of those that it would take back. */
  leftover?(what: string): void;
}

/** What `sysctl.d` files say. */
export const parseSettings = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, key, value] = /^\s*([^#;=\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      return key ? [[key, value ?? '']] : [];
    }),
  );

/** @throws KinitError Validation when a setting contradicts what pods need */
export function assertSettings(given: Record<string, string>): void {
  for (const [key, value] of Object.entries({ ...neededSettings, ...optionalSettings })) {
    if (given[key] === undefined || given[key] === value) continue;
    throw new KinitError('Validation', `HostConfiguration.sysctl: ${key} is ${given[key]}, but pods need ${value}`, {
      advice: 'leave it out; nothing was changed',
    });
  }
}

export async function applySettings(changes: Changes, options: SettingsOptions = {}): Promise<boolean> {
  const { given = {}, prune = false, leftover } = options;
  const { host, journal } = changes;
  const wanted = { ...neededSettings };
  for (const [key, value] of Object.entries(optionalSettings)) {
    if (await exists(host, sysctlPath(key))) wanted[key] = value;
  }
  for (const key of Object.keys(given)) {
    if (host.dryRun || (await exists(host, sysctlPath(key)))) continue;
    throw new KinitError('Validation', `the kernel has no parameter ${key}`, {
      seen: `${sysctlPath(key)} does not exist`,
      advice: 'correct HostConfiguration.sysctl (settings.sysctl of the inventory), or load the module that has it',
    });
  }
  const before = parseSettings((await readText(host, settingsPath)) ?? '');
  const own = { ...given };
  const gone: [string, string][] = [];
  for (const [key, value] of Object.entries(before)) {
    const entry = journal.entries.find((one) => one.kind === 'sysctl' && one.key === key);
    if (key in wanted || key in own || key in optionalSettings || entry?.kind !== 'sysctl') continue;
    if (prune) gone.push([key, entry.previous.split(/\s+/).join(' ')]);
    else {
      own[key] = value;
      leftover?.(`kernel parameter ${key} = ${value}`);
    }
  }
  for (const key of Object.keys(own).sort()) wanted[key] = own[key] ?? '';
  const text = Object.entries(wanted)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('');
  let changed = await changes.file(settingsPath, text);
  for (const [key, value] of [...Object.entries(wanted), ...gone]) {
    if (host.dryRun && !(await exists(host, sysctlPath(key)))) continue;
    // Also when it is right already: what was there before kinit stays known, whoever changes it in between.
    await changes.rememberSysctl(key);
    if (await changes.sysctl(key, value)) changed = true;
  }
  return changed;
}
