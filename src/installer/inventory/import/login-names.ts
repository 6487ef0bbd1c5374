/** The user that a cloud's image lets in, by the name of the image and by the cloud. */

export type Cloud = 'aws' | 'gcp' | 'azure' | 'hetzner' | 'digitalocean' | 'openstack' | 'libvirt';

const byImage: [RegExp, string, Partial<Record<Cloud, string>>?][] = [
  [/ubuntu|jammy|noble|focal|bionic/, 'ubuntu'],
  [/debian|bookworm|bullseye|trixie/, 'debian', { aws: 'admin' }],
  [/rocky/, 'rocky'],
  [/alma/, 'almalinux', { aws: 'ec2-user' }],
  [/centos/, 'centos', { aws: 'ec2-user', openstack: 'cloud-user' }],
  [/fedora/, 'fedora'],
  [/rhel|red-?hat/, 'cloud-user', { aws: 'ec2-user' }],
  [/amzn|amazon|al20\d\d/, 'ec2-user'],
  [/oracle|\bol\d/, 'opc', { aws: 'ec2-user' }],
  [/opensuse/, 'opensuse', { aws: 'ec2-user' }],
  [/sles|suse/, 'sles', { aws: 'ec2-user' }],
  [/arch/, 'arch'],
  [/flatcar|coreos/, 'core'],
];

/** Clouds whose images all let root in. */
const rootClouds: readonly Cloud[] = ['hetzner', 'digitalocean'];

/** undefined: the image says nothing. */
export function loginOfImage(image: string | undefined, cloud: Cloud): string | undefined {
  if (rootClouds.includes(cloud)) return 'root';
  const name = image?.toLowerCase();
  const found = name && byImage.find(([pattern]) => pattern.test(name));
  return found ? (found[2]?.[cloud] ?? found[1]) : undefined;
}
