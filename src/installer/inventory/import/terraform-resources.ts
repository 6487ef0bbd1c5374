/** Resources of Terraform's providers that are machines: where each keeps name, addresses, user and labels. */
import { type Cloud, loginOfImage } from './login-names.ts';
import { asList, asText, at, type ImportedHost, isObject, type JsonObject } from './types.ts';

interface Machine {
  name: string | undefined;
  publicAddress?: string | undefined;
  privateAddress?: string | undefined;
  image?: string | undefined;
  user?: string | undefined;
  /** Labels or tags that may name a role or a group. */
  tags?: unknown;
  zone?: string | undefined;
}

/** Names of images by their ids, from data sources of the same state. */
export type ImageNames = ReadonlyMap<string, string>;

interface MachineType {
  cloud: Cloud;
  read(attributes: JsonObject, images: ImageNames): Machine;
}

const sshKeysUser = (keys: string | undefined): string | undefined =>
  /^\s*([a-z_][a-z0-9_-]*):(?:ssh|ecdsa)-/m.exec(keys ?? '')?.[1];

/** Addresses without their prefix lengths, no link-local ones. */
const bare = (value: unknown): string | undefined => {
  const text = asText(value)?.replace(/\/\d+$/, '');
  return text && !/^(fe80:|169\.254\.)/i.test(text) ? text : undefined;
};

const azure: MachineType['read'] = (machine) => ({
  name: asText(machine['computer_name']) ?? asText(machine['name']),
  publicAddress: bare(machine['public_ip_address']),
  privateAddress: bare(machine['private_ip_address']),
  user: asText(machine['admin_username']) ?? asText(at(machine, 'os_profile', 0, 'admin_username')),
  tags: machine['tags'],
  zone: asText(machine['zone']),
});

const aws: MachineType['read'] = (machine, images) => ({
  name: asText(at(machine, 'tags', 'Name')),
  publicAddress: bare(machine['public_ip']),
  privateAddress: bare(machine['private_ip']),
  image: images.get(asText(machine['ami']) ?? '') ?? asText(at(machine, 'tags', 'OS')),
  user: asText(at(machine, 'tags', 'SshUser')),
  tags: machine['tags'],
  zone: asText(machine['availability_zone']),
});

export const machineTypes: Record<string, MachineType> = {
  aws_instance: { cloud: 'aws', read: aws },
  aws_spot_instance_request: { cloud: 'aws', read: aws },
  google_compute_instance: {
    cloud: 'gcp',
    read: (machine) => ({
      name: asText(machine['name']),
      publicAddress: bare(at(machine, 'network_interface', 0, 'access_config', 0, 'nat_ip')),
      privateAddress: bare(at(machine, 'network_interface', 0, 'network_ip')),
      image: asText(at(machine, 'boot_disk', 0, 'initialize_params', 0, 'image')),
      user: sshKeysUser(asText(at(machine, 'metadata', 'ssh-keys'))),
      tags: { ...(machine['labels'] as object), network: asList(machine['tags']) },
      zone: asText(machine['zone']),
    }),
  },
  azurerm_linux_virtual_machine: { cloud: 'azure', read: azure },
  azurerm_virtual_machine: { cloud: 'azure', read: azure },
  hcloud_server: {
    cloud: 'hetzner',
    read: (machine) => ({
      name: asText(machine['name']),
      publicAddress: bare(machine['ipv4_address']) ?? bare(machine['ipv6_address']),
      privateAddress: bare(at(machine, 'network', 0, 'ip')),
      image: asText(machine['image']),
      tags: machine['labels'],
      zone: asText(machine['location']),
    }),
  },
  digitalocean_droplet: {
    cloud: 'digitalocean',
    read: (machine) => ({
      name: asText(machine['name']),
      publicAddress: bare(machine['ipv4_address']),
      privateAddress: bare(machine['ipv4_address_private']),
      tags: { tags: asList(machine['tags']) },
      zone: asText(machine['region']),
    }),
  },
  openstack_compute_instance_v2: {
    cloud: 'openstack',
    read: (machine) => ({
      name: asText(machine['name']),
      publicAddress: bare(machine['floating_ip']),
      privateAddress: bare(machine['access_ip_v4']) ?? bare(at(machine, 'network', 0, 'fixed_ip_v4')),
      image: asText(machine['image_name']),
      tags: machine['metadata'],
      zone: asText(machine['availability_zone']),
    }),
  },
  libvirt_domain: {
    cloud: 'libvirt',
    read: (machine) => {
      const addresses = asList(machine['network_interface']).flatMap((nic) => asList(at(nic, 'addresses')));
      return {
        name: asText(at(machine, 'network_interface', 0, 'hostname')) ?? asText(machine['name']),
        privateAddress: addresses.map(bare).find((address) => address !== undefined),
        image: asText(at(machine, 'disk', 0, 'volume_id')) ?? asText(at(machine, 'disk', 0, 'url')),
      };
    },
  },
};

/** Words of tags and labels that say what a machine is for: values of role-like keys, and keys with the value true. */
export function groupsOfTags(tags: unknown): string[] {
  if (!isObject(tags)) return [];
  const words = Object.entries(tags).flatMap(([key, value]): string[] => {
    if (/^(network|tags)$/.test(key) && Array.isArray(value)) return value.flatMap((tag) => asText(tag) ?? []);
    const text = asText(value);
    if (/(^|[-_./])(role|roles|group|type|node-?type|component|kind)$/i.test(key) && text) return text.split(/[,\s]+/);
    return /^(true|yes)$/i.test(text ?? '') ? [key] : [];
  });
  return [...new Set(words.map((word) => word.replace(/[^A-Za-z0-9_.-]/g, '-')).filter(Boolean))];
}

/** @param label what to call the machine when it has no name: `node[0]` */
export function hostOfMachine(
  type: string,
  label: string,
  attributes: JsonObject,
  images: ImageNames,
): ImportedHost | undefined {
  const known = machineTypes[type];
  if (!known) return undefined;
  const machine = known.read(attributes, images);
  const address = machine.publicAddress ?? machine.privateAddress;
  const user = machine.user ?? loginOfImage(machine.image, known.cloud);
  const notes: string[] = [];
  if (!address) notes.push('the state knows no address of it: is it running?');
  if (!user) notes.push(`which user the image lets in is not known${machine.image ? ` (${machine.image})` : ''}`);
  const hasBoth = machine.publicAddress !== undefined && machine.privateAddress !== undefined;
  const zone = machine.zone?.split('/').at(-1);
  return {
    name: machine.name ?? label,
    groups: groupsOfTags(machine.tags),
    ...(address ? { address } : {}),
    ...(hasBoth && machine.privateAddress ? { privateAddress: machine.privateAddress } : {}),
    ...(machine.publicAddress === undefined ? { internal: true } : {}),
    ...(user ? { user } : {}),
    ...(zone && known.cloud !== 'azure' ? { labels: { 'topology.kubernetes.io/zone': zone } } : {}),
    ...(notes.length ? { notes } : {}),
  };
}
