/** Programs of the host itself; everything else comes with the bundle. */
import { exists } from '../host/host.ts';
import { type Check, error, type Finding, warning } from './check.ts';

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

interface Program {
  name: string;
  mandatory: boolean;
  why: string;
  package: string;
}

/** kubeadm asks for mount, losetup and cp. */
const programs: readonly Program[] = [
  {
    name: 'mount',
    mandatory: true,
    why: 'the kubelet mounts the volumes of pods with it',
    package: 'mount or util-linux',
  },
  {
    name: 'umount',
    mandatory: true,
    why: 'the kubelet unmounts the volumes of pods with it',
    package: 'mount or util-linux',
  },
  { name: 'modprobe', mandatory: false, why: 'overlay and br_netfilter are loaded with it', package: 'kmod' },
  { name: 'ip', mandatory: false, why: 'kinit reset removes the pod network with it', package: 'iproute2 or iproute' },
  { name: 'losetup', mandatory: false, why: 'block volumes need it', package: 'util-linux' },
  { name: 'cp', mandatory: false, why: 'backups of etcd need it', package: 'coreutils' },
];

export const executables: Check = async ({ host }) => {
  const findings: Finding[] = [];
  for (const { name, mandatory, why, package: from } of programs) {
    const found = await Promise.all(folders.map((folder) => exists(host, `${folder}/${name}`)));
    if (found.includes(true)) continue;
    const level = mandatory ? error : warning;
    findings.push(
      level(`FileExisting-${name}`, `${name} not found in system path: ${why}`, `install the package ${from}`),
    );
  }
  return findings;
};
