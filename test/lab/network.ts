/** The lab's own network: a bridge 10.77.<n>.1/24 and, per host, a network namespace with one leg on it or a tap device. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';

export interface LabNetwork {
  /** Third byte of the lab's addresses, 1 to 254. */
  index: number;
  bridge: string;
}

const ip = (...args: string[]) => execa('ip', args);

export function labNetwork(index: number): LabNetwork {
  return { index, bridge: `kl${index}` };
}

export const hostAddress = (network: LabNetwork, position: number) => `10.77.${network.index}.${10 + position}`;
export const namespaceOf = (network: LabNetwork, host: string) => `kl${network.index}-${host}`;
/** A host keeps its card over a reboot: neighbours go on knowing it. */
export const hardwareAddress = (network: LabNetwork, position: number) =>
  `02:4b:00:00:${network.index.toString(16).padStart(2, '0')}:${(10 + position).toString(16).padStart(2, '0')}`;
/** The outer end of a host's cable; at most 15 characters. */
export const cableOf = (network: LabNetwork, position: number) => `kl${network.index}v${position}`;

/** Networks from here on are for those who ask for one by its number. */
const firstNumbered = 100;

/**
 * Takes the wanted network, or the first one whose bridge does not exist. The bridge is the lock: making it fails for all but one.
 */
export async function claimNetwork(owner: string, wanted?: number): Promise<LabNetwork> {
  for (let index = wanted ?? 1; index <= (wanted ?? firstNumbered - 1); index++) {
    const network = labNetwork(index);
    if (existsSync(`/sys/class/net/${network.bridge}`)) continue;
    const made = await execa('ip', ['link', 'add', network.bridge, 'type', 'bridge'], { reject: false });
    if (made.exitCode !== 0) continue;
    // The bridge says whose it is: a lab's number may be another lab's by the time that the first one is swept.
    await ip('link', 'set', network.bridge, 'alias', owner);
    return network;
  }
  if (wanted) throw new Error(`network 10.77.${wanted}.0/24 is in use by another lab; see: npm run lab -- list`);
  throw new Error('all lab networks are in use; remove old labs with: npm run lab -- down --all');
}

/** Makes a claimed network usable. */
export async function openNetwork(network: LabNetwork): Promise<void> {
  await ip('address', 'add', `10.77.${network.index}.1/24`, 'dev', network.bridge);
  await ip('link', 'set', network.bridge, 'up');
}

/** False when the bridge is gone or, by now, somebody else's. */
export async function ownsNetwork(network: LabNetwork, owner: string): Promise<boolean> {
  const alias = await readFile(`/sys/class/net/${network.bridge}/ifalias`, 'utf8').catch(() => '');
  return alias.trim() === owner;
}

/** Connects a container: a network namespace with one leg on the bridge. */
export async function connectHost(network: LabNetwork, host: string, position: number): Promise<void> {
  const namespace = namespaceOf(network, host);
  const cable = cableOf(network, position);
  await ip('netns', 'add', namespace);
  await ip(
    'link',
    'add',
    cable,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'address',
    hardwareAddress(network, position),
    'netns',
    namespace,
  );
  await ip('link', 'set', cable, 'master', network.bridge, 'up');
  await setUpInside(network, namespace, position);
}

/** Connects a virtual machine: a tap device on the bridge. */
export async function connectMachine(network: LabNetwork, position: number): Promise<void> {
  const cable = cableOf(network, position);
  await ip('tuntap', 'add', 'dev', cable, 'mode', 'tap');
  await ip('link', 'set', cable, 'master', network.bridge, 'up');
}

/** Address and routes inside; a reboot of a host leaves its namespace, so this is needed once. */
async function setUpInside(network: LabNetwork, namespace: string, position: number): Promise<void> {
  await ip('-n', namespace, 'address', 'add', `${hostAddress(network, position)}/24`, 'dev', 'eth0');
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  await ip('-n', namespace, 'route', 'add', 'default', 'via', `10.77.${network.index}.1`);
}

/** Pulls or plugs the cable. */
export async function setCable(network: LabNetwork, position: number, state: 'up' | 'down'): Promise<void> {
  await ip('link', 'set', cableOf(network, position), state);
}

/** A host that starts afresh has no interfaces of its last life. */
export async function disconnectHost(network: LabNetwork, host: string, position: number): Promise<void> {
  await execa('ip', ['link', 'del', cableOf(network, position)], { reject: false });
  await execa('ip', ['netns', 'del', namespaceOf(network, host)], { reject: false });
}

export async function releaseNetwork(network: LabNetwork): Promise<void> {
  await execa('ip', ['link', 'del', network.bridge], { reject: false });
}
