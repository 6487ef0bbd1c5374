/** SELinux permissive, now and at the next boot. */
import type { Changes } from './changes.ts';
import { exists, readText, runOrFail } from './host.ts';

const configPath = '/etc/selinux/config';
const enforcePath = '/sys/fs/selinux/enforce';

export function permissiveConfig(config: string): string {
  return config.replace(/^(\s*SELINUX\s*=\s*)enforcing\s*$/m, '$1permissive');
}

export async function makeSelinuxPermissive(changes: Changes): Promise<boolean> {
  const { host, journal } = changes;
  let changed = false;
  const config = await readText(host, configPath);
  if (config !== undefined) {
    const { mode, uid, gid } = (await host.stat(configPath))!;
    const target = (await host.stat(configPath))?.type === 'symlink' ? undefined : configPath;
    if (target && (await changes.file(target, permissiveConfig(config), { mode, uid, gid }))) changed = true;
  }
  if ((await exists(host, enforcePath)) && (await readText(host, enforcePath))?.trim() === '1') {
    await journal.record({ kind: 'selinux', previous: 'Enforcing' });
    await runOrFail(host, 'setenforce', ['0'], { advice: 'leave SELinux alone with --selinux=keep' });
    changed = true;
  }
  return changed;
}
