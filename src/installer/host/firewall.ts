/** Opens the ports of a node in a firewall that is running: firewalld or ufw. */
import type { Changes } from './changes.ts';
import { type Host, runOrFail } from './host.ts';

export interface PortRule {
  /** `6443` or `30000-32767`. */
  port: string;
  protocol: 'tcp' | 'udp';
  why: string;
}

export const workerPorts: PortRule[] = [
  { port: '10250', protocol: 'tcp', why: 'kubelet' },
  { port: '10256', protocol: 'tcp', why: 'kube-proxy health' },
  { port: '8472', protocol: 'udp', why: 'pod network (VXLAN)' },
  { port: '30000-32767', protocol: 'tcp', why: 'NodePort services' },
  { port: '30000-32767', protocol: 'udp', why: 'NodePort services' },
];

export function controlPlanePorts(bindPort: number): PortRule[] {
  return [
    { port: String(bindPort), protocol: 'tcp', why: 'kube-apiserver' },
    { port: '2379-2380', protocol: 'tcp', why: 'etcd' },
    { port: '10257', protocol: 'tcp', why: 'kube-controller-manager' },
    { port: '10259', protocol: 'tcp', why: 'kube-scheduler' },
    ...workerPorts,
  ];
}

/** The firewall that runs on the host, if any. */
export async function activeFirewall(host: Host): Promise<'firewalld' | 'ufw' | undefined> {
  const look = { observe: true };
  if ((await host.run('systemctl', ['is-active', 'firewalld'], look)).stdout.trim() === 'active') return 'firewalld';
  const ufw = await host.run('ufw', ['status'], look);
  return ufw.exitCode === 0 && /^Status: active/m.test(ufw.stdout) ? 'ufw' : undefined;
}

/** @param podCidr traffic of pods is let through as a source */
export async function openPorts(changes: Changes, ports: PortRule[], podCidr?: string): Promise<boolean> {
  const firewall = await activeFirewall(changes.host);
  if (firewall === 'firewalld') return openFirewalld(changes, ports, podCidr);
  return firewall === 'ufw' ? openUfw(changes, ports, podCidr) : false;
}

async function openFirewalld({ host, journal }: Changes, ports: PortRule[], podCidr?: string): Promise<boolean> {
  const zone = (await runOrFail(host, 'firewall-cmd', ['--get-default-zone'], { observe: true })).stdout.trim();
  const rules = ports.map(({ port, protocol }) => ({ zone, rule: `port=${port}/${protocol}` }));
  if (podCidr) rules.push({ zone: 'trusted', rule: `source=${podCidr}` });
  // Masquerading rules of services need forwarding between the node's zones.
  let changed = false;
  for (const { zone: where, rule } of rules) {
    for (const permanent of [false, true]) {
      const scope = [...(permanent ? ['--permanent'] : []), `--zone=${where}`];
      const present = await host.run('firewall-cmd', [...scope, `--query-${rule}`], { observe: true });
      if (present.exitCode === 0) continue;
      await journal.record({ kind: 'firewalld', zone: where, rule, permanent });
      await runOrFail(host, 'firewall-cmd', [...scope, `--add-${rule}`], {
        advice: 'leave the firewall alone with --firewall=keep and open the ports yourself',
      });
      changed = true;
    }
  }
  return changed;
}

const ufwPort = (port: string) => port.replace('-', ':');

async function openUfw({ host, journal }: Changes, ports: PortRule[], podCidr?: string): Promise<boolean> {
  const added = (await runOrFail(host, 'ufw', ['show', 'added'], { observe: true })).stdout;
  const rules = ports.map(({ port, protocol }) => ['allow', `${ufwPort(port)}/${protocol}`]);
  if (podCidr) rules.push(['allow', 'from', podCidr], ['route', 'allow', 'from', podCidr]);
  let changed = false;
  for (const rule of rules) {
    if (added.includes(`ufw ${rule.join(' ')}\n`) || added.trimEnd().endsWith(`ufw ${rule.join(' ')}`)) continue;
    await journal.record({ kind: 'ufw', rule });
    await runOrFail(host, 'ufw', rule, {
      advice: 'leave the firewall alone with --firewall=keep and open the ports yourself',
    });
    changed = true;
  }
  return changed;
}

/** The ports that a running firewall does not let through, as lines for people. */
export async function closedPorts(host: Host, ports: PortRule[]): Promise<string[]> {
  const firewall = await activeFirewall(host);
  if (!firewall) return [];
  const named = ({ port, protocol, why }: PortRule) => `${firewall}: ${port}/${protocol} (${why})`;
  if (firewall === 'ufw') {
    const added = (await host.run('ufw', ['show', 'added'], { observe: true })).stdout.split('\n');
    return ports
      .filter(({ port, protocol }) => !added.some((line) => line.trim() === `ufw allow ${ufwPort(port)}/${protocol}`))
      .map(named);
  }
  const closed: string[] = [];
  for (const rule of ports) {
    const query = `--query-port=${rule.port}/${rule.protocol}`;
    if ((await host.run('firewall-cmd', [query], { observe: true })).exitCode !== 0) closed.push(named(rule));
  }
  return closed;
}
