/** kinit-virtual-ip on a control plane: its unit. Which of the control planes has the address is up to them. */
import { bundlePaths, kubeconfigPaths, virtualIpUnitPath } from '../config/paths.ts';
import { renderTemplate } from '../config/templates.ts';
import type { EndpointSettings } from '../config/types.ts';
import type { Changes } from '../host/changes.ts';
import type { HostFacts } from '../host/facts.ts';
import { type Host, readText, runOrFail } from '../host/host.ts';

export const virtualIpUnit = 'kinit-virtual-ip.service';

export type VirtualIp = Pick<EndpointSettings, 'virtualIP' | 'interface'>;

/** What the unit of this host says, undefined when there is none. */
export async function knownVirtualIp(host: Host): Promise<VirtualIp | undefined> {
  const text = await readText(host, virtualIpUnitPath);
  const virtualIP = /--address=(\S+)/.exec(text ?? '')?.[1];
  const device = /--interface=(\S+)/.exec(text ?? '')?.[1];
  return virtualIP ? { virtualIP, ...(device ? { interface: device } : {}) } : undefined;
}

export interface VirtualIpSettings {
  address: string;
  interface?: string;
  /** This host's own API server, `host:port`. */
  server: string;
  nodeName: string;
  facts: Pick<HostFacts, 'canLowerOomScore'>;
}

export async function ensureVirtualIp(changes: Changes, settings: VirtualIpSettings): Promise<boolean> {
  const { host } = changes;
  const { facts, ...values } = settings;
  const unit = await changes.file(
    virtualIpUnitPath,
    renderTemplate(`systemd/${virtualIpUnit}`, {
      interface: '',
      ...values,
      program: `${bundlePaths.bin}/kinit-virtual-ip`,
      // The first one works before anybody has a role in the cluster; it is on the first control plane alone.
      kubeconfigs: [kubeconfigPaths.superAdmin, kubeconfigPaths.admin].join(','),
      lowOomScore: facts.canLowerOomScore,
    }),
  );
  if (unit) await runOrFail(host, 'systemctl', ['daemon-reload']);
  const state = await changes.unit(virtualIpUnit, { enabled: true, active: true });
  if (unit && !state) await runOrFail(host, 'systemctl', ['restart', virtualIpUnit]);
  return unit || state;
}
