/** Swap off: now, in fstab, and in the systemd units that would bring it back. */
import { KinitError } from '../errors.ts';
import type { Changes } from './changes.ts';
import { type Host, readText, runOrFail } from './host.ts';

export interface SwapDevice {
  device: string;
  priority: number;
}

export async function activeSwap(host: Host): Promise<SwapDevice[]> {
  const lines = ((await readText(host, '/proc/swaps')) ?? '').trim().split('\n').slice(1);
  return lines.map((line) => {
    const fields = line.trim().split(/\s+/);
    return { device: fields[0]!.replace(/\\040/g, ' '), priority: Number(fields[4]) };
  });
}

const marker = '# kinit: swap is off for the kubelet: ';

/** fstab with its swap lines commented out; other lines are kept byte by byte. */
export function withoutSwap(fstab: string): string {
  return fstab
    .split('\n')
    .map((line) => (/^\s*[^#\s]\S*\s+\S+\s+swap(\s|$)/.test(line) ? `${marker}${line}` : line))
    .join('\n');
}

/** systemd units of active swap: masked, since generators (zram, GPT partitions) would start them again at boot. */
async function swapUnits(host: Host): Promise<string[]> {
  const { stdout, exitCode } = await host.run(
    'systemctl',
    ['list-units', '--type=swap', '--all', '--plain', '--no-legend'],
    { observe: true },
  );
  if (exitCode !== 0) return [];
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[0]?.endsWith('.swap') && fields[2] === 'active')
    .map((fields) => fields[0]!);
}

export async function turnSwapOff(changes: Changes): Promise<boolean> {
  const { host, journal } = changes;
  let changed = false;
  const active = await activeSwap(host);
  const units = active.length ? await swapUnits(host) : [];
  for (const { device, priority } of active) {
    await journal.record({ kind: 'swap', device, priority });
    await runOrFail(host, 'swapoff', [device], {
      timeoutMs: 300_000,
      advice: 'free memory on this host, or keep swap with --swap=keep',
    });
    changed = true;
  }
  for (const unit of units) {
    // `.swap` units of fstab lines go with the line; the others would come back.
    const link = `/etc/systemd/system/${unit}`;
    if (await changes.link(link, '/dev/null')) changed = true;
  }
  const fstab = await readText(host, '/etc/fstab');
  if (fstab !== undefined) {
    const facts = await host.stat('/etc/fstab');
    const { mode, uid, gid } = facts!;
    if (await changes.file('/etc/fstab', withoutSwap(fstab), { mode, uid, gid })) changed = true;
  }
  if (changed && units.length) await host.run('systemctl', ['daemon-reload']);
  if (!host.dryRun && (await activeSwap(host)).length) {
    throw new KinitError('Command', 'swap is still on', {
      seen: (await readText(host, '/proc/swaps')) ?? '',
      advice: 'turn it off by hand, or keep it with --swap=keep',
    });
  }
  return changed;
}
