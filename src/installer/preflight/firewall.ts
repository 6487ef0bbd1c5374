/** A firewall that kinit was told to leave alone. */
import { activeFirewall, controlPlanePorts, workerPorts } from '../host/firewall.ts';
import { type Check, isControlPlane, warning } from './check.ts';

const names = { firewalld: 'Firewalld', ufw: 'Ufw' } as const;

/** kubeadm only warns of firewalld; kinit opens the ports unless told otherwise. */
export const firewall: Check = async ({ host, bindPort, opensFirewall }) => {
  const active = opensFirewall ? undefined : await activeFirewall(host);
  if (!active) return [];
  const rules = isControlPlane({ bindPort }) ? controlPlanePorts(bindPort) : workerPorts;
  const ports = rules.map(({ port, protocol }) => `${port}/${protocol}`).join(' ');
  const message = `${active} is active, please ensure ports [${ports}] are open or your cluster may not function correctly`;
  return [warning(names[active], message, 'open them, or let kinit do it with --firewall=open')];
};
