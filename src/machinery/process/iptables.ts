/** Chooses between the two iptables back ends as the host uses them. */
import { run } from './run.ts';

export interface Iptables {
  command: string;
  restore: string;
  save: string;
}

const names = (suffix: string): Iptables => ({
  command: `iptables${suffix}`,
  restore: `iptables${suffix}-restore`,
  save: `iptables${suffix}-save`,
});

/**
 * The back end that already holds the kubelet's or somebody's rules; where both are empty, nft when the kernel has it.
 * The plain `iptables` where the suffixed programs do not exist (a host with one back end only).
 */
export async function chooseIptables(): Promise<Iptables> {
  const count = async (suffix: string): Promise<number | undefined> => {
    try {
      const { code, stdout } = await run(names(suffix).save, ['-t', 'nat']);
      return code === 0 ? stdout.split('\n').filter((line) => line.startsWith('-A')).length : undefined;
    } catch {
      return undefined; // that program is not installed
    }
  };
  const nft = await count('-nft');
  const legacy = await count('-legacy');
  if (nft === undefined && legacy === undefined) return names('');
  if (nft === undefined) return names('-legacy');
  return legacy !== undefined && legacy > nft ? names('-legacy') : names('-nft');
}
