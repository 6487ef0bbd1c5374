/** What hosts must not have in common, and what they must agree upon, to be one cluster. */
import type { HostFacts } from './facts.ts';
import type { FleetFinding } from './ways.ts';

export interface Compared {
  name: string;
  /** It is not a node yet; nodes are only compared with newcomers. */
  newcomer: boolean;
  facts: Partial<Pick<HostFacts, 'hostname' | 'clock' | 'machineId' | 'productUuid' | 'link'>>;
}

/** Bootstrap tokens, certificates and leases of etcd bear less. */
const skewErrorMs = 30_000;
/** etcd warns of more, too. */
const skewWarningMs = 1000;
/** What boards without an identity of their own have. */
const meaningless = /^(0{8}-|f{8}-|03000200-0400-0500-0006-000700080009$)/;

/** @param reference the host whose clock counts: the first control plane */
export function compareHosts(hosts: readonly Compared[], reference?: string): FleetFinding[] {
  return [
    ...skews(hosts, hosts.find(({ name }) => name === reference) ?? hosts[0]),
    ...duplicates(hosts, ({ machineId }) => machineId, {
      check: 'DuplicateMachineID',
      level: 'error',
      what: 'machine-id',
      advice:
        'clones of a machine need their own: rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; then reboot (DHCP servers give hosts addresses by it, and systemd derives MAC addresses from it)',
    }),
    ...duplicates(hosts, ({ productUuid }) => (meaningless.test(productUuid ?? '') ? undefined : productUuid), {
      check: 'DuplicateProductUUID',
      level: 'warning',
      what: 'product_uuid',
      advice: 'give each virtual machine its own UUID in the hypervisor',
    }),
    ...duplicates(hosts, ({ link }) => link?.mac, {
      check: 'DuplicateMAC',
      level: 'error',
      what: 'MAC address',
      advice:
        'give each virtual machine its own MAC address in the hypervisor; or the inventory names one machine twice',
    }),
    ...duplicates(hosts, ({ hostname }) => hostname, {
      check: 'DuplicateHostname',
      level: 'warning',
      what: 'host name',
      advice: 'set them with hostnamectl set-hostname; the nodes have the names of the inventory all the same',
    }),
    ...mtuDifferences(hosts),
  ];
}

/** How far apart two clocks are at least, and most likely; positive: `a` is ahead. */
export function skewOf(
  a: NonNullable<HostFacts['clock']>,
  b: NonNullable<HostFacts['clock']>,
): { atLeastMs: number; likelyMs: number; marginMs: number } {
  const least = a.least - b.most;
  const most = a.most - b.least;
  const atLeastMs = least > 0 ? least : most < 0 ? -most : 0;
  return { atLeastMs, likelyMs: (least + most) / 2, marginMs: (most - least) / 2 };
}

function skews(hosts: readonly Compared[], reference: Compared | undefined): FleetFinding[] {
  const of = reference?.facts.clock;
  if (!reference || !of) return [];
  return hosts.flatMap((host) => {
    const { clock } = host.facts;
    if (host === reference || !clock || !(host.newcomer || reference.newcomer)) return [];
    const { atLeastMs, likelyMs, marginMs } = skewOf(clock, of);
    if (atLeastMs <= skewWarningMs) return [];
    const seconds = (ms: number) => `${(Math.abs(ms) / 1000).toFixed(1)} s`;
    const side = likelyMs > 0 ? 'ahead of' : 'behind';
    return {
      check: 'ClockSkew',
      level: atLeastMs > skewErrorMs ? 'error' : 'warning',
      hosts: [host.name, reference.name],
      message: `the clock of ${host.name} is ${seconds(likelyMs)} ${side} that of ${reference.name} (± ${seconds(marginMs)})`,
      advice: 'let chronyd or systemd-timesyncd keep both clocks: timedatectl set-ntp true',
    };
  });
}

function duplicates(
  hosts: readonly Compared[],
  identityOf: (facts: Compared['facts']) => string | undefined,
  { check, level, what, advice }: Pick<FleetFinding, 'check' | 'level'> & { what: string; advice: string },
): FleetFinding[] {
  const groups = new Map<string, Compared[]>();
  for (const host of hosts) {
    const value = identityOf(host.facts);
    if (value) groups.set(value, [...(groups.get(value) ?? []), host]);
  }
  return [...groups]
    .filter(([, group]) => group.length > 1 && group.some(({ newcomer }) => newcomer))
    .map(([value, group]) => {
      const names = group.map(({ name }) => name);
      return { check, level, hosts: names, message: `${names.join(' and ')} have the same ${what} ${value}`, advice };
    });
}

/** The pod network takes the size of its packets from each host. */
function mtuDifferences(hosts: readonly Compared[]): FleetFinding[] {
  const groups = new Map<number, string[]>();
  for (const { name, facts } of hosts) {
    if (facts.link) groups.set(facts.link.mtu, [...(groups.get(facts.link.mtu) ?? []), name]);
  }
  if (groups.size < 2 || !hosts.some(({ newcomer, facts }) => newcomer && facts.link)) return [];
  const sizes = [...groups].sort(([a], [b]) => a - b);
  const text = sizes.map(([mtu, names]) => `${mtu} on ${names.join(', ')}`).join('; ');
  return [
    {
      check: 'MTUDifference',
      level: 'warning',
      hosts: sizes.flatMap(([, names]) => names),
      message: `the hosts' interfaces have different MTUs: ${text}`,
      advice: `set the smallest for the pod network (HostConfiguration network.mtu: ${sizes[0]![0] - 50}), or make them alike`,
    },
  ];
}
